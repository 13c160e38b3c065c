# SPDX-License-Identifier: GPL-2.0
"""A machine that hangs is ended, and one for which the host has no time is not."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import unittest
from pathlib import Path

from plan import Plan
from session import Limits, Moment, Session


class SilentMachine:
    """One that never says a word, and uses SHARE of a processor until it ends after SECONDS."""

    peak_kib = 0

    def __init__(self, share: float, seconds: float) -> None:
        self._share, self._seconds = share, seconds
        self._start = time.monotonic()
        self.cpu_seconds = 0.0

    @contextlib.contextmanager
    def start(self, _directory: Path, _verbose: bool):
        yield self

    def ended(self) -> bool:
        passed = time.monotonic() - self._start
        self.cpu_seconds = passed * self._share
        return passed > self._seconds

    def why_it_ended(self, _directory: Path) -> str:
        return "by itself"


class Patience(unittest.TestCase):
    """How long it is waited for."""

    def test_a_limit_is_over_when_the_machine_has_had_the_time(self) -> None:
        start = Moment(0, 7)
        self.assertFalse(start.is_over(100, Moment(99, 106)))
        self.assertTrue(start.is_over(100, Moment(101, 107)))

    def test_it_is_not_while_the_host_has_no_time_for_it(self) -> None:
        start = Moment(0, 7)
        self.assertFalse(start.is_over(100, Moment(300, 17)))
        self.assertTrue(start.is_over(100, Moment(501, 17)))

    def test_the_clock_alone_counts_where_nothing_else_is_known(self) -> None:
        self.assertTrue(Moment(0, 0).is_over(100, Moment(101, 0)))

    def _faults(self, machine: SilentMachine) -> list[str]:
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()):
            limits = Limits(boot=60, silence=0.3)
            session = Session(Plan(()), machine, Path(directory), limits, False)
            return [fault.kind for fault in session.run().console.faults]

    def test_a_session_ends_a_machine_that_hangs(self) -> None:
        self.assertEqual(self._faults(SilentMachine(1, 20)), ["silent machine"])

    def test_a_session_waits_for_a_machine_that_gets_no_time(self) -> None:
        self.assertEqual(self._faults(SilentMachine(0.01, 0.9)), ["machine ended"])


if __name__ == "__main__":
    unittest.main()
