# SPDX-License-Identifier: GPL-2.0
"""selftests/mutants.toml: the edits of the module, each of which breaks a rule."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from errors import MachineError

CHECKOUT = Path(__file__).resolve().parents[2]
LIST = CHECKOUT / "selftests" / "mutants.toml"


@dataclass
class Mutant:
    """One broken rule, and what noticed."""

    name: str
    rule: str
    file: str = ""
    old: str = ""
    new: str = ""
    tests: list[str] = field(default_factory=list)
    # The kind of fault, if it is one that the fuzzer is to find.
    planted: str = ""
    caught_by: list[str] = field(default_factory=list)
    # The tests that failed where C decides, as listed for those that show a bug.
    fails_in_c: list[str] = field(default_factory=list)

    def survived(self) -> bool:
        """Whether a test that should have noticed did not."""
        return bool(self.tests and not self.caught_by)


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """All of the list."""
    with open(path, "rb") as file:
        return [Mutant(**record) for record in tomllib.load(file)["mutant"]]


def named(names: Iterable[str]) -> list[Mutant]:
    """Those of NAMES, in this order."""
    known = {mutant.name: mutant for mutant in read_mutants()}
    names = list(names)
    missing = [name for name in names if name not in known]
    if missing:
        raise MachineError(f"no edit {', '.join(missing)} in {LIST}")
    return [known[name] for name in names]
