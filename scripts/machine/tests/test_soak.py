# SPDX-License-Identifier: GPL-2.0
"""Unit tests of what `make soak` runs, says each minute and calls wrong."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import soak
from bochs import Emulator
from boots import Parts
from errors import MachineError
from plan import guest_script
from results import Result, Status
from session import Limits
from soak import (
    Order,
    Part,
    Progress,
    judge,
    length_of,
    make_plan,
    numbers_of,
    part_of,
    read_runs,
    report,
)
from soak_memory import growths, of_caches

_END = "# soak end seconds=60 cycles=30 switches=20 passed=10 failed=0 differences=0"
_LOOK = "# soak look vpids=1 MemFree=5000 SUnreclaim=4000"


def _lines(text: str, parameters: str = "") -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(text)
        file.flush()
        return read_runs(Path(file.name), parameters)


def _part(output: list[str], *more: Result) -> Part:
    part = Part(7, "")
    status = Status.FAILED if any("failed " in line for line in output) else Status.PASSED
    judge(part, [Result("soak", soak.PROGRAM, status, output=output), *more], 90.0)
    return part


class Runs(unittest.TestCase):
    """Which programs run."""

    TEXT = "# c\n- | a --x\nept | b\nvpid | c\nept vpid | d\n"

    def test_needs(self) -> None:
        self.assertEqual(_lines(self.TEXT), ["a --x", "b", "c", "d"])
        self.assertEqual(_lines(self.TEXT, "ept=0"), ["a --x", "c"])
        self.assertEqual(_lines(self.TEXT, "vpid=0"), ["a --x", "b"])
        self.assertEqual(_lines(self.TEXT, "ept=0 vpid=0"), ["a --x"])
        self.assertEqual(_lines(self.TEXT, "enable_apicv=1"), ["a --x", "b", "c", "d"])

    def test_errors(self) -> None:
        for text in ("a --x\n", "ept |\n", "npt | a\n"):
            with self.assertRaises(MachineError):
                _lines(text)

    def test_the_list(self) -> None:
        for parameters in ("", "ept=0", "vpid=0"):
            runs = read_runs(soak.RUNS, parameters)
            self.assertIn("nested_workload --rounds 20 --contexts 2 --vpid off", runs)
            self.assertTrue(any(run.startswith("nested_fuzz --others") for run in runs))
        self.assertNotIn("tlb_eptp12", read_runs(soak.RUNS, "ept=0"))


class ThePlan(unittest.TestCase):
    """What the machine is told."""

    def test_seed_and_time(self) -> None:
        plan = make_plan(Order(1, 5), Part(6, "ept=0"), 900)
        script = guest_script(plan)
        self.assertIn("load kvm-intel ept=0", script)
        # Its own symbols would name the guests' functions.
        self.assertEqual(plan.groups[0].steps[0].command[:2], ("env", "/tests/soak"))
        self.assertIn("/modules/rust_kvm_nvmx.ko /runs --seed 6 --seconds 900\n", script)
        self.assertIn("rmmod kvm-intel && rmmod kvm", script)

    def test_wrong_on_purpose(self) -> None:
        script = guest_script(make_plan(Order(1, 5, plant="page"), Part(5, ""), 9))
        self.assertIn("--plant page", script)
        script = guest_script(make_plan(Order(1, 5, edit="an-edit"), Part(5, ""), 9))
        self.assertIn("/modules/an-edit.ko /runs", script)


class Parameters(unittest.TestCase):
    """A seed has its own, so that it is the same boot again."""

    def test_each_kind(self) -> None:
        kinds = [part_of(seed).parameters for seed in range(100, 104)]
        self.assertEqual(kinds, ["", "ept=0", "", "vpid=0"])
        self.assertEqual(part_of(101), part_of(101))


class Length(unittest.TestCase):
    """How long a boot is, in the machine's seconds."""

    def test_first(self) -> None:
        self.assertEqual(length_of(200, []), 40)
        self.assertEqual(length_of(3600, []), 180)
        self.assertEqual(length_of(1, []), 30)

    def test_by_what_was(self) -> None:
        done = [Part(1, "", {"seconds": 50}, host_seconds=100.0)]
        self.assertEqual(length_of(3600, done), 450)
        self.assertEqual(length_of(200, done), 100)


class Numbers(unittest.TestCase):
    """The program's lines."""

    def test_of_a_kind(self) -> None:
        lines = ["# soak now cycles=3 x=a", "other", "# soak end cycles=4", "# soak now cycles=5"]
        self.assertEqual(numbers_of(lines, "now"), [{"cycles": 3}, {"cycles": 5}])
        self.assertEqual(numbers_of(lines, "end"), [{"cycles": 4}])


