# SPDX-License-Identifier: GPL-2.0
"""What of the policy no test runs: which regions that are, and what must be said of them."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

from errors import MachineError
from policy_coverage import (
    Coverage,
    Explained,
    Missing,
    lines_of,
    problems,
    read_coverage,
    read_explained,
)

SOURCE = """\
fn first(a: Option<u8>) -> Option<u8> {
    let b = a?;
    if b > 1 {
        return None;
    }
    Some(b)
}
"""
BODY, QUESTION, CONDITION = [1, 39, 7, 2], [2, 14, 2, 15], [3, 8, 3, 13]
# Count, file, expanded file, kind.
CODE = [0, 0, 0]


class Missed(unittest.TestCase):
    """Regions and outcomes."""

    def read(self, *functions: dict[str, Any]) -> list[tuple[int, Missing]]:
        """What is missing of SOURCE."""
        with tempfile.TemporaryDirectory() as holder:
            path = Path(holder) / "flush.rs"
            path.write_text(SOURCE)
            for function in functions:
                function["filenames"] = [str(path)]
            return read_coverage({"data": [{"functions": functions}]}, path.parent).missing

    def function(self, body: int, question: int, true: int, false: int) -> dict[str, Any]:
        """As llvm-cov says it, with these counts."""
        return {
            "regions": [[*BODY, body, *CODE], [*QUESTION, question, *CODE]],
            "branches": [[*CONDITION, true, false, 0, 0, 4]],
        }

    def test_what_no_instance_of_a_function_runs(self) -> None:
        self.assertEqual(
            self.read(self.function(1, 0, 0, 1)),
            [
                (2, Missing("flush.rs", "first", "?")),
                (3, Missing("flush.rs", "first", "b > 1", "true")),
            ],
        )
        self.assertEqual(self.read(self.function(1, 0, 0, 1), self.function(0, 1, 1, 0)), [])

    def test_a_region_of_many_lines_has_the_text_of_its_first(self) -> None:
        missing = self.read(self.function(0, 1, 1, 1))
        self.assertEqual(missing, [(1, Missing("flush.rs", "first", "{"))])

    def test_nothing_at_all_is_an_error(self) -> None:
        with self.assertRaisesRegex(MachineError, "nothing was counted"):
            self.read()

    def test_problems(self) -> None:
        missing = self.read(self.function(1, 0, 0, 1))
        with tempfile.TemporaryDirectory() as holder:
            path = Path(holder) / "uncovered.toml"
            path.write_text("")
            self.assertEqual(read_explained(path), [])
        question = Explained("flush.rs", "first", "?", "why")
        condition = Explained("flush.rs", "first", "b > 1", "why", "true")
        stale = Explained("flush.rs", "first", "?", "why", count=2)
        coverage = Coverage(2, 2, missing)
        self.assertEqual(problems(coverage, [question, condition]), [])
        self.assertEqual(
            problems(coverage, [question]),
            ["policy/flush.rs:3: in first: `b > 1` is never true"],
        )
        self.assertEqual(
            problems(coverage, [stale, condition]),
            ["uncovered.toml: flush.rs: first: `?`: 1 of 2 are missing: correct the entry"],
        )

    def test_lines(self) -> None:
        lcov = "SF:/a/flush.rs\nDA:1,1\nDA:2,0\nend_of_record\nSF:/b/test.rs\nDA:1,0\n"
        self.assertEqual(lines_of(lcov, Path("/a")), (2, 1))


if __name__ == "__main__":
    unittest.main()
