# SPDX-License-Identifier: GPL-2.0
"""The oracle's reports: which step each belongs to, and how many there are of each kind."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from witness import OUTSIDE, Regions, step_begun

# The hypervisor's debt, and a guest's own.
STALE, GUEST_OWNED = "stale", "guestowned"


@dataclass
class Report:
    """A finding; COUNT more lines may have told of the same code at other addresses."""

    raw: dict
    count: int = 1
    # For people, if it was worth explaining.
    text: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """STALE or GUEST_OWNED."""
        return str(self.raw["report"])


StepReports = dict[str, list[Report]]


def read_reports(path: Path) -> list[dict]:
    """All whole lines. A last line cut short (the machine was stopped) is left out."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            raw = json.loads(line)
            _ = raw["report"], raw["region"], raw["finding"], raw["now"], raw["old"]
        except (ValueError, KeyError, TypeError):
            continue
        found.append(raw)
    return found


def by_step(found: list[dict], regions: list[tuple[str, Counter]], steps: list[str]) -> StepReports:
    """The reports of each of STEPS, and of OUTSIDE, those alike collapsed."""
    result: dict[str, dict[tuple, Report]] = {}
    for step, raw in zip(_steps_of(found, regions, steps), found, strict=True):
        now, old = raw["now"], raw["old"]
        alike = (raw["report"], raw["region"], raw["finding"], raw["debt"], now["rip"], old["rip"])
        own = result.setdefault(step, {})
        if alike in own:
            own[alike].count += 1
        else:
            own[alike] = Report(raw)
    return {step: list(own.values()) for step, own in result.items()}


def _steps_of(found: list[dict], regions: list[tuple[str, Counter]], steps: list[str]) -> list[str]:
    """The step of each report, in whose regions it falls. Both lists are in order, and a
    region without findings in its counters has no report."""
    places: list[tuple[str, str]] = []
    step = OUTSIDE
    for name, counters in regions:
        step = step_begun(name, steps, step)
        if counters[f"tlbsan.{STALE}"] or counters[f"tlbsan.{GUEST_OWNED}"]:
            places.append((name, step))
    result = []
    at = 0
    for raw in found:
        if "step" in raw:
            result.append(step_begun(str(raw["step"]), steps, OUTSIDE))
            continue
        while at < len(places) and places[at][0] != raw["region"]:
            at += 1
        # A region that the machine's end cut off has no counters.
        result.append(places[at][1] if at < len(places) else step)
    return result


def findings(kind: str, regions: Regions, reports: list[Report]) -> dict[str, int]:
    """How many of KIND, by finding. The counters know those that were not written, the
    reports those of a region that never ended."""
    prefix = f"tlbsan.{kind}."
    counted = Counter(
        {
            name.removeprefix(prefix): number
            for name, number in regions.get("", Counter()).items()
            if name.startswith(prefix)
        }
    )
    written: Counter = Counter()
    for report in reports:
        if report.kind == kind:
            written[str(report.raw["finding"])] += report.count
    return dict(counted | written)