class EachMinute(unittest.TestCase):
    """What is said of a machine that runs."""

    def test_all_files(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            progress = Progress(directory)
            self.assertIn("0 cycles", progress.line())
            now = "# soak now seconds=9 cycles=3 programs=4\n"
            (directory / "tests.log").write_text(f"{_LOOK}\n{now}")
            (directory / "kernel.log").write_text("WARNING: here\nall is well\n")
            (directory / "reports.jsonl").write_text('{"report":"stale"}\n{"report":"other"}\n')
            line = progress.line()
            for word in ("9 s: 3 cycles", "4 programs", "stale 1", "faults 1", "slab 4000 KiB"):
                self.assertIn(word, line)


class Judgement(unittest.TestCase):
    """What fails the run."""

    def test_well(self) -> None:
        part = _part([_LOOK, _LOOK, _END])
        self.assertEqual(part.problems, [])
        self.assertEqual((part.numbers["cycles"], len(part.looks)), (30, 2))
        self.assertEqual(report([part])[-1], "no problem")

    def test_a_program_failed(self) -> None:
        part = _part(["# soak failed a --x: status 0xfe00 after 1 s", _END])
        self.assertEqual(part.problems, ["failed a --x: status 0xfe00 after 1 s"])

    def test_something_is_left(self) -> None:
        part = _part(["# soak wrong vpids: 2, was 1", _END])
        self.assertEqual(part.problems, ["wrong vpids: 2, was 1"])
        self.assertIn("WRONG: seed 7: wrong vpids: 2, was 1", report([part]))
        self.assertEqual(report([part])[-1], "1 problems")

    def test_stale(self) -> None:
        other = Result("soak", "unload", Status.FAILED, ["tlbsan: 2 stale"], stale={"other": 2})
        part = _part([_END], other)
        self.assertEqual(part.stale, 2)
        self.assertEqual(part.problems, ["unload: tlbsan: 2 stale"])
        self.assertIn("stale 2, faults 0", report([part]))

    def test_a_difference(self) -> None:
        part = _part([_END.replace("differences=0", "differences=3")])
        self.assertEqual(part.problems, ["C and Rust decided differently 3 times"])

    def test_nothing_happened(self) -> None:
        for output in ([], [_END.replace("passed=10", "passed=0")]):
            self.assertIn("no program passed", _part(output).problems[0])
        self.assertTrue(_part([_END.replace("cycles=30", "cycles=0")]).problems)


class Memory(unittest.TestCase):
    """What grows from look to look."""

    def _looks(self, slab: list[int], free: int = 5000) -> list[dict[str, int]]:
        return [{"SUnreclaim": each, "MemFree": free} for each in slab]

    def test_steady(self) -> None:
        self.assertEqual(growths(self._looks([100, 4000, *[4100] * 4, 4120, 4090]), []), [])

    def test_slab(self) -> None:
        looks = self._looks([4000 + 100 * i for i in range(8)])
        self.assertEqual(growths(looks, []), ["leak: SUnreclaim grew by 300 KiB in 6 looks"])

    def test_one_that_stands_out_is_none(self) -> None:
        self.assertEqual(growths(self._looks([0, 0, 4000, 4000, 4000, 4000, 9000, 4000]), []), [])

    def test_free_memory(self) -> None:
        looks = [{"MemFree": 9000 - 300 * i, "Cached": 1} for i in range(8)]
        self.assertEqual(growths(looks, []), ["leak: used grew by 900 KiB in 6 looks"])
        # What is only cached is not lost.
        looks = [{"MemFree": 9000 - 300 * i, "Cached": 300 * i} for i in range(8)]
        self.assertEqual(growths(looks, []), [])

    def test_too_few(self) -> None:
        self.assertEqual(growths(self._looks([0, 0, 0, 9000, 9000]), []), [])

    def test_of_each_cache(self) -> None:
        looks = [{"dentry": 2048 + 512 * i, "filp": 4096, "new": 8192 * (i > 4)} for i in range(8)]
        self.assertEqual(of_caches(looks), {"new": 8.0, "dentry": 1.5, "filp": 0.0})
        self.assertEqual(of_caches(looks[:7]), {})
        output = [f"# soak slabs {' '.join(f'{k}={v}' for k, v in look.items())}" for look in looks]
        part = _part([*output, _END])
        self.assertEqual(part.slabs[0], looks[0])
        line = "  objects in all caches: +9.5 KiB; the most: new 8.0, dentry 1.5, filp 0.0"
        self.assertIn(line, report([part]))

    def test_one_cache(self) -> None:
        slabs = [{"kvm_vcpu": 0, "filp": 10240 * i} for i in range(8)]
        looks = self._looks([4000] * 8)
        self.assertEqual(growths(looks, slabs), [])
        slabs = [look | {"kvm_vcpu": 11264 * i} for i, look in enumerate(slabs)]
        found = ["leak: objects in kvm_vcpu grew by 33.0 KiB in 6 looks"]
        self.assertEqual(growths(looks, slabs), found)

    def test_all_caches(self) -> None:
        slabs = [dict.fromkeys(("filp", "cred", "pid"), 7424 * i) for i in range(8)]
        found = ["leak: objects in all caches grew by 65.2 KiB in 6 looks"]
        self.assertEqual(growths(self._looks([4000] * 8), slabs), found)

    def test_places_between_objects(self) -> None:
        looks = self._looks([4000 + 100 * i for i in range(8)])
        self.assertEqual(growths(looks, [{"filp": 4096}] * 8), [])


class Stopped(unittest.TestCase):
    """Ctrl-C."""

    def _said(self, boots: int) -> str:
        """What is said if it comes after that many."""
        said = io.StringIO()
        ends = [None] * boots + [KeyboardInterrupt]
        with (
            tempfile.TemporaryDirectory() as name,
            mock.patch("soak._run_part", side_effect=ends),
            contextlib.redirect_stdout(said),
            self.assertRaises(KeyboardInterrupt),
        ):
            parts = Parts(Path(name), Path(name), Emulator(Path(name)), Path(name), Limits(), False)
            soak.run_soak(parts, Order(1.0, 7))
        return said.getvalue()

    def test_after_two_boots(self) -> None:
        said = self._said(2)
        self.assertIn("2 boots: ", said)
        self.assertIn("nothing is said of the boot of seed 9", said)

    def test_in_the_first_boot(self) -> None:
        said = self._said(0)
        self.assertNotIn("boots: ", said)
        self.assertIn("nothing is said of the boot of seed 7", said)


if __name__ == "__main__":
    unittest.main()
