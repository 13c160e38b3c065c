# SPDX-License-Identifier: GPL-2.0
"""What the emulator's simulated TLB missed, per round trip."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

_COUNTER = re.compile(r"^sim\.(root|L1|L2)\.vpid\.\d+\.(accesses|l1_misses|l2_misses)$")
# Figure -> what the table calls it. A level 2 miss is a walk.
FIGURES = {
    "l1_misses": "level 1 misses",
    "l2_misses": "level 2 misses",
    "l2_misses.root": "  of them in L0",
    "l2_misses.L1": "  of them in L1",
    "l2_misses.L2": "  of them in L2",
}

Misses = dict[str, float]


def per_round(counters: Counter, rounds: int) -> Misses:
    """By figure, all VPIDs together; nothing where no TLB was simulated."""
    result: Misses = {}
    for name, value in counters.items():
        match = _COUNTER.match(name)
        if not match:
            continue
        level, figure = match.groups()
        for key in (figure, f"{figure}.{level}"):
            result[key] = result.get(key, 0) + value / rounds
    if not result:
        return {}
    return {key: result.get(key, 0) for key in ("accesses", *FIGURES)}


def summarise(samples: list[Misses]) -> Misses:
    """The median of each figure."""
    return {key: median(sample[key] for sample in samples) for key in samples[0]}


def render(sizes: str, kinds: dict[str, str], table: dict[str, dict[str, Misses]]) -> str:
    """The table as text: region -> kind -> figures. KINDS: kind -> the head of its column."""
    lines = [
        f"simulated TLB ({sizes}): misses per nested round trip (L0 + L1 + L2, median)",
        f"{'region':<24}{'':<16}" + "".join(f"{head:>11}" for head in kinds.values()),
    ]
    for region, row in table.items():
        name = region
        for figure, text in FIGURES.items():
            cells = (f"{row[kind][figure]:.1f}" if kind in row else "-" for kind in kinds)
            lines.append(f"{name:<24}{text:<16}" + "".join(f"{cell:>11}" for cell in cells))
            name = ""
    return "\n".join(lines)
