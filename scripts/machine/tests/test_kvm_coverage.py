# SPDX-License-Identifier: GPL-2.0
"""What kvm_coverage takes from a machine's output, and how it adds it up."""

from __future__ import annotations

import base64
import gzip
import tempfile
import unittest
from pathlib import Path

import kvm_coverage
from console import Console
from errors import MachineError
from kvm_coverage import Reached

_NESTED = "/sys/kernel/debug/gcov/place/arch/x86/kvm/vmx/nested.gcda"


def _output(*files: tuple[str, bytes]) -> list[str]:
    lines = []
    for name, data in files:
        text = base64.encodebytes(gzip.compress(data)).decode()
        lines += [f"# gcov {name}", *text.splitlines()]
    return lines


def _line(number: int, count: int, *branches: int) -> dict:
    return {
        "line_number": number,
        "count": count,
        "branches": [{"count": each, "throw": False} for each in branches],
    }


class SaveTest(unittest.TestCase):
    """The step's output becomes files."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name) / "gcov"
        self.console = Console()
        self.console.tests_line("@machine begin gcov/counts")

    def _save(self, lines: list[str]) -> None:
        record = self.console.steps["gcov/counts"]
        record.output.extend(lines)
        kvm_coverage.save(self.console, self.directory)

    def test_each_file_comes_over_and_its_text_goes(self) -> None:
        data = bytes(range(256)) * 9
        mmu = _NESTED.replace("vmx/nested", "mmu/mmu")
        self._save(_output((_NESTED, data), (mmu, b"")))
        found = {path.name: path.read_bytes() for path in self.directory.iterdir()}
        self.assertEqual(
            found, {"arch#x86#kvm#vmx#nested.gcda": data, "arch#x86#kvm#mmu#mmu.gcda": b""}
        )
        self.assertEqual(self.console.steps["gcov/counts"].output, [])

    def test_a_line_that_is_lost_is_an_error(self) -> None:
        lines = _output((_NESTED, bytes(range(256)) * 9))
        del lines[2]
        with self.assertRaisesRegex(MachineError, "vmx/nested.gcda did not come over whole"):
            self._save(lines)

    def test_a_machine_that_did_not_come_to_its_end_has_none(self) -> None:
        kvm_coverage.save(Console(), self.directory)
        self.assertFalse(self.directory.exists())


class ReachedTest(unittest.TestCase):
    """Machines together have reached what one of them has."""

    def test_lines_and_branches_add_up(self) -> None:
        reached = Reached()
        reached.add([_line(7, 1, 1, 0), _line(8, 0)])
        reached.add([_line(7, 0, 0, 0), _line(8, 3), _line(9, 0)])
        self.assertEqual(reached.lines, {7: True, 8: True, 9: False})
        self.assertEqual(reached.branches, {(7, 0): True, (7, 1): False})
        self.assertEqual(
            kvm_coverage.render({"vmx/nested.c": reached}).splitlines()[-1],
            "| vmx/nested.c | 66.7 % of 3 | 50.0 % of 2 |",
        )


if __name__ == "__main__":
    unittest.main()
