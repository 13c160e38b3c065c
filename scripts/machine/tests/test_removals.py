# SPDX-License-Identifier: GPL-2.0
"""Which fault is injected, and what is said of it: a rule that nothing notices must fail."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import removal_table
from errors import MachineError
from injected import Run
from mutant_list import Mutant, read_mutants
from mutants import by_program, entry, without_edit
from removal_list import CHECKOUT, Rule, choose, read_rules
from removals import _plan_runs


def _report(rules: list[Rule], runs: list[Run]) -> tuple[int, str]:
    """The exit status, and all that was printed."""
    printed = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as output,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        status = removal_table.report(rules, runs, Path(output))
    return status, printed.getvalue()


def _run(names: tuple[str, ...], stale: int, status: int | None = 0) -> Run:
    return Run("c", names, "", {"tlb_a": stale}, {"tlb_a": status})


INTACT = _run((), 0)


class Verdicts(unittest.TestCase):
    """The table, and the exit status."""

    def test_seen(self) -> None:
        status, text = _report([Rule("H1", "x")], [INTACT, _run(("H1",), 3)])
        self.assertEqual(status, 0)
        self.assertIn("tlb_a 3", text)

    def test_not_seen(self) -> None:
        status, text = _report([Rule("H1", "x")], [INTACT, _run(("H1",), 0, 1)])
        self.assertEqual(status, 1)
        self.assertIn("NOT SEEN", text)

    def test_intact_is_reported(self) -> None:
        self.assertEqual(_report([Rule("H1", "x")], [_run((), 1), _run(("H1",), 3)])[0], 1)

    def test_intact_fails(self) -> None:
        for ended in (1, None):
            runs = [_run((), 0, ended), _run(("H1",), 3)]
            self.assertEqual(_report([Rule("H1", "x")], runs)[0], 1)

    def test_masked(self) -> None:
        rule = Rule("T6", "x", masked=("H9",))

        def said(alone: int, mask: int, both: int) -> tuple[int, str]:
            runs = [_run(("T6",), alone), _run(("H9",), mask), _run(("T6", "H9"), both)]
            return _report([rule], [INTACT, *runs])

        status, text = said(0, 0, 2)
        self.assertEqual(status, 0)
        self.assertIn("redundant with H9; without these as well: tlb_a 2", text)
        self.assertIn("tlb_a 9 (otherwise 3)", said(0, 3, 9)[1])
        self.assertEqual(said(0, 0, 0)[0], 1)
        # What the mask alone gives proves nothing.
        self.assertEqual(said(0, 9, 10)[0], 1)
        self.assertEqual(said(1, 0, 2)[0], 1)

    def test_values(self) -> None:
        rule = Rule("T13", "x", values="why")
        self.assertEqual(_report([rule], [INTACT, _run(("T13",), 0, 254)])[0], 0)
        self.assertEqual(_report([rule], [INTACT, _run(("T13",), 0)])[0], 1)
        self.assertEqual(_report([rule], [INTACT, _run(("T13",), 5, 254)])[0], 1)

    def test_masked_values(self) -> None:
        rule = Rule("T14", "x", masked=("X14",), values="why")

        def said(alone: int, mask: int, both: int) -> int:
            ended = ((("T14",), alone), (("X14",), mask), (("T14", "X14"), both))
            return _report([rule], [INTACT, *(_run(names, 0, status) for names, status in ended)])[
                0
            ]

        self.assertEqual(said(0, 0, 254), 0)
        self.assertEqual(said(0, 0, 0), 1)
        self.assertEqual(said(254, 0, 254), 1)
        # What fails without the mask alone proves nothing.
        self.assertEqual(said(0, 254, 254), 1)

    def test_unseen(self) -> None:
        rule = Rule("T10", "x", unseen="why")
        self.assertEqual(_report([rule], [INTACT, _run(("T10",), 0)])[0], 0)
        self.assertEqual(_report([rule], [INTACT, _run(("T10",), 1)])[0], 1)


class Entries(unittest.TestCase):
    """The lines about one rule."""

    def test_sides_that_differ(self) -> None:
        lines = removal_table.entry("H1", "x", {"C": "a", "Rust": "b"})
        self.assertEqual(lines, ["- **H1**: x", "  - C: a", "  - Rust: b"])

    def test_sides_that_agree(self) -> None:
        lines = removal_table.entry("H1", "x", {"C": "a", "Rust": "a"})
        self.assertEqual(lines, ["- **H1**: x", "  - C and Rust: a"])

    def test_a_rule_that_stays_in_c(self) -> None:
        lines = removal_table.entry("H1", "x", {"C": "a", "Rust": ""})
        self.assertEqual(lines, ["- **H1**: x", "  - C: a"])

    def test_long_lines(self) -> None:
        seen = ", ".join(f"tlb_contexts[ept=0,no-vpid02] {number}" for number in range(20))
        lines = removal_table.entry("H1", "x", {"C": seen})
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertEqual(" ".join(line.strip() for line in lines[1:]), f"- C: {seen}")


class Mutants(unittest.TestCase):
    """The lines about one edit in docs/mutants.md."""

    def test_runs_of_one_program(self) -> None:
        self.assertEqual(by_program(["a", "b[ept=0]", "b", "b"]), "a, b x2")
        self.assertEqual(by_program([]), "")

    def test_ends_without_the_edit(self) -> None:
        self.assertEqual(without_edit("pass", "pass"), "")
        self.assertEqual(without_edit("XFAIL", "pass"), "XFAIL in C")
        self.assertEqual(without_edit("pass", "FAIL: a"), "FAIL: a in Rust")

    def test_what_notices(self) -> None:
        def said(ends: str = "", **facts: object) -> str:
            return " ".join(entry(Mutant("edit", "H1", **facts), ends)).removeprefix("- **H1** ")

        runs = ["a", "a[ept=0]"]
        self.assertEqual(
            said("XFAIL in C", tests=["a"], caught_by=runs),
            "edit: XFAIL in C; noticed by a x2",
        )
        self.assertEqual(said(tests=["a"]), "edit: noticed by NO TEST")
        self.assertEqual(said(), "edit: no test")


class List(unittest.TestCase):
    """The list is whole."""

    def test_every_name_of_the_kernel(self) -> None:
        patch = CHECKOUT / "selftests/removals/linux-7.3.patch"
        lines = patch.read_text(encoding="utf-8").splitlines()
        known = [line[4:].split(")")[0] for line in lines if line.startswith("+\tX(")]
        self.assertEqual(sorted(known), sorted(read_rules()))

    def test_every_edit_exists(self) -> None:
        edits = {mutant.name for mutant in read_mutants()}
        self.assertLessEqual({rule.rust for rule in read_rules().values()} - {""}, edits)

    def test_choice(self) -> None:
        rules = read_rules()
        self.assertEqual([r.name for r in choose(rules, "H1")], ["H1_ept", "H1_vpid"])
        self.assertEqual([r.name for r in choose(rules, "T4")], ["T4"])
        with self.assertRaises(MachineError):
            choose(rules, "X")

    def test_bad_lists(self) -> None:
        for text in (
            "H1 = { removes = 'x', typo = 1 }",
            "H1 = { removes = 'x', masked = ['H9'] }",
            "H1 = { removes = 'x', values = 'a', unseen = 'b' }",
            "H1 = { removes = 'x', masked = ['H1'], unseen = 'b' }",
            "H1 = ",
        ):
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(text)
                file.flush()
                with self.assertRaises(MachineError, msg=text):
                    read_rules(Path(file.name))

    def test_runs(self) -> None:
        rules = {
            "A": Rule("A", "x", ("", "ept=0"), rust="edit", masked=("B",)),
            "B": Rule("B", "x"),
        }
        runs = _plan_runs(list(rules.values()), rules)
        plain = [run.names for run in runs if run.side == "c" and not run.parameters]
        self.assertEqual(plain, [(), ("A",), ("B",), ("A", "B")])
        self.assertEqual({run.parameters for run in runs if run.side == "rust"}, {"", "ept=0"})


if __name__ == "__main__":
    unittest.main()
