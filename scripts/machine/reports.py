# SPDX-License-Identifier: GPL-2.0
"""The oracle's reports: which step each belongs to, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from witness import OUTSIDE, Regions, step_begun

# The hypervisor's debt, and a guest's own.
STALE, GUEST_OWNED = "stale", "guestowned"
_NOT_JUDGED = {
    "tlbsan.forgotten": "entries and guarantees were too many to keep",
    "tlbsan.dropped": "deferred reports of guests that never ran again",
}


@dataclass
class Report:
    """A finding, the first of those alike: by the same code, at other addresses or times."""

    raw: dict
    # How many there are in each region.
    regions: dict[str, int] = field(default_factory=dict)
    # For people; only the first few of a step are explained.
    text: list[str] = field(default_factory=list)
    # What has used the translation: the function's name, or the address.
    function: str = ""

    @property
    def count(self) -> int:
        """How many lines told of it."""
        return sum(self.regions.values())

    @property
    def kind(self) -> str:
        """STALE or GUEST_OWNED."""
        return str(self.raw["report"])

    @property
    def reason(self) -> str:
        """The operation that had invalidated the translation, or why else it was stale."""
        return str(self.raw["by"] or self.raw["cause"])


StepReports = dict[str, list[Report]]


def by_step(found: list[dict], steps: list[str]) -> StepReports:
    """The reports of each of STEPS, and of OUTSIDE, those alike collapsed."""
    result: dict[str, dict[tuple, Report]] = {}
    for raw in found:
        step = step_begun(str(raw["step"]), steps, OUTSIDE)
        alike = tuple(raw[key] for key in ("report", "finding", "cause", "by"))
        alike += raw["now"]["rip"], raw["old"]["rip"]
        own = result.setdefault(step, {})
        regions = own.setdefault(alike, Report(raw)).regions
        regions[raw["region"]] = regions.get(raw["region"], 0) + 1
    return {step: list(own.values()) for step, own in result.items()}


def not_judged(machines: list[dict[str, Regions]]) -> list[str]:
    """What the oracle could not judge in all steps of MACHINES, for people."""
    seen: Counter = Counter()
    for steps in machines:
        for regions in steps.values():
            seen.update({name: regions.get("", Counter())[name] for name in _NOT_JUDGED})
    return [f"tlbsan: {seen[name]} {what}" for name, what in _NOT_JUDGED.items() if seen[name]]


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
