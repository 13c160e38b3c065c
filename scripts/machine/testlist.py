# SPDX-License-Identifier: GPL-2.0
"""The committed lists of tests: which run, for how long, and which do not and why.

A line is one of
  run NAME SECONDS [in=GROUP,GROUP] [ARGUMENT...]
  omit NAME REASON...
SECONDS are the machine's own. Without in= a test runs in every group.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from errors import MachineError
from plan import Step


@dataclass(frozen=True)
class Entry:
    """A test that runs."""

    step: Step
    groups: tuple[str, ...]

    def runs_in(self, group: str) -> bool:
        """Whether GROUP has it."""
        return not self.groups or group in self.groups


@dataclass(frozen=True)
class TestList:
    """One list file."""

    entries: dict[str, Entry]
    omitted: dict[str, str]


def read_test_list(path: Path, takeover: bool) -> TestList:
    """Parse PATH; any line it does not understand is an error, never a test less. TAKEOVER:
    whether its tests leave the module alone, so that they show who runs the hooks."""
    entries: dict[str, Entry] = {}
    omitted: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        where = f"{path}:{number}"
        if len(words) < 3 or words[0] not in ("run", "omit"):
            raise MachineError(f"{where}: expected `run NAME SECONDS` or `omit NAME REASON`")
        if words[1] in entries or words[1] in omitted:
            raise MachineError(f"{where}: {words[1]} is there twice")
        if words[0] == "omit":
            omitted[words[1]] = " ".join(words[2:])
        else:
            entries[words[1]] = _entry(words[1:], where, takeover)
    return TestList(entries, omitted)


def _entry(words: list[str], where: str, takeover: bool) -> Entry:
    name, seconds, *rest = words
    if not seconds.isdigit() or seconds == "0":
        raise MachineError(f"{where}: {seconds} is not a number of seconds")
    groups: tuple[str, ...] = ()
    if rest and rest[0].startswith("in="):
        groups = tuple(rest.pop(0)[len("in=") :].split(","))
    return Entry(Step(name, (f"/tests/{name}", *rest), int(seconds), takeover), groups)
