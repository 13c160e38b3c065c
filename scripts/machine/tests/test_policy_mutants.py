# SPDX-License-Identifier: GPL-2.0
"""Small changes of the policy: which rule each is about, and what must be said of those that no
test notices."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import policy_mutants
from errors import MachineError
from policy_items import Item, item_at, read_items, rules_of
from policy_mutants import (
    Mutant,
    Outcome,
    Survivor,
    make_package,
    problems,
    read_outcome,
    read_survivors,
    report,
)

SOURCE = """\
/// T4 and T5: the flush.
#[inline(always)]
pub(crate) fn first(
    a: u8,
) -> u8 {
    a + LIMIT
}

impl Shape {
    /// Not a rule: T9.
    const fn new() -> Self {
        Self
    }
}

/// E1 to E3, X2: a limit.
pub(crate) const LIMIT: u8 = 1 << 3;

fn plain() {}
"""


class Items(unittest.TestCase):
    """The rules of functions and constants."""

    def items(self, named: dict[str, list[str]]) -> list[Item]:
        """Of SOURCE as flush.rs."""
        with tempfile.TemporaryDirectory() as holder:
            (Path(holder) / "flush.rs").write_text(SOURCE)
            return read_items(Path(holder), named)

    def test_rules_of_comments(self) -> None:
        self.assertEqual(
            [(item.name, item.line, item.rules, item.is_function) for item in self.items({})],
            [
                ("first", 3, ("T4", "T5"), True),
                ("new", 11, (), True),
                ("LIMIT", 17, ("E1", "E2", "E3", "X2"), False),
                ("plain", 19, (), True),
            ],
        )

    def test_rules_of_sections(self) -> None:
        named = {"T4": ["policy::flush::first"], "E7": ["policy::flush::Shape::new", "flush::new"]}
        named["E8"] = ["policy::other::new", "policy::flush", "nested_tlb::flush::new"]
        rules = {item.name: item.rules for item in self.items(named)}
        self.assertEqual((rules["first"], rules["new"]), (("T4", "T5"), ("E7",)))

    def test_where_a_line_belongs(self) -> None:
        items = self.items({})
        self.assertIsNone(item_at(items, "flush.rs", 2))
        self.assertIsNone(item_at(items, "other.rs", 5))
        self.assertEqual(item_at(items, "flush.rs", 6).name, "first")
        self.assertEqual(item_at(items, "flush.rs", 17).name, "LIMIT")

    def test_lists_of_rules(self) -> None:
        self.assertEqual(rules_of("T1 to T3"), ["T1", "T2", "T3"])
        self.assertEqual(rules_of("H4 H15"), ["H4", "H15"])
        self.assertEqual(rules_of("-"), [])


class Outcomes(unittest.TestCase):
    """What cargo-mutants wrote, and what is made of it."""

    ITEMS = [Item("a.rs", "f", 1, ("T1",), True), Item("a.rs", "LIMIT", 9, ("T2",), False)]
    IN_F = Mutant("a.rs", 3, "replace | with ^ in f", ITEMS[0])
    IN_LIMIT = Mutant("a.rs", 9, "replace << with >>", ITEMS[1])

    def found(self, *survivors: Survivor, **outcome: list[Mutant]) -> list[str]:
        """The problems; the list of edits breaks T2."""
        lists = {"noticed": [self.IN_F], "survived": [], "unviable": []} | outcome
        return problems(Outcome(**lists), list(survivors), self.ITEMS, {"T2"})

    def test_reading(self) -> None:
        with tempfile.TemporaryDirectory() as holder:
            directory = Path(holder)
            for name, text in (
                ("caught", "src/policy/a.rs:3:12: replace | with ^ in f\n"),
                ("timeout", "src/policy/a.rs:4:12: replace f with ()\n"),
                ("missed", "src/policy/a.rs:9:3: replace << with >>\n"),
                ("unviable", ""),
            ):
                (directory / f"{name}.txt").write_text(text)
            outcome = read_outcome(directory, self.ITEMS)
            self.assertEqual([mutant.line for mutant in outcome.noticed], [3, 4])
            self.assertEqual(outcome.survived, [self.IN_LIMIT])
            self.assertEqual(outcome.survived[0].key(), ("a.rs", "replace << with >> in LIMIT"))
            (directory / "missed.txt").write_text("what\n")
            with self.assertRaisesRegex(MachineError, "what is this mutant"):
                read_outcome(directory, self.ITEMS)

    def test_nothing_wrong(self) -> None:
        self.assertEqual(self.found(), [])

    def test_a_survivor(self) -> None:
        self.assertEqual(
            self.found(survived=[self.IN_F]),
            ["policy/a.rs:3: no test fails: replace | with ^ in f"],
        )
        entry = Survivor("a.rs", "replace | with ^ in f", "why")
        self.assertEqual(self.found(entry, survived=[self.IN_F]), [])
        self.assertEqual(len(self.found(entry, survived=[self.IN_F, self.IN_F])), 2)

    def test_an_entry_too_many(self) -> None:
        entry = Survivor("a.rs", "replace | with ^ in f", "why")
        self.assertIn("does not survive", self.found(entry)[0])
        two = Survivor("a.rs", "replace | with ^ in f", "why", 2)
        self.assertIn("1 of 2 survive", self.found(two, survived=[self.IN_F])[0])

    def test_a_rule_that_nothing_breaks(self) -> None:
        self.assertEqual(self.found(noticed=[]), ["T1: no mutant of it is noticed"])

    def test_the_report(self) -> None:
        outcome = Outcome([self.IN_F], [self.IN_LIMIT, self.IN_F], [])
        text = report(outcome, [Survivor("a.rs", "replace << with >> in LIMIT", "why")])
        self.assertIn("| T1 | 1 | 1 | 0 |", text)
        self.assertIn("| T2 | 0 | 1 | 0 |", text)
        self.assertIn("- `a.rs:9`: `replace << with >> in LIMIT`: why", text)
        self.assertIn("- `a.rs:3`: `replace | with ^ in f`: NOT EXPLAINED", text)


class Lists(unittest.TestCase):
    """What is in the checkout."""

    def test_the_list_of_survivors(self) -> None:
        files = {path.name for path in policy_mutants.POLICY.glob("*.rs")}
        for survivor in read_survivors():
            self.assertIn(survivor.file, files)
            self.assertTrue(survivor.reason)

    def test_bad_lists(self) -> None:
        entry = "[[survivor]]\nfile = 'a.rs'\nmutant = 'm'\nreason = 'r'\n"
        with tempfile.TemporaryDirectory() as holder:
            path = Path(holder) / "survivors.toml"
            for text in (entry + "typo = 1", entry + entry, "[[survivor]]\nfile = 'a.rs'", "["):
                path.write_text(text)
                with self.assertRaises(MachineError, msg=text):
                    read_survivors(path)

    def test_the_package(self) -> None:
        with tempfile.TemporaryDirectory() as holder:
            directory = Path(holder) / "package"
            make_package(directory)
            text = (directory / "src/lib.rs").read_text()
            self.assertNotIn("cfg(test)", text)
            self.assertIn("\nmod policy;\n", text)
            self.assertTrue((directory / "src/policy/mod.rs").is_file())


if __name__ == "__main__":
    unittest.main()
