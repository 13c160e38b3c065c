# SPDX-License-Identifier: GPL-2.0
"""Runs that prove a hole: listed to fail where C decides."""

from __future__ import annotations

import io
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import verdict
from console import Console
from errors import MachineError
from faults import Fault
from plan import Group, Plan, Step
from results import Result, Status, write_ktap
from suite import OWN_PLAN, with_parameters
from testlist import Entry, read_own_plan, read_upstream_list

REGIONS = {f"{group}/a": {"": Counter(), "r": Counter()} for group in ("absent", "loaded")}


def _judge(status: int, *output: str, group: str = "absent") -> Result:
    """What becomes of a step that ended with STATUS in GROUP."""
    console = _console(status, *output, group=group)
    return verdict.judge(_plan(group), console, REGIONS)[-2]


def _plan(group: str) -> Plan:
    step = Step("a", ("/tests/a",), 20, may_skip=True, fails_in_c=True)
    return Plan((Group(group, "title", group, (step,)),))


def _console(status: int, *output: str, group: str = "absent") -> Console:
    console = Console()
    for line in (f"@machine begin {group}/a", *output, f"@machine end {group}/a {status} 1.0 2.0"):
        console.tests_line(line)
    console.done = True
    return console


class Verdicts(unittest.TestCase):
    """A failure that proves, and all that does not."""

    def test_failing_is_the_proof(self) -> None:
        for status in (1, 254):
            result = _judge(status)
            self.assertIs(result.status, Status.PASSED)
            self.assertEqual((result.proof, result.reasons), ([f"exit code {status}"], []))

    def test_it_has_the_last_word(self) -> None:
        result = _judge(254, "  status 0", "# witness r invept.all == 0", "")
        self.assertEqual(result.proof, ["exit code 254", "it says: status 0"])

    def test_the_witness_proves(self) -> None:
        result = _judge(0, "# witness r invept.all >= 1")
        self.assertIs(result.status, Status.PASSED)
        self.assertIn("r: invept.all is 0", result.proof[0])

    def test_the_oracle_proves(self) -> None:
        regions = {"absent/a": {"": Counter({"tlbsan.stale": 3, "tlbsan.stale.other_page": 3})}}
        plan, console = _plan("absent"), _console(0)
        self.assertIs(verdict.judge(plan, console, regions)[0].status, Status.PASSED)
        self.assertIs(verdict.judge(plan, console, {})[0].status, Status.FAILED)

    def test_passing_is_a_failure(self) -> None:
        result = _judge(0)
        self.assertIs(result.status, Status.FAILED)
        self.assertIn("the hole is closed", result.reasons[0])

    def test_in_rust_it_must_pass(self) -> None:
        self.assertIs(_judge(0, group="loaded").status, Status.PASSED)
        self.assertIs(_judge(1, group="loaded").status, Status.FAILED)

    def test_what_proves_nothing(self) -> None:
        self.assertIs(_judge(137).status, Status.FAILED)
        self.assertIs(_judge(139).status, Status.FAILED)
        self.assertIs(_judge(0, "# witness never.there invept.all >= 1").status, Status.FAILED)
        self.assertIs(_judge(4, "no VMX").status, Status.SKIPPED)
        plan, console = _plan("absent"), _console(1)
        console.steps["absent/a"].faults.append(Fault("WARN", "cut here", False))
        self.assertIs(verdict.judge(plan, console, REGIONS)[0].status, Status.FAILED)
        never = verdict.judge(plan, Console(), REGIONS)[0]
        self.assertEqual(never.reasons, ["planned, but never ran"])
        self.assertIs(never.status, Status.FAILED)

    def test_shown(self) -> None:
        out = io.StringIO()
        write_ktap([("absent", "title")], [_judge(1)], out)
        self.assertIn("  # a fails, as listed: exit code 1\n  ok 1 a\n", out.getvalue())


class ByChance(unittest.TestCase):
    """What may fail in C, with some parameters."""

    def _judge(self, group: str, status: int, parameters: str = "vpid=0 ept=0") -> Result:
        plan = Plan((Group(group, "title", group, (self._read(parameters).step,)),))
        return verdict.judge(plan, _console(status, group=group), REGIONS)[0]

    def _read(self, parameters: str, *lines: str) -> Entry:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write("\n".join(["run a 20", *(lines or ["may-fail a ept=0 by chance"])]))
            file.flush()
            return with_parameters(read_upstream_list(Path(file.name)).entries, parameters)[0]

    def test_in_c(self) -> None:
        result = self._judge("absent", 254)
        self.assertIs(result.status, Status.PASSED)
        self.assertEqual(result.proof, ["exit code 254", "by chance"])
        self.assertIs(self._judge("absent", 0).status, Status.PASSED)
        self.assertIs(self._judge("absent", 139).status, Status.FAILED)

    def test_nowhere_else(self) -> None:
        self.assertIs(self._judge("loaded", 254).status, Status.FAILED)
        self.assertIs(self._judge("absent", 254, "vpid=0").status, Status.FAILED)
        self.assertIs(self._judge("absent", 254, "").status, Status.FAILED)

    def test_bad_lines(self) -> None:
        for line in ("may-fail a ept=0", "may-fail a by chance", "may-fail b ept=0 by chance"):
            with self.assertRaises(MachineError, msg=line):
                self._read("", line)


class InThePlan(unittest.TestCase):
    """How the plan says so."""

    def _read(self, rules: str) -> Entry:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write(f"a | - | 60 | - | {rules}\n")
            file.flush()
            return read_own_plan(Path(file.name)).entries[0]

    def test_marks(self) -> None:
        self.assertFalse(self._read("X1").step.fails_in_c)
        self.assertTrue(self._read("fails:C X1 X4").step.fails_in_c)

    def test_bad_marks(self) -> None:
        for rules in ("fails:Rust X1", "fails:C,Rust X1", "fails: X1", "fails:C"):
            with self.assertRaises(MachineError, msg=rules):
                self._read(rules)

    def test_only_with_its_own_parameters(self) -> None:
        entries = [self._read("fails:C X1"), self._read("X1")]
        self.assertFalse(with_parameters(entries, "ept=0")[0].step.fails_in_c)
        self.assertEqual(len(with_parameters(entries, "ept=0")), 1)
        self.assertEqual(with_parameters(entries, ""), entries)

    def test_the_committed_plan_has_some(self) -> None:
        self.assertTrue([e for e in read_own_plan(OWN_PLAN).entries if e.step.fails_in_c])


if __name__ == "__main__":
    unittest.main()
