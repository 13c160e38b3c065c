#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""nets.sh's other half: wrong rules of each kind (selftests/nets.toml), and what notices which.

A row is an edit of the module, by its name in selftests/mutants.toml or in full."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from errors import MachineError
from module_edits import apply_edit
from mutant_list import CHECKOUT, Mutant, read_mutants
from plan import CHECKED

ROWS = CHECKOUT / "selftests/nets.toml"
INTACT = "intact"
# In the order of the table. One run of the machine says all of tests, oracle and compare.
YES, NO, NOT_RUN, ELSEWHERE = "yes", "no", "?", "-"
NETS = (
    "compiler",
    "panics",
    "unit",
    "properties",
    "model",
    "parser",
    "tests",
    "oracle",
    "compare",
    "fuzz",
)
# Those that are built of policy/ and of nothing else of the module.
_POLICY_ALONE = ("unit", "properties", "model", "parser")


@dataclass(frozen=True)
class Row:
    """A kind of fault, and one of it."""

    kind: str
    edit: Mutant


def read_rows() -> list[Row]:
    """The list, with the module as it is first: no net may notice that."""
    known = {mutant.name: mutant for mutant in read_mutants()}
    with open(ROWS, "rb") as file:
        records = tomllib.load(file)["row"]
    rows = []
    for record in records:
        kind, name = record.pop("kind"), record["name"]
        tests = record.get("tests")
        edit = Mutant(**record) if "old" in record else known.get(name)
        if not edit:
            raise MachineError(f"{ROWS.name}: no edit {name} in selftests/mutants.toml")
        rows.append(Row(kind, replace(edit, tests=tests) if tests else edit))
    every = sorted({test for row in rows for test in row.edit.tests})
    return [Row("none", Mutant(INTACT, "-", tests=every)), *rows]


def cells(directory: Path, edit: Mutant) -> dict[str, str]:
    """What each net said of a row, from the statuses and the results that are in DIRECTORY."""
    found = {}
    for net in NETS:
        status = directory / f"{net}.status"
        if status.is_file():
            found[net] = NO if status.read_text().strip() == "0" else YES
        elif net in _POLICY_ALONE and edit.file and not edit.file.startswith("policy/"):
            found[net] = ELSEWHERE
    results = _results(directory)
    for net, said in _of_machine(results).items():
        found[net] = YES if said else NO
    return found


def _results(directory: Path) -> list[dict]:
    path = directory / "results.json"
    return json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []


def _of_machine(results: list[dict]) -> dict[str, set[str]]:
    """Which tests failed. One that loads the module by itself stands in the group without it."""
    said = {}
    compared = [one for one in results if one["group"] == CHECKED]
    others = [one for one in results if one["group"] != CHECKED]
    if others:
        said["tests"] = _programs(one for one in others if one["status"] == "failed")
        said["oracle"] = _programs(one for one in others if one["stale"])
    if compared:
        said["compare"] = _programs(one for one in compared if one["status"] == "failed")
    return said


def _programs(results: Iterable[dict]) -> set[str]:
    return {result["name"].split("[")[0] for result in results}


def table(output: Path) -> str:
    """In Markdown: the rows with their numbers, and the nets."""
    rows = dict(enumerate(read_rows()))
    said = {number: cells(output / row.edit.name, row.edit) for number, row in rows.items()}
    lines = ["| | kind | rule | edit | tests that failed |", "|---|---|---|---|---|"]
    for number, row in rows.items():
        of_machine = _of_machine(_results(output / row.edit.name))
        failed = sorted(of_machine.get("tests", set()) | of_machine.get("compare", set()))
        rule, name = row.edit.rule, f"`{row.edit.name}`"
        lines.append(f"| {number} | {row.kind} | {rule} | {name} | {', '.join(failed)} |")
    lines += ["", f"| net | {' | '.join(map(str, rows))} |", "|---" * (len(rows) + 1) + "|"]
    for net in NETS:
        own = [said[number].get(net, NOT_RUN) for number in rows]
        lines.append(f"| {net} | {' | '.join(own)} |")
    return "\n".join(lines)


def main() -> int:
    """list; tests NAME; edit NAME TREE; table OUTPUT"""
    verb, *arguments = sys.argv[1:]
    try:
        rows = {row.edit.name: row for row in read_rows()}
        if verb in ("tests", "edit") and arguments[0] not in rows:
            raise MachineError(f"no row {arguments[0]}; there are: {' '.join(rows)}")
        if verb == "list":
            print("\n".join(rows))
        elif verb == "tests":
            print(" ".join(rows[arguments[0]].edit.tests))
        elif verb == "edit":
            edit = rows[arguments[0]].edit
            if edit.file:
                apply_edit(Path(arguments[1]), edit)
        else:
            print(table(Path(arguments[0])))
    except (OSError, MachineError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
