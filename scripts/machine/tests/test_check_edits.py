# SPDX-License-Identifier: GPL-2.0
"""Which edits of the module are built together."""

from __future__ import annotations

import unittest

from check_edits import batches, culprits
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


class Culprits(unittest.TestCase):
    """Which edit it is that does not build."""

    def _named(self, wrong: set[str], together: bool = True) -> list[str]:
        edits = [_edit(name, "one", "1") for name in "abcdefg"]

        def fails(some: list[Mutant]) -> str:
            found = [edit.name for edit in some if edit.name in wrong]
            return "" if not found or not together and len(found) == 1 else f"{found} fail"

        return [name for name, _ in culprits(edits, fails)]

    def test_none(self) -> None:
        self.assertEqual(self._named(set()), [])

    def test_some(self) -> None:
        self.assertEqual(self._named({"a"}), ["a"])
        self.assertEqual(self._named({"c", "d", "g"}), ["c", "d", "g"])

    def test_not_with_each_other(self) -> None:
        self.assertEqual(self._named({"a", "g"}, together=False), [])


if __name__ == "__main__":
    unittest.main()
