# SPDX-License-Identifier: GPL-2.0
"""What the emulator counted, by region, and whether a test's expectations of it hold."""

from __future__ import annotations

import json
import operator
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# The regions that the machine's init script opens: step.1, step.2 ... with the
# steps of the plan (the emulator's labels hold fewer characters than their names),
# and this one after each.
BETWEEN_STEPS = "idle"
# In the place of a step: what ran before, between and after them.
OUTSIDE = ""
NEVER_MARKED = "was never marked"
_TOTAL = "TOTAL"
_STEP = re.compile(r"^step\.(\d+)$")
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_EXPECTATION = re.compile(r"^#\s*witness\b")
_TOTAL_LINE = re.compile(r"^#\s*witness total (\d+)$")
_WHOLE = re.compile(r"^#\s*witness\s+(\S+)\s+(\S+)\s+(==|!=|>=|<=)\s+(\d+)\s*$")

Regions = dict[str, Counter]


@dataclass(frozen=True)
class Expectation:
    """A line `# witness REGION COUNTER OP NUMBER` that a test printed."""

    region: str
    counter: str
    compare: str
    number: int

    def __str__(self) -> str:
        return f"{self.region} {self.counter} {self.compare} {self.number}"

    def failure(self, regions: Regions) -> str:
        """Why it does not hold; empty when it does."""
        if self.region not in regions:
            return f"witness: region {self.region} {NEVER_MARKED}"
        seen = regions[self.region][self.counter]
        if _COMPARE[self.compare](seen, self.number):
            return ""
        return (
            f"witness: {self.region}: {self.counter} is {seen},"
            f" expected {self.compare} {self.number}"
        )


def expectations(output: list[str]) -> tuple[list[Expectation], list[str]]:
    """The expectations in a test's output, and what is wrong with them: a line that is none, or
    that was lost. Our tests say at their end how many there are."""
    good, bad, total = [], [], None
    for line in output:
        if not _EXPECTATION.match(line.strip()):
            continue
        if found := _TOTAL_LINE.match(line.strip()):
            total = int(found[1])
            continue
        match = _WHOLE.match(line.strip())
        if match:
            region, counter, compare, number = match.groups()
            good.append(Expectation(region, counter, compare, int(number)))
        else:
            bad.append(line.strip())
    if total is not None and total != len(good):
        bad.append(f"{len(good)} of {total}")
    return good, bad


def read_lines(path: Path) -> list[dict]:
    """The whole lines of one of the emulator's files, none if there is no such file. A last line
    that is cut short (the machine was stopped) is left out; so is any other that cannot be read,
    which complaints() notices."""
    lines = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in lines if isinstance(line, dict)]


def read_regions(path: Path) -> list[tuple[str, Counter]]:
    """All closed regions in order."""
    lines = [line for line in read_lines(path) if "counters" in line]
    return [(str(line["region"]), Counter(line["counters"])) for line in lines]


def has_ended(regions: list[tuple[str, Counter]]) -> bool:
    """Whether the emulator wrote its last line, with the sums of all."""
    return bool(regions) and regions[-1][0] == _TOTAL


def complaints(regions: list[tuple[str, Counter]]) -> list[str]:
    """What is wrong with the file as a whole."""
    if not has_ended(regions):
        return ["its end is missing"]
    total = regions[-1][1]
    sums: Counter = Counter()
    for _, counters in regions[:-1]:
        sums.update(counters)
    # There may be too many pages to count each in the sum.
    names = [name for name in total.keys() | sums.keys() if ".page." not in name]
    different = [name for name in names if total[name] != sums[name]]
    wrong = [f"{name} is {total[name]}, in the regions {sums[name]}" for name in sorted(different)]
    if total["vmentry.L1"] and not total["tlbsan.walks"]:
        wrong.append("guests ran, and the oracle has seen no page walk")
    return wrong


def step_begun(region: str, steps: list[str], before: str) -> str:
    """The step that runs from the mark REGION on, where BEFORE ran until it."""
    number = _STEP.match(region)
    if number and 0 < int(number[1]) <= len(steps):
        return steps[int(number[1]) - 1]
    return OUTSIDE if region == BETWEEN_STEPS else before


def by_step(regions: list[tuple[str, Counter]], steps: list[str]) -> dict[str, Regions]:
    """For each of STEPS, in the order they run, and OUTSIDE of them: the regions summed by
    name; "" has all of the step together."""
    result: dict[str, Regions] = {}
    step = OUTSIDE
    for name, counters in regions[:-1] if has_ended(regions) else regions:
        step = step_begun(name, steps, step)
        own = result.setdefault(step, {"": Counter()})
        own[""].update(counters)
        own.setdefault(name, Counter()).update(counters)
    return result
