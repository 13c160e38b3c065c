# SPDX-License-Identifier: GPL-2.0
"""From records to results: every way to fail must fail."""

from __future__ import annotations

import io
import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import hooks
import verdict
import witness
from console import Console, StepRecord
from faults import Fault, find_taints
from call_sites import Hook
from plan import Group, Plan, Probe, Step, guest_script
from results import Result, Status, summary, write_ktap


def _run(*lines: str, done: bool = True) -> tuple[Plan, Console]:
    """A plan of one step `a`, and the console after LINES of its output."""
    plan = Plan(
        (Group("absent", "title", "absent", (Step("a", ("/tests/a",), 20, may_skip=True),)),)
    )
    console = Console()
    for line in lines:
        console.tests_line(line)
    console.done = done
    return plan, console


BEGIN, PASSED = "@machine begin absent/a", "@machine end absent/a 0 1.0 2.0"


class StepVerdicts(unittest.TestCase):
    """One step, judged."""

    def _only(self, plan: Plan, console: Console, regions: dict | None = None) -> Result:
        return verdict.judge(plan, console, regions)[0]

    def test_passes(self) -> None:
        self.assertIs(self._only(*_run(BEGIN, PASSED)).status, Status.PASSED)

    def test_never_ran(self) -> None:
        self.assertIs(self._only(*_run()).status, Status.FAILED)

    def test_never_ended(self) -> None:
        self.assertIs(self._only(*_run(BEGIN)).status, Status.FAILED)

    def test_exit_code(self) -> None:
        self.assertIs(
            self._only(*_run(BEGIN, "@machine end absent/a 1 1.0 2.0")).status, Status.FAILED
        )

    def test_skip_has_the_last_line_as_reason(self) -> None:
        result = self._only(*_run(BEGIN, "no VMX", "@machine end absent/a 4 1.0 2.0"))
        self.assertEqual((result.status, result.reasons), (Status.SKIPPED, ["no VMX"]))

    def test_a_skip_where_the_plan_has_none_is_a_failure(self) -> None:
        _, console = _run(BEGIN, "no VMX", "@machine end absent/a 4 1.0 2.0")
        step = Step("a", ("/tests/a",), 20)
        plan = Plan((Group("absent", "title", "absent", (step,)),))
        self.assertIs(self._only(plan, console).status, Status.FAILED)

    def test_killed_at_its_limit(self) -> None:
        result = self._only(*_run(BEGIN, "@machine end absent/a 137 1.0 21.5"))
        self.assertIn("limit of 20 s", result.reasons[0])

    def test_wrong_state_of_the_module(self) -> None:
        result = self._only(*_run(BEGIN, "@machine wrongstate loaded", PASSED))
        self.assertIs(result.status, Status.FAILED)

    def test_c_and_rust_differ(self) -> None:
        for number, status in ((0, Status.PASSED), (2, Status.FAILED)):
            line = f"@machine counter check.different {number}"
            self.assertIs(self._only(*_run(BEGIN, line, PASSED)).status, status)

    def test_what_compares_must_say_so(self) -> None:
        step = Step("a", ("/tests/a",), 20)
        plan = Plan((Group("checked", "title", "loaded", (step,)),))
        for lines, status in (
            (["@machine counter check.different 0"], Status.PASSED),
            ([], Status.FAILED),
        ):
            console = Console()
            for line in ("@machine begin checked/a", *lines, "@machine end checked/a 0 1.0 2.0"):
                console.tests_line(line)
            self.assertIs(verdict.judge(plan, console, None)[-2].status, status)

    def test_subtests_that_do_not_come(self) -> None:
        for output, status in (
            (["1..2", "ok 1 a", "ok 2 b"], Status.PASSED),
            (["1..2", "ok 1 a"], Status.FAILED),
            (["1..1", "not ok 1 a"], Status.FAILED),
        ):
            self.assertIs(self._only(*_run(BEGIN, *output, PASSED)).status, status)

    def test_a_skip_in_one_group_alone_is_a_failure(self) -> None:
        step = Step("a", ("/tests/a",), 20, may_skip=True)
        groups = tuple(Group(name, "title", "absent", (step,)) for name in ("absent", "after"))
        for codes, wanted in (
            ((4, 4), [Status.SKIPPED, Status.SKIPPED]),
            ((0, 4), [Status.PASSED, Status.FAILED]),
            ((4, 0), [Status.FAILED, Status.PASSED]),
            ((1, 4), [Status.FAILED, Status.FAILED]),
        ):
            console = Console()
            for group, code in zip(groups, codes, strict=True):
                console.tests_line(f"@machine begin {group.name}/a")
                console.tests_line(f"@machine end {group.name}/a {code} 1.0 2.0")
            found = verdict.judge(Plan(groups), console, None)[:2]
            self.assertEqual([result.status for result in found], wanted, codes)

    def test_a_warning_fails_even_a_skip(self) -> None:
        plan, console = _run(BEGIN, "@machine end absent/a 4 1.0 2.0")
        console.steps["absent/a"].faults.append(Fault("WARN", "cut here", False))
        self.assertIs(self._only(plan, console).status, Status.FAILED)

    def test_a_warning_that_an_injected_fault_may_cause(self) -> None:
        listed = Fault("WARN", "WARNING: kernel/a.c:3 at define+0x1/0x2, CPU#1: a/131", False)
        own = Fault("WARN", "WARNING: drivers/b.c:3 at defined+0x1/0x2, CPU#1: a/131", False)
        cut = Fault("WARN", "------------[ cut here ]------------", False)
        taints = find_taints(0, 1 << 9)
        group = Group("absent", "title", "absent", (Step("a", ("/tests/a",), may_warn="define"),))

        def judged(*found: Fault) -> Status:
            console = _run(BEGIN, PASSED)[1]
            console.steps["absent/a"].faults += found
            return self._only(Plan((group,)), console).status

        self.assertIs(judged(cut, listed, *taints), Status.PASSED)
        self.assertIs(judged(cut, listed, cut, own, *taints), Status.FAILED)
        self.assertIs(judged(cut, own, *taints), Status.FAILED)
        self.assertIs(judged(cut, *taints), Status.FAILED)
        self.assertIs(judged(*taints), Status.FAILED)
        self.assertIs(judged(cut, listed, Fault("KASAN", "", False)), Status.FAILED)

    def test_witness(self) -> None:
        regions = {"absent/a": {"": Counter(), "r": Counter({"invvpid.single": 3})}}
        for text, status in (
            ("r invvpid.single == 3", Status.PASSED),
            ("r invvpid.single == 2", Status.FAILED),
            ("r invvpid.single >= 4", Status.FAILED),
            ("r invvpid.single <= 3", Status.PASSED),
            ("r invept.all != 0", Status.FAILED),
            ("r invept.all == 0", Status.PASSED),
            ("other invept.all == 0", Status.FAILED),
            ("r invept.all", Status.FAILED),
            ("r invept.all = 0", Status.FAILED),
        ):
            result = self._only(*_run(BEGIN, f"# witness {text}", PASSED), regions)
            self.assertIs(result.status, status, text)

    def test_an_expectation_that_was_lost(self) -> None:
        regions = {"absent/a": {"": Counter(), "r": Counter()}}
        for total, status in ((1, Status.PASSED), (2, Status.FAILED), (0, Status.FAILED)):
            lines = "# witness r invept.all == 0", f"# witness total {total}"
            self.assertIs(self._only(*_run(BEGIN, *lines, PASSED), regions).status, status)

    def test_expectations_without_a_witness_are_no_pass(self) -> None:
        result = self._only(*_run(BEGIN, "# witness r invept.all == 0", PASSED), None)
        self.assertIs(result.status, Status.SKIPPED)

    def test_machine_must_finish_the_plan(self) -> None:
        plan, console = _run(BEGIN, PASSED, done=False)
        self.assertIs(verdict.judge(plan, console, None)[-1].status, Status.FAILED)


