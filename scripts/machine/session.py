# SPDX-License-Identifier: GPL-2.0
"""One boot of the machine, from its start to its end, watched all the way."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from console import Console, StepRecord, Tail
from faults import Fault
from plan import Plan

KERNEL_LOG, TESTS_LOG = "kernel.log", "tests.log"
_POLL = 0.05
# After a fatal report the kernel still prints what helps most: the trace.
_LAST_WORDS = 3.0
_TAIL_LINES = 40
# A limit is over only if the host gave the machine this share of it. But if even so many times
# the limit have passed, nobody should wait on.
_SHARE, _PATIENCE = 0.25, 5
# Set to make every session stop its emulator and return.
STOP = threading.Event()


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds. A step's own limit runs on the machine's clock; these are for
    a machine that no longer keeps it."""

    boot: float = 180
    silence: float = 120
    # Real seconds granted for one of the machine's, on a slow or busy host.
    slowness: float = 6
    total: float = 3000


class Running(Protocol):
    """A machine that was started."""

    peak_kib: int
    # What it used of the host's processors, or 0 if that is not known.
    cpu_seconds: float

    def ended(self) -> bool:
        """Whether it is gone."""


class Machine(Protocol):
    """What runs a plan: it writes the kernel's messages to KERNEL_LOG and what the tests print
    to TESTS_LOG of its directory."""

    def start(self, directory: Path, verbose: bool) -> AbstractContextManager[Running]:
        """Start it; leaving the context kills it."""

    def why_it_ended(self, directory: Path) -> str:
        """What it said when it ended by itself, if anything."""


class Moment(NamedTuple):
    """By the clock, and by what the machine had used of the host's processors."""

    clock: float
    used: float

    def is_over(self, limit: float, now: Moment) -> bool:
        """Whether a machine has had LIMIT seconds since then. What a busy host takes longer is no
        fault of the machine."""
        clock, used = now.clock - self.clock, now.used - self.used
        had_time = not now.used or used >= limit * _SHARE
        return clock > limit and (had_time or clock > limit * _PATIENCE)


@dataclass
class Outcome:
    """What is known after the machine stopped."""

    console: Console
    directory: Path
    seconds: float
    boot_seconds: float
    peak_kib: int
    # What it used of the host's processors.
    cpu_seconds: float


class Session:
    """Runs PLAN on MACHINE; its files go to DIRECTORY."""

    def __init__(
        self, plan: Plan, machine: Machine, directory: Path, limits: Limits, verbose: bool
    ) -> None:
        self._machine = machine
        self._directory = directory
        self._limits = limits
        self._verbose = verbose
        self._shown = plan.shown
        self._console = Console()
        self._step_limits = {
            f"{group.name}/{step.name}": step.limit
            for group in plan.groups
            for step in plan.all_steps(group)
        }

    def run(self) -> Outcome:
        """Boot, watch, stop. Faults are in the outcome's console, not raised."""
        for name in (KERNEL_LOG, TESTS_LOG):
            (self._directory / name).unlink(missing_ok=True)
        self._kernel = Tail(self._directory / KERNEL_LOG)
        self._tests = Tail(self._directory / TESTS_LOG)
        self._start = time.monotonic()
        self._last_output = self._step_start = self._begin = Moment(self._start, 0)
        self._boot_seconds = 0.0
        with (
            open(self._directory / "console.log", "w", encoding="utf-8") as self._log,
            self._machine.start(self._directory, self._verbose) as process,
        ):
            self._watch(process)
        seconds = time.monotonic() - self._start
        return Outcome(
            self._console,
            self._directory,
            seconds,
            self._boot_seconds,
            process.peak_kib,
            process.cpu_seconds,
        )

    def _watch(self, process: Running) -> None:
        stop_at = None
        while not STOP.is_set():
            ended = process.ended()
            self._now = Moment(time.monotonic(), process.cpu_seconds)
            self._take_lines(last=ended)
            if ended:
                self._judge_end()
                return
            now = time.monotonic()
            if stop_at is None:
                late = self._overdue()
                if late:
                    self._console.faults.append(late)
                    self._say(f"{late.kind}: {late.line}")
                    return
                if any(fault.fatal for fault in self._console.all_faults()):
                    stop_at = now + _LAST_WORDS
            elif now > stop_at:
                return
            time.sleep(_POLL)

    def _take_lines(self, last: bool) -> None:
        kernel, tests = self._kernel.lines(last), self._tests.lines(last)
        if kernel or tests:
            self._last_output = self._now
        for line in kernel:
            fault = self._console.kernel_line(line)
            if "machine: " not in line:
                self._stream(line)
            if fault:
                self._say(f"{fault.kind}: {fault.line}")
        for line in tests:
            before = self._console.current
            self._console.tests_line(line)
            if not line.startswith("@machine "):
                self._stream(line)
            if self._console.current is not before:
                self._step_changed(before)

    def _step_changed(self, before: StepRecord | None) -> None:
        now = time.monotonic()
        if not self._boot_seconds:
            self._boot_seconds = now - self._start
            self._say(f"Linux {self._console.kernel} is up")
        if before is not None and before.status is not None:
            state = "ok" if before.status == 0 else f"exit {before.status}"
            self._say(f"{before.name}: {state} ({now - self._step_start.clock:.1f} s)")
        if self._console.current is not None:
            self._step_start = Moment(now, self._now.used)
            if self._verbose:
                self._say(f"{self._console.current.name} ...")

    def _overdue(self) -> Fault | None:
        limits, now = self._limits, self._now
        if self._begin.is_over(limits.total, now):
            return Fault("timeout", f"the whole run took more than {limits.total:.0f} s", True)
        if not self._console.kernel and self._begin.is_over(limits.boot, now):
            return Fault("failed boot", f"no init after {limits.boot:.0f} s", True)
        if self._last_output.is_over(limits.silence, now):
            return Fault("silent machine", f"no output for {limits.silence:.0f} s", True)
        step = self._console.current
        if step is not None:
            wall = self._step_limits.get(step.name, 60) * limits.slowness + 60
            if self._step_start.is_over(wall, now):
                return Fault("timeout", f"{step.name}: still running after {wall:.0f} s", True)
        return None

    def _judge_end(self) -> None:
        """The machine left by itself: that is right only after a power-off."""
        if self._console.done or any(f.fatal for f in self._console.all_faults()):
            return
        reason = self._machine.why_it_ended(self._directory) or "it gave no reason"
        self._console.faults.append(Fault("machine ended", reason, fatal=True))
        self._say(f"machine ended: {reason}")

    def _stream(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()
        if self._verbose or (self._shown and line.startswith(self._shown)):
            print(f"{self._directory.name}: {line}", file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        elapsed = time.monotonic() - self._start
        print(f"[{elapsed:6.1f} s] {self._directory.name}: {text}", file=sys.stderr, flush=True)


def read_lines(path: Path) -> list[str]:
    """The lines of a file that may not be there."""
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def console_tail(directory: Path) -> list[str]:
    """The last lines of both ports together."""
    lines = read_lines(directory / "console.log")
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
