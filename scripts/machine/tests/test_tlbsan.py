# SPDX-License-Identifier: GPL-2.0
"""The oracle alone: what runs, and what comes out."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import image
import tlbsan
from bochs import Emulator
from boots import Boot, Finished, Parts
from console import Console
from errors import MachineError
from plan import Group, Plan, Step
from reports import Report
from results import Result, Status
from session import Limits, Outcome
from tests.assembly import link
from tests.test_reports import line
from witness import OUTSIDE


class Directory(unittest.TestCase):
    """With a directory of its own."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def file(self, name: str, data: bytes = b"") -> Path:
        """Write one."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


class Programs(Directory):
    """Which programs run."""

    def _names(self, programs: list[str], parameters: str = "") -> list[str]:
        here = self.directory
        parts = Parts(
            here, here, Emulator(here), here, Limits(), False, program_directories=(here,)
        )
        return [step.name for step in tlbsan._steps(parts, programs, parameters)]

    def test_the_lists_know_them(self) -> None:
        for name in ("state_test", "nested_workload", "mine"):
            self.file(name)
        self.assertEqual(self._names(["mine", "state_test", "mine"]), ["mine", "state_test"])
        self.assertEqual(len(self._names(["nested_workload"])), 4)
        self.assertEqual(self._names(["nested_workload"], "ept=0"), ["nested_workload[ept=0]"])
        everything = self._names([])
        self.assertIn("state_test", everything)
        self.assertIn("nested_workload", everything)
        self.assertNotIn("mine", everything)

    def test_what_is_not_there(self) -> None:
        for programs in (["state_test"], []):
            with self.assertRaises(MachineError):
                self._names(programs)

    def test_shared_libraries(self) -> None:
        loader = '.section .interp, "a"; .string "/lib64/ld-linux-x86-64.so.2"'
        for text, refused in (("ret", False), (f"ret\n{loader}", True)):
            program = link(self.directory / "mine", text, 0x401000)
            self.assertEqual(image.needs_libraries(program), refused)
            if refused:
                with self.assertRaises(MachineError):
                    self._names(["mine"])
        self.assertFalse(image.needs_libraries(self.file("script", b"#!/bin/sh\n")))


class Kernels(Directory):
    """Kernels with KVM as modules, or not."""

    def test_modules(self) -> None:
        def names() -> list[str]:
            return sorted(image.module_files(self.directory))

        # Missing, and so an error where the image is made.
        self.assertEqual(names(), ["kvm", "kvm-intel"])
        self.file(".config", b"CONFIG_KVM=y\nCONFIG_KVM_INTEL=m\n")
        self.assertEqual(names(), ["kvm-intel"])
        self.file("virt/lib/irqbypass.ko")
        self.assertEqual(names(), ["irqbypass", "kvm-intel"])

    def test_files_of_an_older_build(self) -> None:
        for name in ("virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko", "arch/x86/kvm/kvm-intel.ko"):
            self.file(name)
        options = b"CONFIG_IRQ_BYPASS_MANAGER=y\nCONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n"
        self.file(".config", options)
        self.assertEqual(image.module_files(self.directory), {})


class Outcomes(unittest.TestCase):
    """What is printed, and the exit status."""

    def _run(self, found: dict[str, list[Report]], codes: dict[str, int]) -> list[Result]:
        here = Path("/")
        console = Console()
        for name, code in codes.items():
            console.tests_line(f"@machine begin tlbsan/{name}")
            console.tests_line("last words")
            console.tests_line(f"@machine end tlbsan/{name} {code} 1.0 2.0")
        console.done = True
        steps = tuple(Step(name, (f"/tests/{name}",), may_skip=True) for name in codes)
        plan = Plan((Group(tlbsan.GROUP, "", "absent", steps),))
        boot = Boot("machine-1", plan, (), Parts(here, here, Emulator(here), here, Limits(), False))
        self._finished = Finished(boot, Outcome(console, here, 1, 1, 1, 1), {}, found)
        return self._finished.results()

    def _text(self, results: list[Result]) -> str:
        return tlbsan.render([self._finished], results)

    def test_clean(self) -> None:
        results = self._run({}, {"a": 0, "b": 0})
        self.assertEqual(tlbsan._status(results), 0)
        self.assertIn("0 uses of stale translations, in 0 of 2 runs; 0 failed", self._text(results))

    def test_stale(self) -> None:
        report = Report(line("step.1"), {"r": 3}, ["words"])
        results = self._run({"tlbsan/a": [report]}, {"a": 0, "b": 0})
        self.assertEqual(tlbsan._status(results), 1)
        text = self._text(results)
        self.assertIn("    words", text)
        self.assertIn("3 uses of stale translations, in 1 of 2 runs; 0 failed", text)
        self.assertEqual([result.status for result in results][1:], [Status.PASSED] * 2)

    def test_stale_outside_of_the_programs(self) -> None:
        results = self._run({OUTSIDE: [Report(line("idle"), {"r": 1})]}, {"a": 0})
        self.assertEqual(tlbsan._status(results), 1)
        self.assertIn("in 0 of 1 runs and outside of them", self._text(results))

    def test_a_failure_of_its_own(self) -> None:
        results = self._run({}, {"a": 0, "b": 1})
        self.assertEqual(tlbsan._status(results), 2)
        self.assertIn("1 failed otherwise", self._text(results))
        self.assertIn("exit code 1", self._text(results))

    def test_loading_the_module_is_no_run(self) -> None:
        results = self._run({}, {"insmod": 0, "a": 4})
        self.assertEqual(tlbsan._status(results), 2)
        self.assertIn("in 0 of 1 runs", self._text(results))

    def test_nothing_ran(self) -> None:
        results = self._run({}, {"a": 4})
        self.assertEqual(tlbsan._status(results), 2)
        self.assertIn("last words", self._text(results))


if __name__ == "__main__":
    unittest.main()
