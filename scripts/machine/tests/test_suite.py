# SPDX-License-Identifier: GPL-2.0
"""`run.py test`: what becomes of several machines' results."""

from __future__ import annotations

import unittest
from collections import Counter
from dataclasses import replace
from pathlib import Path

import fuzz_run
import suite
import verdict
from bochs import Emulator
from boots import Boot, Finished, Parts
from console import Console
from plan import Group, Plan, Step
from results import Result, Status
from session import Limits, Outcome
from vng import Vng

_HERE = Path("/nowhere")
_PARTS = Parts(_HERE, _HERE, Emulator(_HERE), _HERE, Limits(), False)


def _finished(name: str, groups: str, parts: Parts = _PARTS) -> Finished:
    plan = Plan(tuple(Group(each, f"{each}'s title", "absent", ()) for each in groups.split()))
    return Finished(Boot(name, plan, (), parts), Outcome(Console(), _HERE, 1, 1, 1, 1), None)


class Machines(unittest.TestCase):
    """What is asked of them together."""

    def test_groups_that_not_all_have(self) -> None:
        few, many = _finished("a", "absent loaded after"), _finished("b", "absent loaded on after")
        names = ["absent", "loaded", "on", "after"]
        for finished in ([few, many], [many, few]):
            self.assertEqual([name for name, _ in suite._groups_of(finished)], names)

    def test_a_larger_machine_has_vmx_too(self) -> None:
        plain = _finished("machine-1", "absent")
        large = _finished("long-1", "absent", suite._large(_PARTS))
        without = _finished("no-vmx", "refusal", replace(_PARTS, emulator=Vng()))
        self.assertIsNot(large.boot.parts.emulator, plain.boot.parts.emulator)
        self.assertEqual(suite._with_vmx([plain, large, without]), [plain, large])


class Slower(unittest.TestCase):
    """On a kernel with checkers."""

    def test_a_race_need_not_show(self) -> None:
        step = Step("a", ("/tests/a",), 20, fails_in_c=("says status 0",))
        self.assertIs(suite.slowed(step, 1), step)
        slow = suite.slowed(step, 3)
        self.assertEqual((slow.limit, slow.fails_in_c), (60, ()))
        self.assertEqual(self._status(slow, 0, ""), Status.PASSED)
        self.assertEqual(self._status(slow, 254, "status 0"), Status.PASSED)
        self.assertEqual(self._status(slow, 254, "status 1"), Status.FAILED)
        self.assertEqual(self._status(slow, 254, "status 0", "loaded"), Status.FAILED)

    def _status(self, step: Step, status: int, says: str, group: str = "absent") -> Status:
        console = Console()
        begin, end = f"@machine begin {group}/a", f"@machine end {group}/a {status} 1.0 2.0"
        for text in (begin, says, end):
            console.tests_line(text)
        plan = Plan((Group(group, "title", group, (step,)),))
        return verdict.judge(plan, console, {f"{group}/a": {"": Counter()}})[-2].status


class Fuzz(unittest.TestCase):
    """What else than a run may fail."""

    def test_the_machine(self) -> None:
        results = [
            Result("0", fuzz_run.PROGRAM, Status.FAILED, ["a run"]),
            Result("0", "insmod", Status.PASSED, []),
            Result("machine", "no fault outside of the tests", Status.FAILED, ["WARNING"]),
        ]
        found = ["machine/no fault outside of the tests: WARNING"]
        self.assertEqual(fuzz_run.others_failed(results), found)


if __name__ == "__main__":
    unittest.main()
