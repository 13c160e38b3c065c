# SPDX-License-Identifier: GPL-2.0
"""`run.py tlbsan`: the oracle on any kernel and any test program, with our module or without.

What is judged is the kernel: a stale report fails the run. A program that fails for another
reason is named, since it may not have driven what it was to drive.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import image
from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from plan import Group, Plan, Step
from results import Result, Status, any_failed, describe, stale_text
from suite import OWN_PLAN, UPSTREAM_LIST
from testlist import Entry, read_own_plan, read_upstream_list

GROUP = "tlbsan"
# For a program that no list of ours names.
_LIMIT = 120
# Of our own programs, those that are made for the oracle; others also count flushes,
# which another kernel may do otherwise.
_FOR_THE_ORACLE = ("tlb_", "nested_workload")


def run_tlbsan(parts: Parts, programs: list[str], parameters: str) -> int:
    """Run PROGRAMS, or what the lists have, and print what was found. 0: nothing stale;
    1: stale translations were used; 2: nothing stale, but not all of it ran well."""
    if not parts.emulator.has_witness:
        raise MachineError("--debian-bochs has no oracle")
    steps = _steps(parts, programs, parameters)
    jobs = min(len(steps), os.cpu_count() or 1)
    boots = [
        _boot(f"machine-{number + 1}", parts, steps[number::jobs], parameters)
        for number in range(jobs)
    ]
    finished = run_boots(boots)
    results = [result for each in finished for result in each.results()]
    path = parts.output / "results.json"
    report = {"kernel": finished[0].outcome.console.kernel, "parameters": parameters}
    report["results"] = [asdict(result) for result in results]
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(render(finished, results), flush=True)
    print(f"as JSON: {path}", flush=True)
    return _status(results)


def _steps(parts: Parts, programs: list[str], parameters: str) -> list[Step]:
    """PROGRAMS as the lists have them, or alone; without PROGRAMS, what the lists have."""
    upstream = read_upstream_list(UPSTREAM_LIST).entries
    own = [
        entry
        for entry in read_own_plan(OWN_PLAN).entries
        if set(entry.parameters.split()) == set(parameters.split())
        # Those load modules that are built for one kernel.
        and not any(word.startswith("/modules/") for word in entry.step.command)
    ]
    if not programs:
        entries = upstream + [e for e in own if e.program.startswith(_FOR_THE_ORACLE)]
        entries = [entry for entry in entries if parts.has_program(entry.program)]
        if not entries:
            raise MachineError("none of the listed tests is there: name programs, T=...")
        return [entry.step for entry in entries]
    # Here the kernel is judged, whatever is known of it.
    own = [replace(e, step=replace(e.step, fails_in_c=())) for e in own]
    steps = []
    for name in dict.fromkeys(programs):
        _check_static(parts.find_program(name))
        listed: list[Entry] = [e for e in upstream + own if e.program == name]
        steps += [e.step for e in listed] or [Step(name, (f"/tests/{name}",), _LIMIT)]
    return steps


def _check_static(program: Path) -> None:
    """The machine has no libraries."""
    if image.needs_libraries(program):
        raise MachineError(f"{program.name} needs shared libraries: link it with -static -no-pie")


def _boot(name: str, parts: Parts, steps: list[Step], parameters: str) -> Boot:
    state = "loaded" if parts.module else "absent"
    plan = Plan(
        (Group(GROUP, GROUP, state, tuple(steps)),),
        kvm_options={"kvm-intel": parameters} if parameters else {},
    )
    programs = dict.fromkeys(Path(step.command[0]).name for step in steps)
    return Boot(name, plan, tuple(programs), parts)


def _is_program(result: Result) -> bool:
    """Neither the machine itself nor the loading of our module."""
    return result.group == GROUP and result.name != "insmod"


def render(finished: list[Finished], results: list[Result]) -> str:
    """A line for each program, with its reports in words, and the sum."""
    parts = finished[0].boot.parts
    emulator = parts.emulator
    programs = [result for result in results if _is_program(result)]
    machines = [
        result
        for result in results
        if not _is_program(result) and (result.reports or result.status is not Status.PASSED)
    ]
    lines = [
        f"Linux {finished[0].outcome.console.kernel}"
        f", rust_kvm_nvmx {'loaded' if parts.module else 'absent'}"
        f", CPUs {emulator.cpus}, seed {emulator.seed}",
        "",
    ]
    for result in programs + machines:
        found = [
            describe(kind, findings)
            for kind, findings in (("stale", result.stale), ("guestowned", result.guestowned))
            if findings
        ]
        lines.append(f"{result.name:<48} {result.status.value:<8} {', '.join(found)}".rstrip())
        if result.status is not Status.PASSED:
            lines += [f"    {reason}" for reason in result.reasons[:5]]
        lines += [f"    {line}" for line in stale_text(result)]
    lines += ["", _sum(programs, machines)]
    lines += [f"all reports: {each.outcome.directory}/reports.jsonl" for each in finished]
    return "\n".join(lines)


def _sum(programs: list[Result], machines: list[Result]) -> str:
    everything = programs + machines
    stale = sum(sum(result.stale.values()) for result in everything)
    hit = sum(1 for result in programs if result.stale)
    failed = sum(1 for r in everything if r.status is Status.FAILED and not r.stale)
    skipped = sum(1 for result in programs if result.status is Status.SKIPPED)
    outside = " and outside of them" if any(result.stale for result in machines) else ""
    return (
        f"{stale} uses of stale translations, in {hit} of {len(programs)} runs{outside};"
        f" {failed} failed otherwise, {skipped} skipped"
    )


def _status(results: list[Result]) -> int:
    if any(result.stale for result in results):
        return 1
    if any_failed(results):
        return 2
    ran = any(_is_program(r) and r.status is Status.PASSED for r in results)
    return 0 if ran else 2
