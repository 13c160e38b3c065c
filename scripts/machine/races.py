# SPDX-License-Identifier: GPL-2.0
"""Reports of KCSAN, and which of them are about this project's code.

Linux has data races of its own that nobody has marked. One counts as a fault if a function of this
project is on one of its two stacks. Inlined functions are not on a stack: a race in what a C
function of KVM inlines of the series goes by that function's name, and does not count."""

from __future__ import annotations

import re

# The module, what the series adds to KVM, and the modules that tests load.
_OURS = re.compile(
    r"\b(kvm_)?nvmx_\w+\+0x|rust_kvm_nvmx|\[(splats|hooks_client|vpid_exhausted|invalidation_cost)\]"
)
_FUNCTION = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")
_END = "=" * 60
# Longer than two stacks are: the end was lost.
_LONGEST = 120


class RaceReport:
    """One report, whose lines come one by one."""

    def __init__(self, title: str) -> None:
        # "data-race in A / B", without the time.
        self.title = title.partition("BUG: KCSAN: ")[2]
        self.is_ours = bool(_OURS.search(self.title))
        self._lines = 0

    def take(self, line: str) -> bool:
        """Take a line of the log; whether the report is complete."""
        self._lines += 1
        if _FUNCTION.search(line) and _OURS.search(line):
            self.is_ours = True
        return _END in line

    def is_cut(self) -> bool:
        """Whether its end does not come any more."""
        return self._lines > _LONGEST
