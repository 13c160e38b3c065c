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
    "trying to register non-static key",
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
    # The second is SLUB's, with the cache's name.
    ("BUG", False, r"\bBUG: |\] BUG \S+ \("),
    ("WARN", False, r"------------\[ cut here|\bWARNING: "),
    ("refcount", False, r"refcount_t: "),
    ("UBSAN", False, r"UBSAN: "),
    # Any of the above may have been among them.
    ("lost messages", False, r"\*\* \d+ printk messages dropped"),
]
_COMPILED = [(kind, fatal, re.compile(pattern)) for kind, fatal, pattern in _PATTERNS]
# Bits of /proc/sys/kernel/tainted that a kernel sets when something is wrong with it, and nobody
# else: it does so whatever it prints.
_WARNING_BIT = 9
_TAINTS = {
    4: "machine check",
    5: "bad page",
    7: "oops",
    _WARNING_BIT: "warning",
    14: "soft lockup",
}


def find_taints(before: int, now: int) -> list[Fault]:
    """What the kernel has got since it was tainted as BEFORE."""
    new = now & ~before
    what = [
        f"after a {name}, the kernel is tainted" for bit, name in _TAINTS.items() if new >> bit & 1
    ]
    return [Fault("taint", line, False) for line in what]


def without_warning(found: list[Fault], function: str) -> list[Fault]:
    """FOUND without the warning of Linux's own in FUNCTION, if there is no other one."""
    warned = [fault for fault in found if fault.kind == "WARN" and "WARNING: " in fault.line]
    if not function or not warned or any(f" at {function}+" not in each.line for each in warned):
        return found
    taint = {fault.line for fault in find_taints(0, 1 << _WARNING_BIT)}
    return [fault for fault in found if fault.kind != "WARN" and fault.line not in taint]


def find_fault(line: str) -> Fault | None:
    """The fault that this line of the kernel's log reports, if any."""
    for kind, fatal, pattern in _COMPILED:
        if pattern.search(line):
            return Fault(kind, line.strip(), fatal)
    return None
