# SPDX-License-Identifier: GPL-2.0
"""The oracle's reports: whose step they are, and what they do to its result."""

from __future__ import annotations

import io
import json
import tempfile
import unittest
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import reports
import verdict
from boots import check_oracle
from console import Console
from plan import Group, Plan, Step
from results import Result, Status, write_ktap
from witness import OUTSIDE, by_step, read_lines, read_regions


def line(step: str, kind: str = reports.STALE, **changed: object) -> dict:
    """A report, as the emulator writes it."""
    raw = {
        "report": kind,
        "step": step,
        "region": "r",
        "finding": "other_page",
        "cause": "other_vpid12",
        "debt": "made under another vpid12",
        "by": "",
        "linear": "0x640000001000",
        "guest": "0x162000",
        "host": "0x15ab000",
        "now": {
            "cpu": 0,
            "level": "L2",
            "rip": "0x402956",
            "cpl": 0,
            "cr3": "0x15d000",
            "vpid": 2,
            "pcid": 0,
            "ep4ta": "0x87d000",
            "vcpu": 1,
            "vpid12": 2,
            "ep4ta12": "0x0",
            "vmcs": "0x838000",
            "instructions": 410474986,
        },
        "old": {
            "guest": "0x115000",
            "host": "0x15ac000",
            "size": 4096,
            "rip": "0x402956",
            "cr3": "0x110000",
            "vcpu": 1,
            "vpid12": 1,
            "ep4ta12": "0x0",
            "vmcs": "0x838000",
            "instructions": 410082347,
        },
        "since": [],
        "promised": [],
    }
    return raw | changed


def region(name: str, stale: int = 0, noted: int = 0) -> tuple[str, Counter]:
    """A region's counters."""
    counters = Counter()
    for kind, number in ((reports.STALE, stale), (reports.GUEST_OWNED, noted)):
        if number:
            counters[f"tlbsan.{kind}"] = counters[f"tlbsan.{kind}.other_page"] = number
    return name, counters


STEPS = ["absent/a", "absent/b"]


