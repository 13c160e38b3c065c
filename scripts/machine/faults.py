# SPDX-License-Identifier: GPL-2.0
"""What a kernel says when something is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One report of the kernel, or of the runner about the machine."""

    kind: str
    line: str
    # The machine is not worth running on after it.
    fatal: bool


_LOCKDEP = (
    "possible circular locking",
    "possible recursive locking",
    "inconsistent lock state",
    "possible irq lock inversion",
    "bad unlock balance",
    "possible deadlock",
    "held lock freed",
    "lock held when returning to user space",
    "Invalid wait context",
    "held when freeing",
    # It has switched itself off: nothing after this proves anything.
    "turning off the locking correctness validator",
    "Disabling lock debugging due to kernel taint",
    "lockdep is turned off",
)
# (kind, fatal, pattern), the first that matches a line names it.
_PATTERNS = [
    ("panic", True, r"Kernel panic - not syncing"),
    ("oops", True, r"BUG: unable to handle|general protection fault|Oops:|kernel BUG at"),
    ("double fault", True, r"traps: PANIC|double fault:"),
    ("RCU stall", True, r"rcu: INFO: .*(detected stalls|self-detected stall)"),
    ("hung task", True, r"INFO: task .* blocked for more than"),
    ("soft lockup", True, r"watchdog: BUG: (soft|hard) lockup|Watchdog detected hard LOCKUP"),
    ("RCU", False, r"suspicious RCU usage"),
    ("lockdep", False, "|".join(_LOCKDEP)),
    ("KASAN", False, r"BUG: KASAN: "),
    ("KCSAN", False, r"BUG: KCSAN: "),
    ("sleeping function", False, r"BUG: sleeping function called from invalid context"),
    ("preemptible", False, r"BUG: using \w+\(\) in preemptible"),
    ("CFI", False, r"CFI failure at "),
    ("BUG", False, r"\bBUG: "),
    ("WARN", False, r"------------\[ cut here|\bWARNING: "),
    ("refcount", False, r"refcount_t: "),
    ("UBSAN", False, r"UBSAN: "),
]
_COMPILED = [(kind, fatal, re.compile(pattern)) for kind, fatal, pattern in _PATTERNS]


def find_fault(line: str) -> Fault | None:
    """The fault that this line of the kernel's log reports, if any."""
    for kind, fatal, pattern in _COMPILED:
        if pattern.search(line):
            return Fault(kind, line.strip(), fatal)
    return None
