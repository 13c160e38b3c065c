# SPDX-License-Identifier: GPL-2.0
"""selftests/history/fixes.toml: which fix is undone, who runs with it, and how that must end."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from errors import MachineError
from mutant_list import CHECKOUT

LIST = CHECKOUT / "selftests" / "history" / "fixes.toml"
# The table of what has no place in 7.3.4, or shows in no program here.
_GONE = "gone"


class Ends(StrEnum):
    """How a run with a fix undone must end."""

    STALE = "stale"
    FAILS = "fails"
    WARNS = "warns"
    FLUSHES = "flushes"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Fix:
    """One fix: a name that the test kernel has a parameter for."""

    name: str
    commit: str
    year: int
    # What KVM did before it.
    wrong: str
    # Steps of the plan.
    runs: tuple[str, ...]
    ends: Ends
    # Flushes that make up for it, by the kernel's names.
    cover: tuple[str, ...] = ()
    # Why nothing shows it, or a remark.
    why: str = ""

    def names(self) -> tuple[str, ...]:
        """What has to be undone for it to show."""
        return (self.name, *self.cover)


@dataclass(frozen=True)
class Gone:
    """A fix that is not undone."""

    commit: str
    year: int
    wrong: str
    why: str


@dataclass(frozen=True)
class History:
    """The whole list."""

    fixes: tuple[Fix, ...]
    gone: tuple[Gone, ...]


def read_history(path: Path = LIST) -> History:
    """All of the list, in its order."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        gone = tuple(Gone(commit, **record) for commit, record in table.pop(_GONE, {}).items())
        fixes = tuple(_read_fix(name, record) for name, record in table.items())
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise MachineError(f"{path}: {error}") from error
    for fix in fixes:
        if not fix.runs:
            raise MachineError(f"{path}: {fix.name} has no runs")
        if (fix.ends is Ends.NOTHING) and not fix.why:
            raise MachineError(f"{path}: {fix.name}: why can nothing show it?")
    return History(fixes, gone)


def _read_fix(name: str, record: dict) -> Fix:
    fix = Fix(name, **record)
    return replace(fix, runs=tuple(fix.runs), cover=tuple(fix.cover), ends=Ends(fix.ends))


def choose_fixes(fixes: tuple[Fix, ...], only: str | None) -> tuple[Fix, ...]:
    """All fixes, or those that ONLY names: by parameter or by commit."""
    if only is None:
        return fixes
    chosen: dict[str, Fix] = {}
    for word in only.split():
        found = [fix for fix in fixes if fix.name == word or fix.commit.startswith(word)]
        if not found:
            names = " ".join(fix.name for fix in fixes)
            raise MachineError(f"no fix {word}; there are: {names}")
        chosen |= {fix.name: fix for fix in found}
    return tuple(chosen.values())
