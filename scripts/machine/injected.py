# SPDX-License-Identifier: GPL-2.0
"""Faults that a test kernel's parameters inject: the same programs with each, in few boots."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boots import Boot, Finished, run_boots
from errors import MachineError
from faults import Fault
from results import Result

_INTACT = "intact"
# How guest/without and guest/undone end when they could not inject the fault.
_NOT_INJECTED = 98


@dataclass
class Run:
    """The programs of one boot with the faults NAMES in C or in Rust."""

    side: str
    names: tuple[str, ...]
    parameters: str
    # Stale reports of each program's run, and how it ended.
    stale: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int | None] = field(default_factory=dict)
    # The same, judged as a test is.
    results: dict[str, Result] = field(default_factory=dict)
    # What the kernel reported of itself in each.
    faults: dict[str, str] = field(default_factory=dict)
    # Why the machine did not survive it, if so.
    broke: str = ""

    @property
    def name(self) -> str:
        """Names the group of steps, and the module's file."""
        return f"{self.side}-{'+'.join(self.names) or _INTACT}"

    def record(self) -> dict:
        """For results.json, without each test's output."""
        kept = ("side", "names", "parameters", "stale", "ended", "faults", "broke")
        return {name: getattr(self, name) for name in kept}


def run_in_boots(name: str, runs: list[Run], boot: Callable[[str, list[Run]], Boot]) -> None:
    """Run all, a boot after one that broke the machine for those that were to come after it.
    BOOT makes one of the runs that share it; each is a group of its plan."""
    pending = runs
    attempt = 0
    while pending:
        attempt += 1
        shares = _share(pending, os.cpu_count() or 1)
        boots = [
            boot(f"{name}-{attempt}-{number}", share)
            for number, share in enumerate(shares, start=1)
        ]
        pending = []
        for finished, share in zip(run_boots(boots), shares, strict=True):
            pending += _collect(finished, share)


def _share(runs: list[Run], machines: int) -> list[list[Run]]:
    """Boots of one side and one set of parameters each, none much longer than the others."""
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        kinds.setdefault((run.side, run.parameters), []).append(run)
    longest = max(8, -(-len(runs) // (2 * machines)))
    shares = []
    for kind in kinds.values():
        pieces = -(-len(kind) // longest)
        shares += [kind[piece::pieces] for piece in range(pieces)]
    return sorted(shares, key=len, reverse=True)


def _collect(finished: Finished, share: list[Run]) -> Iterable[Run]:
    """Fill in what was seen; returns the runs that the machine did not come to."""
    console = finished.outcome.console
    results = {(result.group, result.name): result for result in finished.results()}
    left = []
    for run in share:
        steps = next(g.steps for g in finished.boot.plan.groups if g.name == run.name)
        records = [console.steps.get(f"{run.name}/{step.name}") for step in steps]
        if records[0] is None:
            left.append(run)
            continue
        if any(record and record.status == _NOT_INJECTED for record in records):
            raise MachineError(f"{run.name} could not be injected: {records[0].output}")
        if console.done and any(record is None or record.status is None for record in records):
            # A line was lost on its way.
            left.append(run)
            continue
        for step, record in zip(steps, records, strict=True):
            regions = (finished.witness or {}).get(f"{run.name}/{step.name}", {})
            run.stale[step.name] = regions.get("", {}).get("tlbsan.stale", 0)
            run.ended[step.name] = record.status if record else None
            run.results[step.name] = results[run.name, step.name]
            if record and record.faults:
                run.faults[step.name] = _named(record.faults)
        if None in run.ended.values():
            faults = [fault.line for fault in console.all_faults() if fault.fatal]
            run.broke = faults[-1] if faults else "the machine stopped"
    if len(left) == len(share) and not console.steps:
        raise MachineError(f"{finished.boot.name}: no step ran: see {finished.outcome.directory}")
    return left


def _named(faults: list[Fault]) -> str:
    """The first of FAULTS that says where it is, without the time, the CPU and the task."""
    lines = [fault.line for fault in faults]
    line = next((line for line in lines if " at " in line), lines[0])
    return re.sub(r"^\[[^]]*\] *|, CPU#.*$", "", line)


def more(masks: dict[str, int], together: dict[str, int]) -> str:
    """The programs that report clearly more with a fault TOGETHER with what makes it redundant than
    with MASKS alone."""
    shown = []
    for program, count in together.items():
        without = masks.get(program, 0)
        if count > 1.5 * without:
            shown.append(f"{program} {count}" + (f" (otherwise {without})" if without else ""))
    return ", ".join(shown)


def publish(table: str, wrong: list[str], runs: Sequence[Run], output: Path) -> None:
    """Print TABLE and what is WRONG, and write both and the records of RUNS to OUTPUT."""
    print(table)
    output.mkdir(parents=True, exist_ok=True)
    (output / "table.md").write_text(table + "\n", encoding="utf-8")
    records = {"wrong": wrong, "runs": [run.record() for run in runs]}
    (output / "results.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
