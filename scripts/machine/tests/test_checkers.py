# SPDX-License-Identifier: GPL-2.0
"""The kernel's checkers: who is asked to report, and what counts as a report."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import checkers
import verdict
from console import Console
from plan import Group, Plan
from results import Result, Status

# As they come after the mark of a step, from kernels with these checkers.
REPORTS = {
    "sleeping function": "BUG: sleeping function called from invalid context at a.c:58",
    "preemptible": "BUG: using smp_processor_id() in preemptible [00000000] code: insmod/87",
    "RCU": "WARNING: suspicious RCU usage",
    "UBSAN": "UBSAN: shift-out-of-bounds in selftests/module/splats.c:76:20",
    "KCSAN": "BUG: KCSAN: data-race in count [splats] / race [splats]",
    "KASAN": "BUG: KASAN: slab-out-of-bounds in out_of_bounds+0x66/0xa0 [splats]",
    "CFI": "CFI failure at other_type+0x1f/0x30 [splats] (target: called+0x0/0x10 [splats])",
    "lockdep": "WARNING: possible circular locking dependency detected",
}


def _group(*options: str) -> Group | None:
    with tempfile.TemporaryDirectory() as kernel:
        text = "".join(f"CONFIG_{option}=y\n" for option in options)
        (Path(kernel) / ".config").write_text(text, encoding="utf-8")
        return checkers.group(Path(kernel))


class Checkers(unittest.TestCase):
    """What a kernel with checkers must report, and what if it does not."""

    def _judge(self, group: Group, *lines: str) -> list[Result]:
        console = Console()
        for step in group.steps:
            name = f"{group.name}/{step.name}"
            console.tests_line(f"@machine begin {name}")
            console.kernel_line(f"[ 1.0] machine: begin {name}")
            for line in lines:
                console.kernel_line(f"[ 1.0] {line}")
            console.kernel_line(f"[ 1.0] machine: end {name}")
            console.tests_line(f"@machine end {name} 0 1.0 2.0")
        console.done = True
        return verdict.judge(Plan((group,)), console, None)

    def test_a_kernel_without_them(self) -> None:
        self.assertIsNone(_group("SMP"))

    def test_each_is_asked(self) -> None:
        group = _group(*(option for option, _, _ in checkers._CHECKERS))
        self.assertEqual({step.provokes for step in group.steps}, set(REPORTS))

    def test_only_its_own_report_will_do(self) -> None:
        for option, _, wanted in checkers._CHECKERS:
            group = _group(option)
            for kind, line in REPORTS.items():
                step, machine = self._judge(group, line)
                expected = Status.PASSED if kind == wanted else Status.FAILED
                self.assertIs(step.status, expected, f"{option}: {line}")
                self.assertIs(machine.status, Status.PASSED)

    def test_no_report_is_a_failure(self) -> None:
        step, _ = self._judge(_group("KASAN"), "splats: 0")
        self.assertEqual(step.reasons, ["no report of KASAN was found"])

    def test_an_unsigned_module(self) -> None:
        group = _group("MODULE_SIG_FORCE")
        self.assertEqual([step.name for step in group.steps], ["unsigned"])


if __name__ == "__main__":
    unittest.main()