class Places(unittest.TestCase):
    """Each report falls in a step, or outside of all."""

    def test_the_step_that_the_emulator_names(self) -> None:
        found = [line(step) for step in ("boot", "step.1", "step.2", "idle")]
        own = reports.by_step(found, STEPS)
        self.assertEqual(
            {step: len(each) for step, each in own.items()},
            {
                OUTSIDE: 1,
                "absent/a": 1,
                "absent/b": 1,
            },
        )
        self.assertEqual(own[OUTSIDE][0].count, 2)

    def test_alike_are_one(self) -> None:
        found = [line("step.1", linear=hex(page << 12)) for page in range(64)]
        found += [line("step.1", finding="page_fault"), line("step.1", by="invlpg")]
        own = reports.by_step(found, STEPS)["absent/a"]
        self.assertEqual([report.count for report in own], [64, 1, 1])

    def test_a_file_cut_short(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "reports.jsonl"
            self.assertEqual(read_lines(path), [])
            path.write_text(json.dumps(line("step.1")) + '\n{"report": "sta', encoding="utf-8")
            self.assertEqual(read_lines(path), [line("step.1")])


class Verdicts(unittest.TestCase):
    """A stale translation fails, a guest's own is a note."""

    def _judge(self, regions: list, found: list[dict], status: int = 0) -> list[Result]:
        steps = (Step("a", ("/tests/a",), may_skip=True), Step("b", ("/tests/b",)))
        plan = Plan((Group("absent", "title", "absent", steps),))
        console = Console()
        for name, code in (("a", status), ("b", 0)):
            console.tests_line(f"@machine begin absent/{name}")
            console.tests_line("last words")
            console.tests_line(f"@machine end absent/{name} {code} 1.0 2.0")
        console.done = True
        seen = by_step(regions, plan.step_names())
        return verdict.judge(plan, console, seen, reports.by_step(found, plan.step_names()))

    def _failed(self, regions: list, found: list[dict], status: int = 0) -> list[bool]:
        results = self._judge(regions, found, status)
        return [result.status is Status.FAILED for result in results]

    def test_stale_fails_its_step(self) -> None:
        regions = [region("step.1"), region("r", 3), region("idle"), region("step.2")]
        self.assertEqual(self._failed(regions, [line("step.1")]), [True, False, False])
        # Also where the report itself, or the region's end, is lost.
        self.assertEqual(self._failed(regions, []), [True, False, False])
        self.assertEqual(self._failed(regions[:1], [line("step.1")]), [True, False, False])

    def test_stale_fails_a_skip(self) -> None:
        regions = [region("step.1", 1)]
        self.assertEqual(self._failed(regions, [], status=4), [True, False, False])

    def test_stale_outside_of_steps_fails_the_machine(self) -> None:
        for where in ("boot", "idle"):
            self.assertEqual(self._failed([region(where, 1)], []), [False, False, True])

    def test_the_total_is_nobodys(self) -> None:
        self.assertEqual(self._failed([region("idle"), region("TOTAL", 1)], []), [False] * 3)

    def test_guestowned_is_a_note(self) -> None:
        results = self._judge([region("step.1", noted=3)], [line("step.1", reports.GUEST_OWNED)])
        self.assertEqual([result.status for result in results], [Status.PASSED] * 3)
        self.assertEqual(results[0].guestowned, {"other_page": 3})
        out = io.StringIO()
        write_ktap([("absent", "title")], results, out)
        self.assertIn("  # 3 guestowned (other_page 3) in a\n  ok 1 a\n", out.getvalue())

    def test_results_say_how_many(self) -> None:
        result = self._judge([region("step.1", 3)], [line("step.1")])[0]
        self.assertEqual(result.stale, {"other_page": 3})
        self.assertEqual(result.reasons, ["tlbsan: 3 stale (other_page 3)"])
        kept = json.loads(json.dumps(asdict(result)))["reports"]
        report = {"raw": line("step.1"), "regions": {"r": 1}, "text": [], "function": ""}
        self.assertEqual(kept, [report])


class NotJudged(unittest.TestCase):
    """What the oracle says that it did not keep."""

    def test_nothing(self) -> None:
        self.assertEqual(reports.not_judged([{"a": {"": Counter()}}, {}]), [])

    def test_sums(self) -> None:
        seen = {"": Counter({"tlbsan.dropped": 2}), "r": Counter({"tlbsan.dropped": 2})}
        lines = reports.not_judged([{"a": seen, "b": seen}, {"a": seen}])
        self.assertEqual(lines, ["tlbsan: 6 deferred reports of guests that never ran again"])


class Missing(unittest.TestCase):
    """A machine that came to its end, and what the emulator wrote."""

    def _faults(self, *files: str, done: bool = True, **counters: int) -> list[str]:
        console = Console()
        console.done = done
        named = {name.replace("_", "."): number for name, number in counters.items()}
        lines = [{"region": name, "counters": named} for name in ("boot", "TOTAL")]
        total = "".join(json.dumps(line) + "\n" for line in lines)
        with tempfile.TemporaryDirectory() as scratch:
            for name in files:
                text = total if name == "witness.jsonl" else ""
                (Path(scratch) / name).write_text(text, encoding="utf-8")
            check_oracle(Path(scratch), read_regions(Path(scratch) / "witness.jsonl"), console)
        return [fault.kind for fault in console.faults]

    def test_all_is_there(self) -> None:
        self.assertEqual(self._faults("reports.jsonl", "witness.jsonl"), [])

    def test_a_file_is_missing(self) -> None:
        self.assertEqual(self._faults("reports.jsonl"), ["oracle"])
        self.assertEqual(self._faults("witness.jsonl"), ["oracle"])

    def test_an_oracle_that_sees_nothing(self) -> None:
        files = "reports.jsonl", "witness.jsonl"
        self.assertEqual(self._faults(*files, vmentry_L1=1), ["oracle"])
        self.assertEqual(self._faults(*files, vmentry_L1=1, tlbsan_walks=1), [])

    def test_a_machine_that_was_stopped_has_failed_anyway(self) -> None:
        self.assertEqual(self._faults(done=False), [])


if __name__ == "__main__":
    unittest.main()
