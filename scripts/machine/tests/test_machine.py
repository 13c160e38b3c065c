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
from errors import MachineError
from initramfs import Initramfs
from suite import UPSTREAM_LIST
from testlist import read_test_list


class Archive(unittest.TestCase):
    """The archive is one that cpio reads."""

    def test_cpio_reads_it(self) -> None:
        root = Initramfs()
        root.add("/a/b/c", b"text", 0o644)
        root.add_symlink("/a/link", "b/c")
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(
                ["cpio", "-i", "--quiet"],
                input=root.render(),
                cwd=directory,
                check=True,
            )
            self.assertEqual((Path(directory) / "a/link").read_text(), "text")
            self.assertEqual((Path(directory) / "a/b/c").stat().st_mode & 0o777, 0o644)


class Lists(unittest.TestCase):
    """A list is read whole or not at all."""

    def _read(self, text: str) -> object:
        with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
            file.write(text)
            file.flush()
            return read_test_list(Path(file.name), takeover=True)

    def test_good(self) -> None:
        tests = self._read("# c\nrun a 20 in=absent,loaded -x 1\nomit b no such thing\n")
        entry = tests.entries["a"]
        self.assertEqual(entry.step.command, ("/tests/a", "-x", "1"))
        self.assertEqual((entry.runs_in("loaded"), entry.runs_in("after")), (True, False))
        self.assertEqual(tests.omitted, {"b": "no such thing"})

    def test_bad(self) -> None:
        for text in ("run a", "run a soon", "walk a 20", "run a 0", "run a 1\nrun a 1", "omit a"):
            with self.assertRaises(MachineError, msg=text):
                self._read(text)

    def test_the_committed_list(self) -> None:
        tests = read_test_list(UPSTREAM_LIST, takeover=True)
        self.assertIn("hyperv_evmcs", tests.entries)


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
        self.assertTrue(demo._problems(self._runs(), ["vmx_flush_tlb_all"], True))

    def test_bench(self) -> None:
        samples = [
            bench.Sample(kind, "r", value, value)
            for kind, values in (
                (bench.STOCK, (100, 101, 102)),
                (bench.PATCHED, (100, 101, 103)),
                (bench.RUST, (110, 111, 112)),
            )
            for value in values
        ]
        table = bench.summarise(samples)
        self.assertEqual(table["r"]["patched_to_stock"], 1.0)
        self.assertAlmostEqual(table["r"]["rust_to_c"], 111 / 101)
        self.assertEqual(bench._too_dear(table), [])
        dear = [
            bench.Sample(s.kind, s.region, s.instructions * 1.01, 0) if s.kind == "patched" else s
            for s in samples
        ]
        self.assertTrue(bench._too_dear(bench.summarise(dear)))
        self.assertTrue(bench._too_dear(bench.summarise(samples[:3])))

    def test_bench_reads_only_its_own_lines(self) -> None:
        self.assertTrue(bench._MARK.match("# bench round 500"))
        self.assertFalse(bench._MARK.match("# bench round 0"))
        self.assertEqual(Counter()["absent"], 0)


if __name__ == "__main__":
    unittest.main()
