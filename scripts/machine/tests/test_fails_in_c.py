# SPDX-License-Identifier: GPL-2.0
"""Runs that show a bug of KVM: listed to fail where C decides."""

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
from reports import Report
from suite import OWN_PLAN, with_parameters
from testlist import Entry, read_own_plan, read_upstream_list
from tests.test_reports import line
from witness import Regions

REGIONS = {f"{group}/a": {"": Counter(), "r": Counter()} for group in ("absent", "loaded")}
SAYS, COUNTS = "says status 0", "counts r invept.all"
STALE = "stale other_page hypercall body"


def _judge(status: int, *output: str, group: str = "absent", listed: tuple = (SAYS,)) -> Result:
    """What becomes of a step that is LISTED to fail, and ended with STATUS in GROUP."""
    console = _console(status, *output, group=group)
    return verdict.judge(_plan(group, *listed), console, REGIONS)[-2]


def _plan(group: str, *listed: str) -> Plan:
    step = Step("a", ("/tests/a",), 20, may_skip=True, fails_in_c=listed or (SAYS,))
    return Plan((Group(group, "title", group, (step,)),))


def _report(**changed: object) -> Report:
    """A hypercall's flush was lost, and `body` has used the page."""
    raw = {"cause": "invalidated", "by": "hypercall"} | changed
    return Report(line("step.1", **raw), {"r": 1}, function="body")


def _stale(**findings: int) -> dict[str, Regions]:
    """What the emulator has counted."""
    counted = Counter({f"tlbsan.stale.{name}": number for name, number in findings.items()})
    counted["tlbsan.stale"] = sum(findings.values())
    return {"absent/a": {"": counted}}


def _console(status: int, *output: str, group: str = "absent") -> Console:
    console = Console()
    for text in (f"@machine begin {group}/a", *output, f"@machine end {group}/a {status} 1.0 2.0"):
        console.tests_line(text)
    console.done = True
    return console


class Verdicts(unittest.TestCase):
    """A failure that proves, and all that does not."""

    def test_failing_is_the_proof(self) -> None:
        for status in (1, 254):
            result = _judge(status, "status 0")
            self.assertIs(result.status, Status.PASSED)
            proof = [f"exit code {status}", "it says status 0"]
            self.assertEqual((result.proof, result.reasons), (proof, []))

    def test_only_what_is_listed_is_a_proof(self) -> None:
        self.assertIs(_judge(254, "  status 0", "# x", "").status, Status.PASSED)
        for output in (("status 00",), ("my_status 0",), ("status 0", "status 1"), ()):
            result = _judge(254, *output)
            self.assertIs(result.status, Status.FAILED, output)
            self.assertIn("listed, but did not happen: says status 0", result.reasons)
        self.assertIn("not listed: says nothing", _judge(254).reasons)

    def test_the_witness_proves(self) -> None:
        result = _judge(0, "# witness r invept.all >= 1", listed=(COUNTS,))
        self.assertIs(result.status, Status.PASSED)
        self.assertIn("r: invept.all is 0", result.proof[0])

    def test_another_count_does_not(self) -> None:
        more = ("# witness r invept.all >= 1", "# witness r invept.single >= 1")
        for output in (more, more[1:]):
            result = _judge(0, *output, listed=(COUNTS,))
            self.assertIs(result.status, Status.FAILED)
            self.assertIn("not listed: counts r invept.single", result.reasons)

    def test_the_oracle_proves(self) -> None:
        result = self._with_reports(_report())
        self.assertEqual((result.status, result.reasons), (Status.PASSED, []))

    def test_another_report_does_not(self) -> None:
        elsewhere = _report()
        elsewhere.function = "other"
        for added, name in (
            (_report(finding="dirty"), "stale dirty hypercall body"),
            (_report(by="pv_flush"), "stale other_page pv_flush body"),
            (_report(cause="other_vcpu", by=""), "stale other_page other_vcpu body"),
            (elsewhere, "stale other_page hypercall other"),
        ):
            for reports in ((_report(), added), (added,)):
                result = self._with_reports(*reports)
                self.assertIs(result.status, Status.FAILED, name)
                self.assertIn(f"not listed: {name}", result.reasons)

    def test_what_was_not_written_could_be_another(self) -> None:
        result = self._with_reports(_report(), counted=_stale(other_page=1, dirty=1))
        self.assertIn("not listed: stale dirty, without a report", result.reasons)
        many = _report()
        many.regions["r"] = 200
        result = self._with_reports(many)
        self.assertIn("not listed: stale: not all of r was written", result.reasons)

    def test_a_note_is_none(self) -> None:
        note = _report(report="guestowned", finding="dirty", cause="guest", by="")
        self.assertIs(self._with_reports(_report(), note).status, Status.PASSED)

    def test_all_that_is_listed_must_come(self) -> None:
        output = ("# witness r invept.all >= 1",)
        result = _judge(0, *output, listed=(COUNTS, STALE))
        self.assertEqual(result.reasons[1:], [f"listed, but did not happen: {STALE}"])

    def _with_reports(self, *reports: Report, counted: dict | None = None) -> Result:
        plan, console = _plan("absent", STALE), _console(0)
        found = {"absent/a": list(reports)}
        return verdict.judge(plan, console, counted or _stale(other_page=1), found)[0]

    def test_passing_is_a_failure(self) -> None:
        result = _judge(0)
        self.assertIs(result.status, Status.FAILED)
        self.assertIn("listed to fail in C", result.reasons[0])

    def test_in_rust_it_must_pass(self) -> None:
        self.assertIs(_judge(0, group="loaded").status, Status.PASSED)
        self.assertIs(_judge(254, "status 0", group="loaded").status, Status.FAILED)

    def test_what_proves_nothing(self) -> None:
        for status in (137, 139, 2):
            self.assertIs(_judge(status, "status 0").status, Status.FAILED)
        never = _judge(0, "# witness r invept.all >= 1", "# witness s invept.all >= 1")
        self.assertIs(never.status, Status.FAILED)
        self.assertIs(_judge(4, "no VMX").status, Status.SKIPPED)
        bad = _judge(0, "# witness r invept.all >= 1", "# witness r", listed=(COUNTS,))
        self.assertIs(bad.status, Status.FAILED)
        plan, console = _plan("absent"), _console(254, "status 0")
        self.assertIs(verdict.judge(plan, console, REGIONS)[0].status, Status.PASSED)
        console.steps["absent/a"].faults.append(Fault("WARN", "cut here", False))
        self.assertIs(verdict.judge(plan, console, REGIONS)[0].status, Status.FAILED)
        never = verdict.judge(plan, Console(), REGIONS)[0]
        self.assertEqual(never.reasons[0], "planned, but never ran")
        self.assertIs(never.status, Status.FAILED)

    def test_without_the_emulator(self) -> None:
        def status(listed: str, code: int, *output: str) -> Status:
            plan, console = _plan("absent", listed), _console(code, *output)
            return verdict.judge(plan, console, None, leave_out=True)[0].status

        self.assertIs(status(SAYS, 254, "status 0"), Status.PASSED)
        self.assertIs(status(SAYS, 254, "status 1"), Status.FAILED)
        self.assertIs(status(COUNTS, 0), Status.SKIPPED)
        self.assertIs(status(COUNTS, 254, "status 0"), Status.FAILED)
        # A real CPU may read through it.
        self.assertIs(status(STALE, 254, "the old value"), Status.PASSED)

    def test_shown(self) -> None:
        out = io.StringIO()
        write_ktap([("absent", "title")], [_judge(254, "status 0")], out)
        shown = "  # a fails, as listed: exit code 254\n  # a fails, as listed: it says status 0\n"
        self.assertIn(f"{shown}  ok 1 a\n", out.getvalue())


