# SPDX-License-Identifier: GPL-2.0
"""`run.py history`: undo each fix of a TLB flush that KVM has had, and see which run shows it.

The test kernel (selftests/history) undoes it while it runs. The same programs run with nothing
undone, which must show nothing.
"""

from __future__ import annotations

from dataclasses import replace

from boots import Boot, Parts
from errors import MachineError
from history_list import Fix, choose_fixes, read_history
from history_table import report
from injected import Run, run_in_boots
from plan import Group, Plan, Step
from suite import OWN_PLAN, UPSTREAM_LIST
from testlist import Entry, read_own_plan, read_upstream_list

# A guest that a missing flush has led astray must not hold up the rest.
_LIMIT = 40
_SIDE = "c"


def run_history(parts: Parts, only: str | None) -> int:
    """Run, report; 0 if every fix ended as listed, and nothing else was seen."""
    if not parts.emulator.has_witness:
        raise MachineError("what is undone is seen by the oracle, mostly: not with TLBSAN=0")
    history = read_history()
    fixes = choose_fixes(history.fixes, only)
    entries = _entries(fixes)
    runs = plan_runs(fixes, entries)
    steps = _steps_of(fixes, entries)
    run_in_boots("history", runs, lambda name, share: _boot(name, share, steps, entries, parts))
    return report(fixes, history.gone if only is None else (), runs, parts.output)


def _entries(fixes: tuple[Fix, ...]) -> dict[str, Entry]:
    """The runs that FIXES name, by name: ours, and upstream's."""
    known = read_own_plan(OWN_PLAN).entries + read_upstream_list(UPSTREAM_LIST).entries
    plan = {entry.step.name: entry for entry in known}
    wanted = dict.fromkeys(name for fix in fixes for name in fix.runs)
    for name in wanted:
        if name not in plan:
            raise MachineError(f"fixes.toml: no run {name} in the lists of tests")
        if plan[name].needs_module:
            raise MachineError(f"fixes.toml: {name} needs our module, which this kernel can't have")
        if plan[name].step.fails_in_c:
            raise MachineError(f"fixes.toml: {name} fails in C, whatever is undone")
    return {name: plan[name] for name in wanted}


def plan_runs(fixes: tuple[Fix, ...], entries: dict[str, Entry]) -> list[Run]:
    """Nothing undone, then each fix alone; of one that is covered also what covers it, without
    the fix and with it."""
    steps = _steps_of(fixes, entries)
    return [Run(_SIDE, names, parameters) for parameters, names in steps]


def _steps_of(
    fixes: tuple[Fix, ...], entries: dict[str, Entry]
) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """By parameters of kvm_intel and what is undone: the steps that run with it."""
    steps: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    for fix in fixes:
        for name in fix.runs:
            for names in ((), (fix.name,), fix.cover, fix.names()):
                steps.setdefault((entries[name].parameters, names), {})[name] = None
    return {key: list(names) for key, names in steps.items()}


def _step(entry: Entry, names: tuple[str, ...]) -> Step:
    command = ("/bin/undone", ",".join(names), *entry.step.command)
    return Step(entry.step.name, command, min(_LIMIT, entry.step.limit))


def _boot(
    name: str,
    share: list[Run],
    steps: dict[tuple[str, tuple[str, ...]], list[str]],
    entries: dict[str, Entry],
    parts: Parts,
) -> Boot:
    parameters = share[0].parameters
    groups = []
    programs: dict[str, None] = {}
    for run in share:
        own = [entries[step] for step in steps[parameters, run.names]]
        programs |= dict.fromkeys(entry.program for entry in own)
        made = tuple(_step(entry, run.names) for entry in own)
        groups.append(Group(run.name, run.name, "absent", made))
    plan = Plan(tuple(groups), kvm_options={"kvm-intel": parameters} if parameters else {})
    return Boot(name, plan, tuple(programs), replace(parts, module=None))
