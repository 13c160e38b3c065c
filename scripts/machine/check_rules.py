#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Is docs/rules.md true? Every rule has its row, every function and test it names exists, and
every rule that Rust decides has a test, and an edit in selftests/mutants.toml that breaks it."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from testlist import read_own_plan

CHECKOUT = Path(__file__).resolve().parents[2]
# The rules, by what they are about: hooks and what they rest on, nested transitions, Hyper-V,
# the APIC-access page, roles, holes of the C code.
RULES = [
    f"{letter}{number}"
    for letter, last in (("H", 17), ("T", 15), ("E", 17), ("A", 5), ("R", 7), ("X", 9))
    for number in range(1, last + 1)
]
# Broken in no way that a test could see, or not a decision; the row says why.
_NO_MUTANT = {"H7", "A3"}


@dataclass(frozen=True)
class Row:
    """One line of a table: a rule and what is in the other columns, by their titles."""

    rule: str
    cells: dict[str, str]

    def names(self, column: str) -> list[str]:
        """What a column has in backquotes."""
        return re.findall(r"`([^`]+)`", self.cells.get(column, ""))


def read_rows(text: str) -> list[Row]:
    """The rows of all tables whose first column is the rule or the hole."""
    rows: list[Row] = []
    titles: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            titles = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not titles:
            titles = cells
        elif titles[0] in ("rule", "hole") and not set(cells[0]) <= set("-"):
            rows.append(Row(cells[0], dict(zip(titles[1:], cells[1:], strict=False))))
    return rows


def problems(checkout: Path) -> list[str]:
    """What is wrong with the tables, a line each."""
    rows = read_rows((checkout / "docs/rules.md").read_text(encoding="utf-8"))
    plan = {entry.program for entry in read_own_plan(checkout / "selftests/plan.txt").entries}
    host = _host_tests(checkout / "selftests/policy/src")
    mutants = tomllib.loads((checkout / "selftests/mutants.toml").read_text(encoding="utf-8"))
    broken = {rule for mutant in mutants["mutant"] for rule in _rules_of(mutant["rule"])}
    found = [f"{rule}: it has no row" for rule in RULES if rule not in {row.rule for row in rows}]
    for row in rows:
        if row.rule not in RULES:
            found.append(f"{row.rule}: no rule of that name is known")
        for column in ("Rust", "Rust function"):
            for name in row.names(column):
                if not _is_function(checkout / "rust_kvm_nvmx", name):
                    found.append(f"{row.rule}: there is no {name} in rust_kvm_nvmx")
        tests = row.names("machine test") + row.names("test")
        found += [f"{row.rule}: {t} is not in selftests/plan.txt" for t in tests if t not in plan]
        patterns = row.names("host test")
        for pattern in patterns:
            if not any(test.startswith(pattern.rstrip("*")) for test in host):
                found.append(f"{row.rule}: no test in selftests/policy is called {pattern}")
        if not (row.names("Rust") or row.names("Rust function")):
            continue
        if not tests and not patterns:
            found.append(f"{row.rule}: it is decided in Rust and has no test")
        if row.rule not in broken | _NO_MUTANT:
            found.append(f"{row.rule}: selftests/mutants.toml never breaks it")
    return found


def _rules_of(text: str) -> list[str]:
    """ "T1 to T5" is five rules, "H4 H15" two."""
    span = re.fullmatch(r"([A-Z])(\d+) to [A-Z](\d+)", text)
    if span:
        return [f"{span[1]}{n}" for n in range(int(span[2]), int(span[3]) + 1)]
    return re.findall(r"[A-Z]\d+", text)


def _host_tests(directory: Path) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in directory.glob("*.rs"))
    return re.findall(r"#\[test\]\s+fn (\w+)", text)


def _is_function(directory: Path, name: str) -> bool:
    """Whether a::b::c, or a::b::Type::c, is a function, constant or type c in a/b.rs, or a module."""
    modules = [word for word in name.split("::") if not word[0].isupper() or word.isupper()]
    types = [word for word in name.split("::") if word not in modules]
    path = directory.joinpath(*modules)
    if not types and len(modules) > 1 and path.with_suffix(".rs").is_file():
        return True
    last = None if name.split("::")[-1] in types else modules.pop()
    file = directory.joinpath(*modules).with_suffix(".rs")
    if not modules or not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    found = [rf"\b(struct|enum|impl(<.*>)?) {kind}\b" for kind in types]
    found += [rf"\b(fn|const) {last}\b"] if last else []
    return all(re.search(pattern, text) for pattern in found)


def main() -> int:
    """Print what is wrong; 0 if nothing is."""
    found = problems(CHECKOUT)
    for problem in found:
        print(f"docs/rules.md: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
