#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What of rust_kvm_nvmx/policy the tests on this host do not run, as LLVM has counted it.

LLVM counts regions, which are parts of lines: the `?` of an expression is one. What is missing must
be in selftests/policy/uncovered.toml, with the reason, and nothing else may be there."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import MachineError
from policy_items import item_at, read_items
from policy_mutants import CHECKOUT, PACKAGE, POLICY

UNCOVERED = PACKAGE / "uncovered.toml"
# The kind of a region that is code; others are gaps between code, and what macros come to.
_CODE = 0

# File, first line and column, last line and column.
Place = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Missing:
    """A region that no test runs, or an outcome of a condition that no test has."""

    file: str
    # The function, and what the region's first line says.
    item: str
    code: str
    # "true" or "false" of a condition.
    outcome: str = ""

    def __str__(self) -> str:
        never = f" is never {self.outcome}" if self.outcome else ""
        return f"{self.file}: {self.item}: `{self.code}`{never}"


@dataclass(frozen=True)
class Coverage:
    """How many regions and outcomes of conditions there are, and which no test has."""

    regions: int
    outcomes: int
    missing: list[tuple[int, Missing]]


@dataclass(frozen=True)
class Explained:
    """An entry of the list."""

    file: str
    item: str
    code: str
    reason: str
    outcome: str = ""
    count: int = 1

    def missing(self) -> Missing:
        """What it explains."""
        return Missing(self.file, self.item, self.code, self.outcome)


def read_coverage(export: dict[str, Any], directory: Path) -> Coverage:
    """Of the files in DIRECTORY, from what `llvm-cov export` has said. A function that is generic
    is there several times: it is enough if one of them runs a region."""
    regions: defaultdict[Place, int] = defaultdict(int)
    outcomes: defaultdict[tuple[Place, str], int] = defaultdict(int)
    for function in export["data"][0]["functions"]:
        names = function["filenames"]
        for *place, count, file, _, kind in function["regions"]:
            if kind == _CODE and Path(names[file]).parent == directory:
                regions[(Path(names[file]).name, *place)] += count
        for *place, true, false, file, _, _ in function["branches"]:
            if Path(names[file]).parent == directory:
                outcomes[((Path(names[file]).name, *place), "true")] += true
                outcomes[((Path(names[file]).name, *place), "false")] += false
    if not regions:
        raise MachineError(f"nothing was counted in {directory}")
    missing = sorted((place, "") for place, count in regions.items() if not count)
    missing += sorted(key for key, count in outcomes.items() if not count)
    return Coverage(len(regions), len(outcomes), list(_named(missing, directory)))


def _named(missing: list[tuple[Place, str]], directory: Path) -> Iterator[tuple[int, Missing]]:
    items = read_items(directory, {})
    for (file, line, column, last, end), outcome in missing:
        text = (directory / file).read_text(encoding="utf-8").splitlines()[line - 1]
        code = text[column - 1 : end - 1 if line == last else None]
        item = item_at(items, file, line)
        yield line, Missing(file, item.name if item else "", code.strip(), outcome)


def read_explained(path: Path = UNCOVERED) -> list[Explained]:
    """The list."""
    try:
        records = tomllib.loads(path.read_text(encoding="utf-8")).get("uncovered", [])
        return [Explained(**record) for record in records]
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise MachineError(f"{path}: {error}") from error


def problems(coverage: Coverage, explained: list[Explained]) -> list[str]:
    """What is wrong, a line each."""
    found = []
    allowed = Counter({entry.missing(): entry.count for entry in explained})
    seen = Counter(missing for _, missing in coverage.missing)
    for line, missing in coverage.missing:
        if seen[missing] > allowed[missing]:
            what = (
                f"`{missing.code}` is never {missing.outcome}"
                if missing.outcome
                else (f"not run: `{missing.code}`")
            )
            found.append(f"policy/{missing.file}:{line}: in {missing.item}: {what}")
    for missing, count in allowed.items():
        if seen[missing] < count:
            found.append(
                f"uncovered.toml: {missing}: {seen[missing]} of {count} are missing:"
                " correct the entry"
            )
    return found


def lines_of(lcov: str, directory: Path) -> tuple[int, int]:
    """How many lines of DIRECTORY's files have code, and how many of them run."""
    inside, counts = False, []
    for line in lcov.splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            inside = Path(value).parent == directory
        elif key == "DA" and inside:
            counts.append(int(value.split(",")[1]))
    return len(counts), sum(count > 0 for count in counts)


def main() -> int:
    """0 if nothing is missing but what is explained."""
    try:
        output = Path(sys.argv[1])
        coverage = read_coverage(json.loads((output / "coverage.json").read_text()), POLICY)
        found = problems(coverage, read_explained())
        lines, run = lines_of((output / "lcov.info").read_text(), POLICY)
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for problem in found:
        print(problem, file=sys.stderr)
    untaken = sum(bool(missing.outcome) for _, missing in coverage.missing)
    skipped = len(coverage.missing) - untaken
    print(
        f"coverage of {POLICY.relative_to(CHECKOUT)}: lines {run} of {lines},"
        f" regions {coverage.regions - skipped} of {coverage.regions},"
        f" outcomes of conditions {coverage.outcomes - untaken} of {coverage.outcomes}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