HOW = "says x == y: by chance"


class ByChance(unittest.TestCase):
    """What may fail in C, with some parameters."""

    def _judge(
        self, group: str, status: int, parameters: str = "vpid=0 ept=0", says: str = "x == y"
    ) -> Result:
        plan = Plan((Group(group, "title", group, (self._read(parameters).step,)),))
        return verdict.judge(plan, _console(status, says, group=group), REGIONS)[0]

    def _read(self, parameters: str, *lines: str) -> Entry:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write("\n".join(["run a 20", *(lines or [f"may-fail a ept=0 {HOW}"])]))
            file.flush()
            return with_parameters(read_upstream_list(Path(file.name)).entries, parameters)[0]

    def test_in_c(self) -> None:
        result = self._judge("absent", 254)
        self.assertIs(result.status, Status.PASSED)
        self.assertEqual(result.proof, ["exit code 254", "it says x == y", "by chance"])
        self.assertIs(self._judge("absent", 0).status, Status.PASSED)
        self.assertIs(self._judge("absent", 139).status, Status.FAILED)
        self.assertIs(self._judge("absent", 254, says="z == y").status, Status.FAILED)

    def test_nowhere_else(self) -> None:
        self.assertIs(self._judge("loaded", 254).status, Status.FAILED)
        self.assertIs(self._judge("absent", 254, "vpid=0").status, Status.FAILED)
        self.assertIs(self._judge("absent", 254, "").status, Status.FAILED)

    def test_bad_lines(self) -> None:
        for text in (
            "may-fail a ept=0",
            "may-fail a ept=0 by chance",
            "may-fail a ept=0 by: chance",
            f"may-fail a {HOW}",
            f"may-fail b ept=0 {HOW}",
        ):
            with self.assertRaises(MachineError, msg=text):
                self._read("", text)


class InThePlan(unittest.TestCase):
    """How the plan says so."""

    def _read(self, mark: str) -> Entry:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write(f"a | - | 60 | - | {mark}\n")
            file.flush()
            return read_own_plan(Path(file.name)).entries[0]

    def test_marks(self) -> None:
        self.assertFalse(self._read("-").step.fails_in_c)
        listed = self._read(f"fails:C X1 X4 | {SAYS}; {COUNTS};{STALE}").step.fails_in_c
        self.assertEqual(listed, (SAYS, COUNTS, STALE))

    def test_bad_marks(self) -> None:
        for mark in ("fails:Rust X1", "fails:C,Rust X1", "fails: X1", "fails:C", "X1", "-", "long"):
            with self.assertRaises(MachineError, msg=mark):
                self._read(f"{mark} | {SAYS}")
        for mark in ("X1", "short"):
            with self.assertRaises(MachineError, msg=mark):
                self._read(mark)
        for failures in (
            "",
            " | ",
            " | says",
            " | x y",
            " | counts r",
            " | stale a b c d",
            f" | {SAYS};",
        ):
            with self.assertRaises(MachineError, msg=failures):
                self._read(f"fails:C X1{failures}")

    def test_only_with_its_own_parameters(self) -> None:
        entries = [self._read(f"fails:C X1 | {SAYS}"), self._read("-")]
        self.assertFalse(with_parameters(entries, "ept=0")[0].step.fails_in_c)
        self.assertEqual(len(with_parameters(entries, "ept=0")), 1)
        self.assertEqual(with_parameters(entries, ""), entries)

    def test_the_committed_plan_has_some(self) -> None:
        self.assertTrue([e for e in read_own_plan(OWN_PLAN).entries if e.step.fails_in_c])


if __name__ == "__main__":
    unittest.main()
