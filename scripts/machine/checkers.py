# SPDX-License-Identifier: GPL-2.0
"""The kernel's own checkers: each that is configured must report what selftests/module/splats.c
does on purpose, at the end of every machine. A checker that had switched itself off, or a report
that the runner does not know, would look like a kernel without a fault."""

from __future__ import annotations

from pathlib import Path

import image
from plan import Group, Step

MODULE = "splats"
GROUP = "checkers"
# (option, what splats.ko is told, the kind of fault that must be found). Lockdep is the last: it
# is off after its first report.
_CHECKERS = (
    ("DEBUG_ATOMIC_SLEEP", "sleep", "sleeping function"),
    ("DEBUG_PREEMPT", "preempt", "preemptible"),
    ("PROVE_RCU", "rcu", "RCU"),
    ("UBSAN_SHIFT", "ubsan", "UBSAN"),
    ("KCSAN", "kcsan", "KCSAN"),
    ("KASAN", "kasan", "KASAN"),
    # Else the kernel does not go on after a report.
    ("CFI_PERMISSIVE", "cfi", "CFI"),
    ("PROVE_LOCKING", "lockdep", "lockdep"),
)

# An unsigned module is refused, and for that reason.
_UNSIGNED = f"insmod /modules/{image.UNSIGNED} 2>&1 | grep 'Key was rejected'"


def group(kernel: Path, state: str = "absent") -> Group | None:
    """What each of KERNEL's checkers must report, with the module in STATE; None if it has none."""
    steps = tuple(
        Step(f"{MODULE}[{what}]", ("sh", "-c", _command(what)), 60, provokes=kind)
        for option, what, kind in _CHECKERS
        if image.configured(kernel, option, "y")
    )
    if image.configured(kernel, "MODULE_SIG_FORCE", "y"):
        steps += (Step("unsigned", ("sh", "-c", _UNSIGNED)),)
    title = "the kernel's checkers report what is done on purpose"
    return Group(GROUP, title, state, steps) if steps else None


def _command(what: str) -> str:
    return f"insmod /modules/{MODULE}.ko what={what} && rmmod {MODULE}"