class WitnessFile(unittest.TestCase):
    """Regions by step."""

    def test_by_step(self) -> None:
        lines = [
            {"region": "boot", "counters": {"instr.root": 9}},
            {"region": "step.1", "counters": {"invept.all": 1}},
            {"region": "r", "counters": {"invept.all": 2}},
            {"region": "r", "counters": {"invept.all": 4}},
            {"region": "idle", "counters": {"invept.all": 100}},
            {"region": "r", "counters": {"invept.all": 200}},
            {"region": "step.2", "counters": {}},
            {"region": "step.3", "counters": {}},
        ]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "witness"
            text = "\n".join(json.dumps(line) for line in lines)
            path.write_text(text + '\n{"region": "cut', encoding="utf-8")
            steps = witness.by_step(witness.read_regions(path), ["absent/a", "absent/b"])
        self.assertEqual(steps["absent/a"]["r"]["invept.all"], 6)
        self.assertEqual(steps["absent/a"][""]["invept.all"], 7)
        self.assertEqual(list(steps), [witness.OUTSIDE, "absent/a", "absent/b"])

    def test_the_end_has_the_sum(self) -> None:
        def region(name: str, **counters: int) -> tuple[str, Counter]:
            return name, Counter({name.replace("_", "."): n for name, n in counters.items()})

        regions = [region("a", tlbsan_stale=1), region("b", tlbsan_stale=2, x_page_1=1)]
        whole = [*regions, region("TOTAL", tlbsan_stale=3)]
        self.assertEqual(witness.complaints(whole), [])
        wrong = witness.complaints([whole[0], whole[2]])
        self.assertEqual(wrong, ["tlbsan.stale is 3, in the regions 1"])
        # A test may call a region so.
        self.assertEqual(witness.complaints([whole[2]] * 2), [])
        self.assertEqual(witness.complaints([whole[2], region("b")]), ["its end is missing"])
        own = witness.by_step([region("step.1"), whole[2], whole[2]], ["absent/a"])["absent/a"]
        self.assertEqual(own[""]["tlbsan.stale"], 3)

    def test_no_file(self) -> None:
        self.assertEqual(witness.read_regions(Path("/nonexistent")), [])


