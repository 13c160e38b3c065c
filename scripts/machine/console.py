# SPDX-License-Identifier: GPL-2.0
"""The two serial ports: whole lines from growing files, and what the lines mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from faults import Fault, find_fault, find_taints
from races import RaceReport

_TAG = "@machine "
_KERNEL_TAG = "machine: "


class Tail:
    """Yields the lines a growing file has got since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self, all_of_it: bool = False) -> list[str]:
        """The new whole lines; with ALL_OF_IT also a last one without an end."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if all_of_it and self._rest:
            whole.append(self._rest)
            self._rest = b""
        # A progress display overwrites its line: only what it showed last counts.
        texts = (line.decode(errors="replace").rstrip("\r") for line in whole)
        return [text.rpartition("\r")[2] for text in texts]


@dataclass
class StepRecord:
    """What the machine said about one step."""

    name: str
    status: int | None = None
    seconds: float = 0.0
    wrong_state: str = ""
    output: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)
    # Where each of the kernel's modules was at its begin or end.
    modules: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class Console:
    """Builds the record of every step from the lines of both ports."""

    def __init__(self) -> None:
        self.steps: dict[str, StepRecord] = {}
        self.current: StepRecord | None = None
        self.kernel = ""
        self.done = False
        self.missing_probes: list[str] = []
        # Faults outside of any step, and the machine's own failures.
        self.faults: list[Fault] = []
        self.modules: dict[str, int] = {}
        # What KCSAN reported that this project's code is no part of.
        self.races: list[str] = []
        self._race: tuple[RaceReport, Fault, list[Fault]] | None = None
        self._probe_totals: dict[str, int] = {}
        self._taints = 0
        self._kernel_step = ""
        self._boots = 0

    def tests_line(self, line: str) -> None:
        """Take a line of the second port: a test's output or a report of the init script."""
        if not line.startswith(_TAG):
            if self.current and line:
                self.current.output.append(line)
            return
        word, _, rest = line[len(_TAG) :].partition(" ")
        values = rest.split()
        if word == "begin":
            self.current = self._step(rest)
            if self.current.status is not None:
                self.faults.append(Fault("set-up in the machine", f"{rest} ran twice", fatal=True))
            self.current.modules = dict(self.modules)
        elif word == "end" and len(values) == 4:
            record = self._step(values[0])
            record.status = int(values[1])
            record.seconds = float(values[3]) - float(values[2])
            self.current = None
        elif word == "counter" and self.current and len(values) == 2:
            self.current.counters[values[0]] = int(values[1])
        elif word == "probe" and self.current and len(values) == 2:
            name, total = values[0], int(values[1])
            since = total - self._probe_totals.get(name, 0)
            self.current.probes[name] = self.current.probes.get(name, 0) + since
            self._probe_totals[name] = total
        elif word == "taint" and self.current and len(values) == 1:
            self.current.faults += find_taints(self._taints, int(values[0]))
            self._taints = int(values[0])
        elif word == "modules" and len(values) % 2 == 0:
            pairs = zip(values[::2], values[1::2], strict=True)
            self.modules = {name: int(address, 16) for name, address in pairs}
            if self.current:
                self.current.modules |= self.modules
        elif word == "wrongstate" and self.current:
            self.current.wrong_state = rest
        elif word == "noprobe":
            self.missing_probes.append(rest)
        elif word == "kernel":
            self.kernel = rest
        elif word == "broken":
            self.faults.append(Fault("set-up in the machine", rest, fatal=True))
        elif word == "finished":
            self.done = True

    def kernel_line(self, line: str) -> Fault | None:
        """Take a line of the first port, the kernel's; returns the fault in it, if any."""
        _, found, mark = line.partition(_KERNEL_TAG)
        if found and mark.startswith("begin "):
            self._kernel_step = mark[len("begin ") :]
        elif found and mark.startswith("end "):
            self._kernel_step = ""
        self._race_line(line)
        fault = find_fault(line)
        if "] Linux version " in line or line.startswith("Linux version "):
            self._boots += 1
            if self._boots > 1:
                fault = Fault("reboot", "the machine started again by itself", fatal=True)
        if fault:
            where = self._step(self._kernel_step).faults if self._kernel_step else self.faults
            where.append(fault)
            if fault.kind == "KCSAN":
                self._race = (RaceReport(fault.line), fault, where)
        return fault

    def _race_line(self, line: str) -> None:
        """A report of KCSAN is a fault, unless its end shows that it is not about our code."""
        if self._race is None:
            return
        report, fault, where = self._race
        complete = report.take(line)
        if complete and not report.is_ours:
            where.remove(fault)
            self.races.append(report.title)
        if complete or report.is_cut():
            self._race = None

    def all_faults(self) -> list[Fault]:
        """Every fault of the run."""
        return self.faults + [f for s in self.steps.values() for f in s.faults]

    def _step(self, name: str) -> StepRecord:
        return self.steps.setdefault(name, StepRecord(name))
