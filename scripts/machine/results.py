# SPDX-License-Identifier: GPL-2.0
"""Results: KTAP for people and tools, JSON beside it, and the last line's three numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TextIO

from reports import GUEST_OWNED, STALE


class Status(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass
class Result:
    """One test of one group."""

    group: str
    name: str
    status: Status
    # Why it failed (all reasons) or was skipped.
    reasons: list[str] = field(default_factory=list)
    # The names of its failures (expected.py), and what has none.
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    output: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)
    witness: dict[str, dict[str, int]] = field(default_factory=dict)
    # Why it failed where it is listed to fail, which is a pass.
    proof: list[str] = field(default_factory=list)
    # What it expects of the emulator's counts, where there are none.
    left_out: list[str] = field(default_factory=list)
    # What the oracle found, by finding, and its reports.
    stale: dict[str, int] = field(default_factory=dict)
    guestowned: dict[str, int] = field(default_factory=dict)
    reports: list[dict] = field(default_factory=list)


_SHOWN_REASONS = 15
_SHOWN_OUTPUT = 15
_SHOWN_LEFT_OUT = 3
_SHOWN_WIDTH = 160


def write_ktap(groups: list[tuple[str, str]], results: list[Result], out: TextIO) -> None:
    """KTAP with a subtest for each of GROUPS, given as (name, title)."""
    print(f"KTAP version 1\n1..{len(groups)}", file=out)
    for number, (name, title) in enumerate(groups, start=1):
        own = [result for result in results if result.group == name]
        print(f"  KTAP version 1\n  # Subtest: {name}: {title}\n  1..{len(own)}", file=out)
        for index, result in enumerate(own, start=1):
            _write_result(index, result, out)
        failed = any_failed(own)
        skipped = all(result.status is Status.SKIPPED for result in own)
        skip = " # SKIP nothing ran" if skipped else ""
        print(f"{'not ok' if failed else 'ok'} {number} {name}{skip}", file=out)


def any_failed(results: list[Result]) -> bool:
    """Whether one of them failed."""
    return any(result.status is Status.FAILED for result in results)


def describe(kind: str, findings: dict[str, int]) -> str:
    """`N KIND (NAME N, NAME N)`."""
    each = ", ".join(f"{name} {number}" for name, number in sorted(findings.items()))
    return f"{sum(findings.values())} {kind} ({each})"


def stale_text(result: Result) -> list[str]:
    """The oracle's reports of stale translations, in words."""
    stale = [report for report in result.reports if report["raw"]["report"] == STALE]
    lines = [line for report in stale for line in report["text"]]
    more = [report for report in stale if not report["text"]]
    if more:
        number = sum(sum(report["regions"].values()) for report in more)
        lines.append(f"and {number} more, of {len(more)} kinds: all of them are in reports.jsonl")
    return lines


def _write_result(index: int, result: Result, out: TextIO) -> None:
    if result.guestowned:
        print(f"  # {describe(GUEST_OWNED, result.guestowned)} in {result.name}", file=out)
    if result.left_out:
        more = len(result.left_out) - _SHOWN_LEFT_OUT
        shown = ", ".join(result.left_out[:_SHOWN_LEFT_OUT]) + (f", and {more} more" * (more > 0))
        print(f"  # not checked in {result.name}, for want of counts: {shown}", file=out)
    for reason in result.proof[:_SHOWN_REASONS]:
        print(f"  # {result.name} fails, as listed: {reason}", file=out)
    if result.status is Status.SKIPPED:
        why = "; ".join(result.reasons) or "no reason given"
        print(f"  ok {index} {result.name} # SKIP {why}", file=out)
        return
    if result.status is Status.FAILED:
        for reason in result.reasons[:_SHOWN_REASONS]:
            print(f"  # {result.name}: {reason}", file=out)
        if len(result.reasons) > _SHOWN_REASONS:
            more = len(result.reasons) - _SHOWN_REASONS
            print(f"  # {result.name}: and {more} more reasons", file=out)
        for line in stale_text(result):
            print(f"  #   {line}", file=out)
        for line in result.output[-_SHOWN_OUTPUT:]:
            print(f"  # | {line[:_SHOWN_WIDTH]}", file=out)
    verdict = "not ok" if result.status is Status.FAILED else "ok"
    print(f"  {verdict} {index} {result.name}", file=out)


def summary(results: list[Result]) -> str:
    """`N passed, N failed, N skipped`."""
    count = Counter(result.status for result in results)
    return ", ".join(f"{count[status]} {status.value}" for status in Status)
