# SPDX-License-Identifier: GPL-2.0
"""`run.py fuzz --edit`: faults planted in the module, each of which nested_fuzz is to find.

A fault is an edit of selftests/mutants.toml. All modules run the same seeds, some in each round,
until each fault is found or has had its share. So does the module as it is, in which there must be
nothing to find.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from fuzz_run import HANDS, PROGRAM, RUST, Runs, begun, first_failed, group, of_seeds, results_of
from module_edits import build_edited
from mutant_list import Mutant, named, read_mutants
from plan import Group, Plan
from results import Result, describe

ALL, INTACT = "planted", "intact"
# Of one way, in a round; and the most of one fault.
_RUNS, _MOST = 5, 100


@dataclass
class Fault:
    """One that is looked for."""

    name: str
    kind: str
    rule: str
    # With the one that found it.
    runs: int = 0
    seeds: int = 0
    found_by: str = ""
    why: str = ""

    def __str__(self) -> str:
        what = f"| {self.kind} | {self.rule} | {self.name}"
        if self.name == INTACT and not self.found_by:
            return f"| none | - | {INTACT} | nothing in {self.runs} | | |"
        if self.found_by:
            return f"{what} | {self.runs} | {self.found_by} | {self.why} |"
        return f"{what} | NOT FOUND in {self.runs} | | |"

    def next_runs(self) -> list[Runs]:
        """A round's."""
        ways = enumerate((RUST, HANDS))
        return [of_seeds(way, 1 + self.seeds + i * _RUNS, _RUNS) for i, way in ways]


def find_faults(parts: Parts, names: tuple[str, ...]) -> int:
    """0 if each is found, and nothing else."""
    mutants = [*_choose(names), Mutant(INTACT, "-")]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        files = tuple(pool.map(lambda mutant: _build(mutant, parts), mutants))
    parts = replace(parts, module=None, extra_modules=files)
    *faults, intact = (Fault(each.name, each.planted, each.rule) for each in mutants)
    while pending := [each for each in faults if not each.found_by and each.runs < _MOST]:
        _round([intact, *pending], parts)
        records = json.dumps([asdict(each) for each in (*faults, intact)], indent=1)
        (parts.output / "faults.json").write_text(records + "\n", encoding="utf-8")
    print("\n".join(map(str, (*faults, intact))))
    return 1 if intact.found_by or not all(each.found_by for each in faults) else 0


def _choose(names: tuple[str, ...]) -> list[Mutant]:
    if names == (ALL,):
        return [mutant for mutant in read_mutants() if mutant.planted]
    return named(names)


def _build(mutant: Mutant, parts: Parts) -> Path:
    return build_edited(mutant.name, [mutant] if mutant.file else [], parts)


def _round(pending: list[Fault], parts: Parts) -> None:
    """More runs of all. A fault that breaks the machine is found; those behind it run later."""
    jobs = os.cpu_count() or 1
    shares = [share for number in range(jobs) if (share := pending[number::jobs])]
    boots = []
    for number, share in enumerate(shares):
        groups: list[Group] = []
        for fault in share:
            for runs in fault.next_runs():
                groups.append(group(f"{fault.name}-{runs.way}", runs, fault.name))
        boots.append(Boot(f"faults-{number}", Plan(tuple(groups)), (PROGRAM,), parts))
    began = [
        _collect(finished, share) for finished, share in zip(run_boots(boots), shares, strict=True)
    ]
    if not any(began):
        raise MachineError(f"no run began: see {parts.output}")


def _collect(finished: Finished, share: list[Fault]) -> bool:
    """Fill in what was seen; returns whether anything was."""
    results = results_of(finished.results())
    any_began = False
    for number, fault in enumerate(share):
        own = results[2 * number : 2 * number + 2]
        if not begun(own[0]):
            continue
        any_began = True
        for result, way in zip(own, (RUST, HANDS), strict=True):
            if not fault.found_by:
                _take(fault, result, way)
        fault.seeds += 2 * _RUNS
        print(f"# {fault}", flush=True)
    return any_began


def _take(fault: Fault, result: Result, way: str) -> None:
    names, name = begun(result), first_failed(result)
    if not name:
        fault.runs += len(names)
        return
    fault.runs += names.index(name) + 1
    fault.found_by = f"{way} {name}"
    fault.why = describe("stale", result.stale) if result.stale else "; ".join(result.reasons)
