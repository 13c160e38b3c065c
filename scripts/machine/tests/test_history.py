# SPDX-License-Identifier: GPL-2.0
"""Which fix is undone, and what is said of it: one that ends otherwise than listed must fail."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import history_table
from errors import MachineError
from history import _entries, plan_runs
from history_list import LIST, Ends, Fix, choose_fixes, read_history
from injected import Run
from plan import Step
from results import Result, Status
from testlist import Entry

FIX = Fix("undone", "123456789abc", 2020, "x", ("tlb_a",), Ends.STALE)
GOOD = "[undone]\ncommit = 'a'\nyear = 2020\nwrong = 'x'\nruns = ['tlb_a']\nends = 'stale'\n"


def _run(
    names: tuple[str, ...],
    stale: int = 0,
    status: Status = Status.PASSED,
    flushes: int = 10,
    fault: str = "",
) -> Run:
    counters = {"": {"invvpid.single": flushes}}
    result = Result("g", "tlb_a", status, ["why"] * (status != "passed"), witness=counters)
    run = Run("c", names, "", {"tlb_a": stale}, {"tlb_a": 0}, {"tlb_a": result})
    if fault:
        run.faults["tlb_a"] = fault
    return run


def _report(fix: Fix, *runs: Run) -> tuple[int, str]:
    """The exit status, and all that was printed."""
    printed = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as output,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        status = history_table.report([fix], [], [_run(()), *runs], Path(output))
    return status, printed.getvalue()


UNDONE = ("undone",)
SEEN = {
    Ends.STALE: _run(UNDONE, stale=3, status=Status.FAILED),
    Ends.FAILS: _run(UNDONE, status=Status.FAILED),
    Ends.WARNS: _run(UNDONE, status=Status.FAILED, fault="WARNING: at x"),
    Ends.FLUSHES: _run(UNDONE, flushes=12),
    Ends.NOTHING: _run(UNDONE),
}


class Verdicts(unittest.TestCase):
    """The table, and the exit status."""

    def test_each_as_listed_and_as_each_other(self) -> None:
        for listed in Ends:
            fix = replace(FIX, ends=listed, why="nobody looks")
            for seen, run in SEEN.items():
                # More flushes are no sign of a lost one.
                fine = seen is listed or (listed, seen) == (Ends.NOTHING, Ends.FLUSHES)
                status, text = _report(fix, run)
                self.assertEqual(status, 0 if fine else 1, f"{listed} {seen}: {text}")

    def test_what_was_seen_is_said(self) -> None:
        self.assertIn("stale: tlb_a 3", _report(FIX, SEEN[Ends.STALE])[1])
        fails = replace(FIX, ends=Ends.FAILS)
        self.assertIn("fails: tlb_a (`why`)", _report(fails, SEEN[Ends.FAILS])[1])
        flushes = replace(FIX, ends=Ends.FLUSHES)
        self.assertIn("tlb_a 10 -> 12", _report(flushes, SEEN[Ends.FLUSHES])[1])
        nothing = replace(FIX, ends=Ends.NOTHING, why="nobody looks")
        self.assertIn("not visible: nobody looks", _report(nothing, SEEN[Ends.NOTHING])[1])
        self.assertIn("NOT SEEN", _report(FIX, SEEN[Ends.NOTHING])[1])

    def test_a_few_flushes_more_are_chance(self) -> None:
        fix = replace(FIX, ends=Ends.FLUSHES)
        self.assertEqual(_report(fix, _run(UNDONE, flushes=11))[0], 1)

    def test_nothing_undone_must_show_nothing(self) -> None:
        for status in (Status.FAILED, Status.SKIPPED):
            run = _run((), status=status)
            self.assertEqual(_report(FIX, SEEN[Ends.STALE], run)[0], 1)

    def test_covered(self) -> None:
        fix = replace(FIX, cover=("cover_x",))

        def said(alone: int, cover: int, both: int) -> tuple[int, str]:
            failed = {True: Status.FAILED, False: Status.PASSED}
            return _report(
                fix,
                _run(UNDONE, alone, failed[alone > 0]),
                _run(("cover_x",), cover, failed[cover > 0]),
                _run(fix.names(), both, failed[both > 0]),
            )

        status, text = said(0, 0, 2)
        self.assertEqual(status, 0)
        self.assertIn("covered by x; without as well: tlb_a 2 stale", text)
        self.assertIn("tlb_a 9 (otherwise 3)", said(0, 3, 9)[1])
        self.assertEqual(said(0, 0, 0)[0], 1)
        # What the cover alone gives proves nothing.
        self.assertEqual(said(0, 9, 10)[0], 1)
        self.assertEqual(said(1, 0, 2)[0], 1)


class Lists(unittest.TestCase):
    """fixes.toml, and what runs for it."""

    def test_the_list(self) -> None:
        history = read_history()
        self.assertEqual(set(_entries(history.fixes)), {r for f in history.fixes for r in f.runs})
        # Each name is one that the kernel's patch knows, and the other way round.
        patch = (LIST.parent / "linux-7.3.patch").read_text(encoding="utf-8")
        known = set(re.findall(r"^\+\tX\((\w+)\)", patch, re.MULTILINE))
        self.assertEqual({name for fix in history.fixes for name in fix.names()}, known)
        used = set(re.findall(r"fix_undone\((\w+)\)", patch)) - {"name"}
        self.assertEqual(used, known)

    def test_choose(self) -> None:
        fixes = (FIX, replace(FIX, name="other", commit="fedcba"))
        self.assertEqual(choose_fixes(fixes, None), fixes)
        self.assertEqual([f.name for f in choose_fixes(fixes, "other undone")], ["other", "undone"])
        self.assertEqual([f.name for f in choose_fixes(fixes, "fedc")], ["other"])
        with self.assertRaises(MachineError):
            choose_fixes(fixes, "none")

    def test_errors(self) -> None:
        for text in (
            GOOD.replace("2020", "2020\ntypo = 1"),
            GOOD.replace("'stale'", "'otherwise'"),
            GOOD.replace("['tlb_a']", "[]"),
            GOOD.replace("'stale'", "'nothing'"),
            "undone = ",
        ):
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(text)
                file.flush()
                with self.assertRaises(MachineError, msg=text):
                    read_history(Path(file.name))

    def test_runs(self) -> None:
        entries = {
            "tlb_a": Entry("tlb_a", Step("tlb_a", ("x",)), ()),
            "tlb_a[ept=0]": Entry("tlb_a", Step("tlb_a[ept=0]", ("x",)), (), "ept=0"),
        }
        fix = replace(FIX, runs=tuple(entries), cover=("cover_x",))
        runs = plan_runs((fix,), entries)
        plain = [run.names for run in runs if not run.parameters]
        self.assertEqual(plain, [(), UNDONE, ("cover_x",), ("undone", "cover_x")])
        self.assertEqual({run.parameters for run in runs}, {"", "ept=0"})

    def test_a_run_that_cannot_be(self) -> None:
        for name in ("no_such", "load_cycle", "bug_pv_flush"):
            with self.assertRaises(MachineError):
                _entries((replace(FIX, runs=(name,)),))


if __name__ == "__main__":
    unittest.main()
