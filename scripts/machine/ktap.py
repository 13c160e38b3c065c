# SPDX-License-Identifier: GPL-2.0
"""What a program's own KTAP says: one may print `not ok`, or stop early, and exit with 0."""

from __future__ import annotations

import re

_PLAN = re.compile(r"1\.\.([1-9]\d*)")
_RESULT = re.compile(r"(ok|not ok) \d+\b(.*)")
# A line `not ok` with such a directive is no failure.
_EXCUSED = re.compile(r"# *(SKIP|TODO|XFAIL)\b", re.IGNORECASE)


def complaints(output: list[str]) -> list[str]:
    """What is wrong with the subtests in OUTPUT; nothing if there are none."""
    plans = [int(match[1]) for line in output if (match := _PLAN.fullmatch(line))]
    results = [match for line in output if (match := _RESULT.fullmatch(line))]
    wrong = [
        f"exit code 0, but: {match[0]}"
        for match in results
        if match[1] == "not ok" and not _EXCUSED.search(match[2])
    ]
    if plans and len(results) != sum(plans):
        wrong.append(f"exit code 0, but {len(results)} of {sum(plans)} subtests have a result")
    return wrong
