# SPDX-License-Identifier: GPL-2.0
"""What a run that is listed to fail must fail with. Anything else that goes wrong fails it.

Each failure has a name:
  says TEXT                        the program has failed, and TEXT is what it said last
  counts REGION COUNTER            this expectation of the emulator's counts does not hold
  stale FINDING REASON FUNCTION    a stale translation was used in FUNCTION of the program
where REASON is the operation that had invalidated it, or else the cause that the report names.
What has no such name cannot be listed. In the lists, names are separated by ";". Listed TEXT is
some of the words.
"""

from __future__ import annotations

import re
from collections import Counter

from errors import MachineError
from reports import STALE, Report
from witness import Expectation

SAYS, COUNTS = "says", "counts"
# How many words follow the first one.
_WORDS = {COUNTS: 2, STALE: 3}
# So many of a region the emulator writes.
_WRITTEN = 200


def read(text: str, where: str) -> tuple[str, ...]:
    """The failures that TEXT lists."""
    listed = tuple(each.strip() for each in text.split(";"))
    for each in listed:
        kind, *words = each.split() or [""]
        wrong = len(words) != _WORDS[kind] if kind in _WORDS else kind != SAYS or not words
        if wrong:
            raise MachineError(
                f"{where}: expected `says TEXT`, `counts REGION COUNTER` or"
                f" `stale FINDING REASON FUNCTION`, not `{each}`"
            )
    return listed


def said(output: list[str]) -> str:
    """The name of the failure of a program with this OUTPUT."""
    lines = [line.strip() for line in output if line.strip() and line[0] != "#"]
    return f"{SAYS} {lines[-1] if lines else 'nothing'}"


def count(expectation: Expectation) -> str:
    """The name of the failure of EXPECTATION."""
    return f"{COUNTS} {expectation.region} {expectation.counter}"


def stale(findings: dict[str, int], found: list[Report]) -> list[str]:
    """The names of all uses of stale translations: FINDINGS are how many there were, FOUND what
    was written about them."""
    own = [report for report in found if report.kind == STALE]
    names = dict.fromkeys(
        f"{STALE} {report.raw['finding']} {report.reason} {report.function}" for report in own
    )
    told = {report.raw["finding"] for report in own}
    names |= dict.fromkeys(f"{STALE} {each}, without a report" for each in findings.keys() - told)
    written: Counter[str] = Counter()
    for report in own:
        written.update(report.regions)
    full = [region for region, number in written.items() if number >= _WRITTEN]
    return [*names, *(f"{STALE}: not all of {region} was written" for region in full)]


def unlisted(listed: tuple[str, ...], failures: list[str]) -> list[str]:
    """Those of FAILURES that are not LISTED."""
    return [each for each in failures if not any(_is(each, name) for name in listed)]


def missing(listed: tuple[str, ...], failures: list[str]) -> list[str]:
    """What is LISTED, and is none of FAILURES."""
    return [name for name in listed if not any(_is(each, name) for each in failures)]


def _is(failure: str, listed: str) -> bool:
    if not listed.startswith(f"{SAYS} "):
        return failure == listed
    words = re.escape(listed.removeprefix(f"{SAYS} "))
    return failure.startswith(f"{SAYS} ") and bool(re.search(rf"(?<!\w){words}(?!\w)", failure[5:]))
