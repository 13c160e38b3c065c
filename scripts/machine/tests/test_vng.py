# SPDX-License-Identifier: GPL-2.0
"""virtme-ng's guests, with a program in the place of virtme-ng that plays them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import image
import no_vmx
import vng_suite
from boots import Parts
from capabilities import Choice, Device, Host
from errors import MachineError
from results import Result, Status
from session import Limits
from suite import OWN_PLAN, UPSTREAM_LIST
from testlist import read_own_plan, read_upstream_list
from vng import FRAGMENT, Vng, lacks

_FAKE = Path(__file__).resolve().parent / "fake_vng.py"
_WITH, _WITHOUT = Choice(True, "as with VMX"), Choice(False, "as without VMX", "get VMX")
_HOST = Host(Device.WORKS, True)
_EXPECTS = "# witness region invvpid.single == 1"
_SKIPS = [4, "1..0 # SKIP - Requirement not met"]


class Guests(unittest.TestCase):
    """A few tests, run as on both kinds of hosts."""

    # Two of upstream's, one of ours that shows a bug, and one that loads modules.
    _TESTS = "nested_set_state_test state_test bug_pv_flush flush_all"

    def setUp(self) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self._directory = Path(self._scratch.name)
        tests = self._directory / "tests"
        tests.mkdir()
        (self._directory / "tsmark").write_bytes(b"")
        # So the kernel has no modules that must be there.
        (self._directory / ".config").write_text("CONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n")
        for name in self._TESTS.split():
            shutil.copy(image.BUSYBOX, tests / name)

    def tearDown(self) -> None:
        self._scratch.cleanup()

    def _run(self, choice: Choice, endings: dict) -> tuple[int, str, dict]:
        parts = Parts(
            kernel=self._directory,
            tools=self._directory,
            emulator=Vng(str(_FAKE), choice.accelerated),
            output=self._directory / "out",
            limits=Limits(boot=30, silence=30, total=60),
            verbose=False,
            program_directories=(self._directory / "tests",),
        )
        parts.output.mkdir(exist_ok=True)
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {"FAKE_STEPS": json.dumps(endings)}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = vng_suite.run_chosen(parts, self._TESTS, _HOST, choice, dry_run=False)
        report = json.loads((parts.output / "results.json").read_text())
        return code, out.getvalue() + err.getvalue(), report

    def test_with_vmx_all_pass(self) -> None:
        code, said, report = self._run(_WITH, {"bug_pv_flush": [254, "stale"]})
        self.assertEqual((code, report["settings"]["exit_code"]), (0, 0))
        self.assertIn(" 0 failed, 0 skipped\n", said)
        machines = {machine["name"] for machine in report["machines"]}
        # One for each set of parameters, besides the plain ones.
        self.assertLessEqual({"machine-1", "ept0", "vpid0", "ept0-vpid0"}, machines)

    def test_with_vmx_a_failure(self) -> None:
        code, said, _ = self._run(_WITH, {"state_test": [254, "it broke"]})
        self.assertEqual(code, 1)
        self.assertIn("state_test: exit code 254", said)

    def test_expectations_of_counts_are_named(self) -> None:
        code, said, report = self._run(_WITH, {"flush_all": [0, _EXPECTS]})
        self.assertEqual(code, 0)
        self.assertIn("not checked in flush_all, for want of counts: region invvpid.single", said)
        self.assertIn(" expectations of ", said)
        left_out = [result for result in report["results"] if result["left_out"]]
        self.assertEqual({result["name"] for result in left_out}, {"flush_all"})
        # The rest of the test counts.
        self.assertEqual({result["status"] for result in left_out}, {"passed"})

    def test_a_bug_that_only_the_oracle_sees_is_skipped(self) -> None:
        _, _, report = self._run(_WITH, {})
        ends = {r["name"]: r["status"] for r in report["results"]}
        self.assertEqual(ends["bug_pv_flush"], "skipped")

    def test_a_skip_with_vmx_is_no_failure(self) -> None:
        code, said, _ = self._run(_WITH, {"state_test": _SKIPS})
        self.assertEqual(code, 0)
        self.assertIn("state_test # SKIP Requirement not met", said)

    def test_without_vmx_all_skip(self) -> None:
        endings = dict.fromkeys(self._TESTS.split(), _SKIPS)
        code, said, report = self._run(_WITHOUT, endings)
        self.assertEqual(code, no_vmx.SKIP)
        self.assertIn("# nothing was tested: as without VMX\n# to test: get VMX\n", said)
        skipped = [r for r in report["results"] if r["status"] == "skipped"]
        self.assertEqual({r["name"] for r in skipped}, set(self._TESTS.split()))
        self.assertEqual([r["group"] for r in skipped], [no_vmx.TESTS] * len(skipped))

    def test_without_vmx_a_pass_is_a_failure(self) -> None:
        endings = dict.fromkeys(self._TESTS.split()[1:], _SKIPS)
        code, said, _ = self._run(_WITHOUT, endings)
        self.assertEqual(code, 1)
        self.assertIn("nested_set_state_test: passed, where there is no VMX", said)

    def test_without_vmx_a_skip_has_a_reason(self) -> None:
        endings = dict.fromkeys(self._TESTS.split(), _SKIPS) | {"state_test": [4]}
        code, said, _ = self._run(_WITHOUT, endings)
        self.assertEqual(code, 1)
        self.assertIn("state_test: skipped without a reason", said)

    def test_without_vmx_the_module_must_refuse(self) -> None:
        endings = dict.fromkeys(self._TESTS.split(), _SKIPS)
        endings["rust_kvm_nvmx"] = [1, "rust_kvm_nvmx was loaded"]
        self.assertEqual(self._run(_WITHOUT, endings)[0], 1)

    def test_a_guest_that_does_not_come_up(self) -> None:
        code, said, _ = self._run(_WITH, {"died": [0]})
        self.assertEqual(code, 1)
        self.assertIn("machine ended: qemu-system-x86_64: cannot set up guest memory", said)

    def test_junit(self) -> None:
        self._run(_WITH, {"state_test": [254, "bad \x1b byte"], "flush_all": _SKIPS})
        suites = ElementTree.parse(self._directory / "out" / "results.xml").getroot()
        cases = {case.get("name"): case for case in suites.iter("testcase")}
        self.assertIn("exit code 254", cases["state_test"].find("failure").get("message"))
        self.assertEqual(cases["state_test"].find("failure").text, "bad ? byte")
        self.assertIsNotNone(cases["flush_all"].find("skipped"))
        self.assertEqual(
            sum(int(suite.get("tests")) for suite in suites), len(list(suites.iter("testcase")))
        )


class Kernels(unittest.TestCase):
    """What virtme-ng can boot."""

    def test_what_a_kernel_lacks(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            config = Path(scratch) / ".config"
            config.write_text(FRAGMENT.read_text())
            self.assertEqual(lacks(Path(scratch)), [])
            config.write_text(FRAGMENT.read_text().replace("9P_FS=y", "9P_FS=m"))
            self.assertEqual(lacks(Path(scratch)), ["CONFIG_9P_FS=y"])
            parts = mock.Mock(kernel=Path(scratch))
            with self.assertRaisesRegex(MachineError, "lacks CONFIG_9P_FS=y: add scripts/kernel"):
                vng_suite.check_kernel(parts)

    def test_a_kernel_that_is_not_there(self) -> None:
        with self.assertRaises(MachineError):
            lacks(Path("/nonexistent"))

    def test_the_line_of_a_kernel_that_lacks_something(self) -> None:
        line = no_vmx.left_out(["CONFIG_9P_FS=y"])
        self.assertIs(line.status, Status.SKIPPED)
        self.assertIn("lacks CONFIG_9P_FS=y", line.reasons[0])


class Lines(unittest.TestCase):
    """What `run.py test` says of the machine without VMX."""

    def _lines(self, *tests: Result) -> dict[str, Status]:
        everything = [
            Result(no_vmx.REFUSAL, "kvm_intel", Status.PASSED),
            Result(no_vmx.REFUSAL, "rust_kvm_nvmx", Status.PASSED),
            *tests,
            Result("machine", "no fault outside of the tests", Status.PASSED),
        ]
        lines = no_vmx.summarize(everything)
        self.assertEqual({line.group for line in lines}, {no_vmx.GROUP[0]})
        return {line.name: line.status for line in lines}

    def test_all_skip(self) -> None:
        skipped = Result(no_vmx.TESTS, "a", Status.SKIPPED, ["no VMX"])
        lines = self._lines(skipped)
        self.assertEqual(set(lines.values()), {Status.PASSED})
        self.assertIn("rust_kvm_nvmx refuses", lines)
        self.assertIn("each of 1 tests skips with a reason", lines)

    def test_one_does_not(self) -> None:
        for status, reasons in ((Status.PASSED, []), (Status.SKIPPED, [""])):
            lines = self._lines(Result(no_vmx.TESTS, "a", status, reasons))
            failed = {name for name, ended in lines.items() if ended is Status.FAILED}
            self.assertEqual(failed, {"each of 1 tests skips with a reason", "the exit code is 4"})

    def test_no_test_at_all(self) -> None:
        self.assertIs(self._lines()["each of 0 tests skips with a reason"], Status.FAILED)


class Plans(unittest.TestCase):
    """What is run where."""

    def test_without_vmx_each_command_is_run_once(self) -> None:
        entries = read_upstream_list(UPSTREAM_LIST).entries + read_own_plan(OWN_PLAN).entries
        boot = no_vmx.make_boot(mock.Mock(), entries)
        steps = boot.plan.groups[1].steps
        commands = [step.command for step in steps]
        self.assertEqual(sorted(set(commands)), sorted({e.step.command for e in entries}))
        self.assertEqual(len(commands), len(set(commands)))
        self.assertEqual(len({step.name for step in steps}), len(steps))
        # The guest reports in words.
        self.assertFalse([step.name for step in steps if " " in step.name])
        self.assertNotIn("kvm-intel", boot.plan.kernel_modules)

    def test_commands(self) -> None:
        by_kvm = Vng(accelerated=True).command(Path("/k"), Path("/root dir"))
        emulated = Vng().command(Path("/k"), Path("/root dir"))
        self.assertNotIn("--disable-kvm", by_kvm)
        self.assertIn("--disable-kvm", emulated)
        self.assertEqual(by_kvm[-1].split()[-2:], ["'/root", "dir'"])

    def test_a_hook_that_no_test_came_to_is_a_skip(self) -> None:
        names = [mock.Mock(), mock.Mock()]
        names[0].name, names[1].name = "seen", "unseen"
        found = vng_suite.unseen_hooks(names, [Result("takeover", "seen", Status.FAILED)])
        self.assertEqual([(r.name, r.status) for r in found], [("unseen", Status.SKIPPED)])

    def test_choices(self) -> None:
        for dry_run, emulate, accelerated in (
            ("with", False, True),
            ("without", False, False),
            ("", True, False),
            ("host", False, False),
        ):
            choice = vng_suite.choose(Host(Device.ABSENT, True), "", emulate, dry_run)
            self.assertEqual(choice.accelerated, accelerated)

    def test_a_dry_run_starts_nothing(self) -> None:
        parts = Parts(Path("/k"), Path("/t"), Vng("/no/such/program"), Path("/o"), Limits(), False)
        out = io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(io.StringIO()),
            mock.patch("image.release", return_value=(7, 3)),
        ):
            code = vng_suite.run_chosen(parts, None, _HOST, _WITH, dry_run=True)
        self.assertEqual(code, 0)
        self.assertIn("machine-1: /no/such/program --run /k/arch/x86/boot/bzImage", out.getvalue())