class Takeover(unittest.TestCase):
    """Rust took over and C came back, or not."""

    HOOKS = (
        Hook("a", (Probe("a_0", "kvm:f+0x5"), Probe("a_1", "kvm_intel:g+0x2"))),
        Hook("b", (Probe("b_0", "kvm:f+0x25"),)),
    )

    def _judge(
        self, absent: int, loaded: int, rust: int, after: int, complete: bool, missing: str = ""
    ) -> list[Result]:
        """HITS of the last site of each hook in each group."""
        step = Step("a", ("/tests/a",), 20, takeover=True)
        states = (("absent", "absent"), ("loaded", "loaded"), ("after", "absent"))
        plan = Plan(tuple(Group(name, name, state, (step,)) for name, state in states))
        console = Console()
        for group, hits in (("absent", absent), ("loaded", loaded), ("after", after)):
            record = console._step(f"{group}/a")
            record.probes = {hook.sites[-1].event: hits for hook in self.HOOKS}
            if group == "loaded":
                record.counters = {f"hook.{hook.name}.rust": rust for hook in self.HOOKS}
        if missing:
            console.tests_line(f"@machine noprobe {missing}")
        return hooks.judge_takeover([(plan, console)], list(self.HOOKS), complete)

    def _statuses(self, *hits: int, complete: bool = True) -> list[Status]:
        return [result.status for result in self._judge(*hits, complete)]

    def test_all(self) -> None:
        good, bad = [Status.PASSED] * 2, [Status.FAILED] * 2
        self.assertEqual(self._statuses(5, 0, 5, 5), good)
        self.assertEqual(self._statuses(0, 0, 5, 5), bad)
        self.assertEqual(self._statuses(5, 1, 5, 5), bad)
        self.assertEqual(self._statuses(5, 0, 0, 5), bad)
        self.assertEqual(self._statuses(5, 0, 5, 0), bad)
        self.assertEqual(self._statuses(0, 0, 0, 0), bad)
        self.assertEqual(self._statuses(0, 0, 0, 0, complete=False), [Status.SKIPPED])

    def test_what_cannot_be_watched(self) -> None:
        for complete in (True, False):
            first = self._judge(5, 0, 5, 5, complete, missing="a_0")[0]
            self.assertIs(first.status, Status.FAILED)
            self.assertIn("kvm:f+0x5: C cannot be counted here", first.reasons[0])
        # Also where nothing was hit, and a hook that is not called anywhere.
        self.assertIs(self._judge(0, 0, 0, 0, False, missing="b_0")[0].status, Status.FAILED)
        for count, status in ((3, Status.PASSED), (0, Status.FAILED)):
            console = Console()
            console._step("loaded/a").counters = {"hook.c.rust": count}
            plan = Plan((Group("loaded", "", "loaded", (Step("a", ("a",), takeover=True),)),))
            judged = hooks.judge_takeover([(plan, console)], [Hook("c", (), True)], True)
            self.assertIs(judged[0].status, status)
        nowhere = hooks.judge_takeover([], [Hook("c", ())], False)[0]
        self.assertIs(nowhere.status, Status.FAILED)
        self.assertIn("no call site", nowhere.reasons[0])

    def test_a_module_that_is_part_of_the_kernel(self) -> None:
        plan = Plan((Group("loaded", "", "loaded", (Step("a", ("a",), takeover=True),)),))
        for in_c, in_rust, status in (
            (0, 3, Status.PASSED),
            (1, 3, Status.FAILED),
            (0, 0, Status.FAILED),
        ):
            record = StepRecord("loaded/a")
            record.probes = {"b_0": in_c}
            record.counters = {"hook.b.rust": in_rust}
            console = Console()
            console.steps["loaded/a"] = record
            judged = hooks.judge_takeover([(plan, console)], [self.HOOKS[1]], True)
            self.assertIs(judged[0].status, status)


