# SPDX-License-Identifier: GPL-2.0
"""`run.py removals`: leave out each TLB flush alone, and see which program's run is reported.

In C the test kernel's removed_flushes leaves it out (selftests/removals), in Rust an edit of
the module. The same programs run with nothing left out first, which must give no report.
"""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from boots import Boot, Parts
from errors import MachineError
from injected import Run, run_in_boots
from module_edits import build_edited, module_path
from mutant_list import named
from plan import STOCK, Group, Plan, Step
from removal_list import CHECKOUT, Rule, choose, read_rules
from removal_table import report
from testlist import Entry, read_own_plan

# What a program takes is below one second of the machine's; a guest that a missing
# flush has led astray must not hold up the rest.
_LIMIT = 8


def run_removals(parts: Parts, only: str | None) -> int:
    """Build, run, report; 0 if every rule was seen as listed and nothing else was reported."""
    if not parts.emulator.has_witness:
        raise MachineError("the removals are seen by the oracle alone: not with TLBSAN=0")
    rules = read_rules()
    chosen = choose(rules, only)
    runs = _plan_runs(chosen, rules)
    _build_modules(runs, rules, parts)
    entries = _programs()
    run_in_boots("removals", runs, lambda name, share: _boot(name, share, entries, rules, parts))
    return report(chosen, runs, parts.output)


def _programs() -> list[Entry]:
    """The programs that drive flush rules, and the workload once for each parameters: its
    other runs take long and are reported for nothing more."""
    chosen: dict[tuple[str, str], Entry] = {}
    for entry in read_own_plan(CHECKOUT / "selftests/plan.txt").entries:
        if entry.program.startswith("tlb_") and not entry.step.fails_in_c:
            chosen[entry.step.name, entry.parameters] = entry
        elif entry.program == "nested_workload":
            chosen.setdefault((entry.program, entry.parameters), entry)
    return [entry for entry in chosen.values() if not entry.needs_module]


def _plan_runs(chosen: list[Rule], rules: dict[str, Rule]) -> list[Run]:
    """Nothing left out, then each rule alone; where listed as masked also what masks it,
    without the rule and with it."""
    runs = []
    for side in ("c", "rust"):
        wanted: dict[tuple[str, tuple[str, ...]], None] = {}
        for rule in chosen:
            if side == "rust" and not rule.rust:
                continue
            for parameters in rule.boots:
                wanted[parameters, ()] = None
                wanted[parameters, (rule.name,)] = None
                wanted[parameters, rule.masked] = None
                wanted[parameters, rule.names()] = None
        runs += [Run(side, names, parameters) for parameters, names in wanted]
    return runs


def _edits(run: Run, rules: dict[str, Rule]) -> tuple[str, ...]:
    """The edits of the module that RUN needs."""
    if run.side == "c":
        return ()
    return tuple(rules[name].rust for name in run.names if rules[name].rust)


def _left_to_c(run: Run, rules: dict[str, Rule]) -> str:
    """What removed_flushes has to name in RUN."""
    if run.side == "c":
        return ",".join(run.names)
    return ",".join(name for name in run.names if not rules[name].rust)


def _build_modules(runs: list[Run], rules: dict[str, Rule], parts: Parts) -> None:
    shutil.rmtree(parts.output / "mutants", ignore_errors=True)
    wanted = {run.name: run for run in runs if run.side == "rust"}

    def build(run: Run) -> None:
        build_edited(run.name, named(_edits(run, rules)), parts)
        print(f"built {run.name}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(build, wanted.values()))


def _step(entry: Entry, names: str) -> Step:
    command = ("/bin/without", names, *entry.step.command)
    return Step(entry.step.name, command, min(_LIMIT, entry.step.limit))


def _boot(
    name: str, share: list[Run], entries: list[Entry], rules: dict[str, Rule], parts: Parts
) -> Boot:
    parameters = share[0].parameters
    fitting = [entry for entry in entries if entry.parameters == parameters]
    if not fitting:
        raise MachineError(f"no program in the plan runs with kvm_intel {parameters}")
    groups = []
    for run in share:
        names = _left_to_c(run, rules)
        steps = tuple(_step(entry, names) for entry in fitting)
        if run.side == "c":
            groups.append(Group(run.name, run.name, "absent", steps))
            continue
        # With C's own rules, as what a run removes is one of them.
        loaded = Group(run.name, run.name, "loaded", steps, file=run.name, options=STOCK)
        groups.append(loaded)
        groups.append(Group(f"after-{run.name}", "", "absent", ()))
    plan = Plan(tuple(groups), kvm_options={"kvm-intel": parameters} if parameters else {})
    files = tuple(module_path(run.name, parts) for run in share if run.side == "rust")
    return Boot(
        name,
        plan,
        tuple(dict.fromkeys(entry.program for entry in fitting)),
        replace(parts, module=None, extra_modules=parts.extra_modules + files),
    )
