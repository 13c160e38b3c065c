# SPDX-License-Identifier: GPL-2.0
"""What the machine is made of: archive, lists, reports."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import bench
import demo
import image
from bochs import Emulator
from boots import Parts
from errors import MachineError
from plan import guest_script
from session import Limits
from suite import OWN_PLAN, UPSTREAM_LIST, by_release, choose, make_boots
from testlist import TestList, read_own_plan, read_upstream_list


class Archive(unittest.TestCase):
    """The archive is one that cpio reads."""

    def test_cpio_reads_it(self) -> None:
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as copy:
            image.add(Path(scratch), "a/b/c", b"text", 0o644)
            image.add(Path(scratch), "a/d", b"")
            command = ["busybox", "cpio", "-i", "--quiet"]
            subprocess.run(command, input=image.archive(Path(scratch)), cwd=copy, check=True)
            self.assertEqual((Path(copy) / "a/b/c").read_text(), "text")
            self.assertEqual((Path(copy) / "a/b/c").stat().st_mode & 0o777, 0o644)
            self.assertEqual((Path(copy) / "a/d").stat().st_mode & 0o777, 0o755)
            shown = ["busybox", "cpio", "-t", "-v"]
            listed = subprocess.run(
                shown, input=image.archive(Path(scratch)), capture_output=True, check=True
            ).stdout.decode()
            self.assertEqual([line.split()[1] for line in listed.splitlines()], ["0/0"] * 4)


class Lists(unittest.TestCase):
    """A list is read whole or not at all."""

    def _read(self, text: str, own: bool = False) -> TestList:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write(text)
            file.flush()
            return (read_own_plan if own else read_upstream_list)(Path(file.name))

    def test_upstream(self) -> None:
        tests = self._read("# c\nrun a 20 -x 1\nomit b no such thing\nlong d 900\n")
        entry, long = tests.entries
        self.assertEqual((entry.long, long.long), (False, True))
        self.assertEqual(entry.step.command, ("/tests/a", "-x", "1"))
        self.assertEqual(entry.groups, ("absent", "loaded", "after"))
        self.assertEqual(tests.omitted, {"b": "no such thing"})

    def test_what_only_later_kernels_have(self) -> None:
        entries = self._read("run a 20\nrun b 20\nsince b 7.10\n").entries
        with tempfile.TemporaryDirectory() as scratch:
            kernel = Path(scratch)
            (kernel / "include/config").mkdir(parents=True)
            file = kernel / "include/config/kernel.release"
            for release, left in (
                ("7.9.12-x", ["a"]),
                ("7.10.1", ["a", "b"]),
                ("8.0-rc1", ["a", "b"]),
            ):
                file.write_text(f"{release}\n", encoding="utf-8")
                chosen, later = by_release(entries, kernel)
                self.assertEqual([entry.program for entry in chosen], left)
                self.assertEqual(len(later), 2 - len(left))
            file.write_text("7.9.12\n", encoding="utf-8")
            (line,) = by_release(entries, kernel)[1]
            self.assertEqual((line.group, line.name, line.status), ("absent", "b", "skipped"))
            with self.assertRaisesRegex(MachineError, "b: .* since Linux 7.10"):
                by_release(entries[1:], kernel)
            self.assertEqual(by_release([], kernel), ([], []))

    def test_bad_upstream(self) -> None:
        since = ("since a 7.3", "run a 1\nsince a", "run a 1\nsince a 7", "run a 1\nsince b 7.3")
        for text in (
            "run a",
            "run a soon",
            "walk a 20",
            "run a 0",
            "run a 1\nrun a 1",
            "omit a",
            *since,
        ):
            with self.assertRaises(MachineError, msg=text):
                self._read(text)

    def test_own(self) -> None:
        tests = self._read(
            "a | - | 60 | - | -\n"
            "a | ept=0 vpid=0 | 60 | --contexts 8 --evmcs | -\n"
            "b | - | 60 | MODULES/x.ko | -\n"
            "c | - | 60 | MODULES/rust_kvm_nvmx.ko 200 | -\n",
            own=True,
        )
        names = [entry.step.name for entry in tests.entries]
        self.assertEqual(names, ["a", "a[ept=0,vpid=0,contexts=8,evmcs]", "b", "c"])
        self.assertEqual(tests.entries[1].parameters, "ept=0 vpid=0")
        self.assertEqual(tests.entries[2].step.command, ("/tests/b", "/modules/x.ko"))
        self.assertEqual(tests.entries[3].groups, ("absent",))
        self.assertFalse(tests.entries[0].step.may_skip)

    def test_bad_own(self) -> None:
        one = "a | - | 60 | - | -\n"
        for text in (one * 2, "a | - | 60 | -", "a | - | soon | - | -", " | - | 60 | - | -"):
            with self.assertRaises(MachineError, msg=text):
                self._read(text, own=True)

    def test_long_own(self) -> None:
        tests = self._read("a | - | 60 | - | -\na | - | 900 | --vms 9 | long\n", own=True)
        short, long = tests.entries
        self.assertEqual((short.long, long.long), (False, True))
        self.assertEqual(long.groups, ("absent", "loaded"))
        self.assertEqual(choose([tests], None), [short])
        self.assertEqual(choose([tests], None, full=True), [short, long])
        self.assertEqual(choose([tests], "a"), [short])
        self.assertEqual(choose([tests], "a[vms=9]"), [long])

    def test_the_committed_lists(self) -> None:
        upstream = read_upstream_list(UPSTREAM_LIST)
        self.assertIn("hyperv_evmcs", [entry.program for entry in upstream.entries])
        self.assertTrue(read_own_plan(OWN_PLAN).entries)

    def test_other_parameters_are_other_machines(self) -> None:
        tests = self._read("a | - | 60 | - | -\na | ept=0 vpid=0 | 60 | - | -\n", own=True)
        here = Path("/")
        parts = Parts(here, here, Emulator(here), here, Limits(), False)
        boots = make_boots(parts, tests.entries)
        self.assertEqual([boot.name for boot in boots], ["machine-1", "ept0-vpid0"])
        self.assertIn("load kvm-intel ept=0 vpid=0\n", guest_script(boots[1].plan))

    def test_the_module_in_the_kernel_is_never_absent(self) -> None:
        tests = self._read("a | - | 60 | - | -\nb | - | 60 | MODULES/rust_kvm_nvmx.ko | -\n", True)
        with tempfile.TemporaryDirectory() as scratch:
            kernel = Path(scratch)
            (kernel / ".config").write_text("CONFIG_RUST_KVM_NVMX=y\n", encoding="utf-8")
            parts = Parts(kernel, kernel, Emulator(kernel), kernel, Limits(), False)
            plan = make_boots(parts, tests.entries)[0].plan
        self.assertEqual(plan.step_names(), ["loaded/a", "traced/tracing", "traced/a"])


class Reports(unittest.TestCase):
    """The demo's and the benchmark's figures."""

    def _runs(self) -> dict:
        executed = {"invvpid.single": 2}
        one = {
            "hooks_in_c": dict.fromkeys(demo._SHOWN, 3),
            "hooks_in_rust": dict.fromkeys(demo._SHOWN, 0),
            "module_counted": dict(executed),
            "emulator_counted": dict(executed),
            "entries": {"L1": 1, "L2": 1},
        }
        other = {
            **one,
            "hooks_in_c": dict.fromkeys(demo._SHOWN, 0),
            "hooks_in_rust": dict.fromkeys(demo._SHOWN, 3),
            "module_counted": dict(executed),
        }
        return {"c": one, "rust": other}

    def test_demo(self) -> None:
        self.assertEqual(demo._problems(self._runs(), [], True), [])

    def test_demo_finds_what_is_wrong(self) -> None:
        for change in (
            lambda runs: runs["rust"]["module_counted"].update({"invvpid.single": 3}),
            lambda runs: runs["rust"]["hooks_in_rust"].update(flush_tlb_all=0),
            lambda runs: runs["rust"]["hooks_in_c"].update(flush_tlb_all=1),
            lambda runs: runs["c"]["hooks_in_c"].update(flush_tlb_guest=0),
            lambda runs: runs["rust"]["entries"].update(L2=0),
        ):
            runs = self._runs()
            change(runs)
            self.assertTrue(demo._problems(runs, [], True))
        unwatched = "flush_tlb_all: f+0x5: C cannot be counted here"
        self.assertEqual(demo._problems(self._runs(), [unwatched], True), [unwatched])

    def test_bench(self) -> None:
        samples = [
            bench.Sample(kind, "r", value, value)
            for kind, values in (
                (bench.STOCK, (100, 101, 102)),
                (bench.PATCHED, (100, 101, 103)),
                (bench.LIKE_C, (104, 105, 106)),
                (bench.RUST, (110, 111, 112)),
            )
            for value in values
        ]
        table = bench.summarise(samples)
        self.assertEqual(table["r"]["patched_to_stock"], 1.0)
        self.assertAlmostEqual(table["r"]["like_c_to_c"], 105 / 101)
        self.assertAlmostEqual(table["r"]["rust_to_c"], 111 / 101)
        self.assertEqual(bench._too_dear(table), [])
        dear = [
            bench.Sample(s.kind, s.region, s.instructions * 1.01, 0) if s.kind == "patched" else s
            for s in samples
        ]
        self.assertTrue(bench._too_dear(bench.summarise(dear)))
        self.assertTrue(bench._too_dear(bench.summarise(samples[:3])))

    def test_bench_counts_flushes_by_instruction(self) -> None:
        samples = [
            bench.Sample(kind, "r", 1, 1, {"INVVPID": invvpids, "INVEPT": 0.5})
            for kind, invvpids in ((bench.STOCK, 1.0), (bench.RUST, 0.0), (bench.RUST, 0.25))
        ]
        table = bench.flushes(samples)
        self.assertEqual(table["r"]["INVVPID"], {bench.STOCK: 1.0, bench.RUST: 0.125})
        self.assertEqual(table["r"]["INVEPT"], {bench.STOCK: 0.5, bench.RUST: 0.5})
        self.assertIn("0.125", bench.render_flushes(table))

    def test_bench_reads_only_its_own_lines(self) -> None:
        self.assertTrue(bench._MARK.match("# bench round 500"))
        self.assertFalse(bench._MARK.match("# bench round 0"))
        self.assertEqual(Counter()["absent"], 0)


if __name__ == "__main__":
    unittest.main()