class Output(unittest.TestCase):
    """KTAP, the summary, and the script for the machine."""

    def test_ktap(self) -> None:
        results = [
            Result("g", "a", Status.PASSED),
            Result("g", "b", Status.SKIPPED, ["because"]),
            Result("h", "c", Status.FAILED, ["exit code 1"], output=["last words"]),
        ]
        out = io.StringIO()
        write_ktap([("g", "first"), ("h", "second")], results, out)
        text = out.getvalue().splitlines()
        self.assertEqual(text[:2], ["KTAP version 1", "1..2"])
        self.assertIn("  ok 2 b # SKIP because", text)
        self.assertIn("  # c: exit code 1", text)
        self.assertIn("  not ok 1 c", text)
        self.assertEqual(text[-1], "not ok 2 h")
        self.assertEqual(summary(results), "1 passed, 1 failed, 1 skipped")

    def test_script_changes_the_modules_state_between_groups(self) -> None:
        step = Step("a", ("/tests/a", "b c"), 9)
        states = (("x", "absent"), ("y", "loaded"), ("z", "absent"))
        plan = Plan(tuple(Group(name, name, state, (step,)) for name, state in states))
        self.assertEqual(plan.step_names(), ["x/a", "y/insmod", "y/a", "z/rmmod", "z/a"])
        script = guest_script(plan)
        self.assertIn("step loaded y/a 9 /tests/a 'b c'", script)
        self.assertIn("step absent z/rmmod 60 rmmod rust_kvm_nvmx", script)


if __name__ == "__main__":
    unittest.main()
