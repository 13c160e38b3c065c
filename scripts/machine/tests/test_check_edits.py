# SPDX-License-Identifier: GPL-2.0
"""Which edits of the module are built together."""

from __future__ import annotations

import unittest

from check_edits import batches
from errors import MachineError
from mutant_list import Mutant

TEXTS = {"a.rs": "one();\ntwo();\n", "b.rs": "three();\n"}


def _edit(name: str, old: str, new: str, file: str = "a.rs") -> Mutant:
    return Mutant(name, "H1", file, old, new)


def _names(*edits: Mutant) -> list[list[str]]:
    return [[edit.name for edit in batch] for batch in batches(edits, TEXTS)]


class Batches(unittest.TestCase):
    """Each edit is in one of them, and finds there what it replaces."""

    def test_different_lines(self) -> None:
        edits = (_edit("x", "one", "1"), _edit("y", "two", "2"), _edit("z", "three", "3", "b.rs"))
        self.assertEqual(_names(*edits), [["x", "y", "z"]])

    def test_the_same_line(self) -> None:
        self.assertEqual(_names(_edit("x", "one", "1"), _edit("y", "one();", "")), [["x"], ["y"]])

    def test_written_by_another(self) -> None:
        self.assertEqual(_names(_edit("x", "one", "two"), _edit("y", "two", "2")), [["x"], ["y"]])
        self.assertEqual(_names(_edit("x", "one", "none"), _edit("y", "one", "1")), [["x"], ["y"]])

    def test_not_there(self) -> None:
        for old in ("four", "();"):
            with self.assertRaises(MachineError):
                batches([_edit("x", old, "")], TEXTS)


if __name__ == "__main__":
    unittest.main()
