# SPDX-License-Identifier: GPL-2.0
"""What kvm-unit-tests print is counted as it is meant."""

from __future__ import annotations

import contextlib
import io
import unittest

from kvm_unit_tests import CASES, C, RUST, judge, make_plan, read_output
from plan import guest_script
from results import Result, Status

_GOOD = ["Test suite: invvpid_test", "PASS: INVVPID type 0: all", "SKIP: PCID", "SUMMARY: 2 tests"]
_BAD = [*_GOOD, "FAIL: L2 sees the new page"]
_CASES = {"vpid": "VPID"}


def _result(group: str, output: list[str], status: Status = Status.PASSED) -> Result:
    return Result(group, "vpid", status, output=output)


def _judge(*results: Result) -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()):
        return judge(list(results), _CASES)


class Output(unittest.TestCase):
    """One run."""

    def test_each_kind(self) -> None:
        summary = read_output(_BAD)
        self.assertEqual(str(summary), "1 PASS, 1 FAIL, 0 XFAIL, 1 SKIP")
        self.assertEqual(summary.failed, {"L2 sees the new page"})


class Judgement(unittest.TestCase):
    """C and Rust."""

    def test_well(self) -> None:
        self.assertEqual(_judge(_result(C, _GOOD), _result(RUST, _GOOD)), [])
        # What fails in C alone is not ours.
        self.assertEqual(_judge(_result(C, _BAD), _result(RUST, _GOOD)), [])

    def test_rust_fails(self) -> None:
        [line] = _judge(_result(C, _GOOD), _result(RUST, _BAD))
        self.assertEqual(line, "vpid: fails in Rust alone: L2 sees the new page")
        [line] = _judge(_result(C, _BAD), _result(RUST, _BAD))
        self.assertEqual(line, "vpid: fails in C as well: L2 sees the new page")

    def test_it_reported_nothing(self) -> None:
        [line] = _judge(_result(C, _GOOD), _result(RUST, ["QEMU ended with status 1"]))
        self.assertEqual(line, "vpid, loaded: no check reported")
        self.assertEqual(_judge(_result(C, _GOOD)), ["vpid, loaded: no check reported"])

    def test_the_oracle(self) -> None:
        stale = Result(RUST, "vpid", Status.FAILED, ["tlbsan: 2 stale"], output=_GOOD)
        self.assertEqual(_judge(_result(C, _GOOD), stale), ["vpid, loaded: tlbsan: 2 stale"])


class ThePlan(unittest.TestCase):
    """What the machine is told."""

    def test_all_cases_twice(self) -> None:
        script = guest_script(make_plan(CASES))
        self.assertEqual(script.count("/bin/kvm-unit-test VPID"), 2)
        self.assertEqual(script.count("ept_access*"), 2)


if __name__ == "__main__":
    unittest.main()
