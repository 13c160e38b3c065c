# SPDX-License-Identifier: GPL-2.0
"""Which test has noticed an edit of the module."""

from __future__ import annotations

import unittest
from pathlib import Path
from types import SimpleNamespace

from boots import Boot, Finished
from console import Console
from errors import MachineError
from mutant_list import Mutant
from mutants import Trial, _collect, choose
from plan import Group, Plan, Step
from session import Outcome


class Chosen(unittest.TestCase):
    """Which are run."""

    def test_names_and_rules(self) -> None:
        a, b, c = Mutant("a", "T4"), Mutant("b", "T4"), Mutant("c", "V9")
        self.assertEqual(choose([a, b, c], None), [a, b, c])
        self.assertEqual(choose([a, b, c], "c T4"), [a, b, c])
        self.assertEqual(choose([a, b, c], "b"), [b])
        with self.assertRaisesRegex(MachineError, "no rule, V8 d in"):
            choose([a, b, c], "a d V8")


class Collected(unittest.TestCase):
    """From the results to what caught it."""

    def _caught(self, *lines: str) -> list[str]:
        steps = tuple(Step(name, (f"/tests/{name}",)) for name in ("a", "b"))
        plan = Plan((Group("edit", "", "loaded", steps),))
        console = Console()
        for line in lines:
            console.tests_line(line)
        parts = SimpleNamespace(emulator=SimpleNamespace(leaves_out=False))
        boot = Boot("machine", plan, (), parts)
        finished = Finished(boot, Outcome(console, Path(), 0, 0, 0, 0), None)
        mutant = Mutant("edit", "T4")
        _collect(finished, [Trial(mutant, "", steps, ())])
        return mutant.caught_by

    def test_what_failed(self) -> None:
        insmod = "@machine begin edit/insmod", "@machine end edit/insmod 0 1 2"
        passed = "@machine begin edit/a", "@machine end edit/a 0 1 2"
        failed = "@machine begin edit/b", "@machine end edit/b 254 1 2"
        self.assertEqual(self._caught(*insmod, *passed, *failed), ["b"])

    def test_the_one_that_the_machine_ended_in_and_none_behind_it(self) -> None:
        insmod = "@machine begin edit/insmod", "@machine end edit/insmod 0 1 2"
        self.assertEqual(self._caught(*insmod, "@machine begin edit/a"), ["a"])


if __name__ == "__main__":
    unittest.main()
