# SPDX-License-Identifier: GPL-2.0
"""`run.py silicon`: all tests where a real CPU has VMX, and what costs how much time there: INVVPID
and INVEPT, and a nested round trip in C and in Rust.

result.json has all of it, and what CPU and kernel it is from; no name of the host or a user.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from bench import DEFAULT_WORKLOADS
from boots import Boot, Parts, run_boots
from capabilities import CPUINFO, Choice, Host, probe, read_cpuinfo
from errors import MachineError
from no_vmx import SKIP
from plan import Group, Plan, Step
from results import Status
from vng_suite import check_kernel, choose, run_chosen

SCHEMA = 1
PROGRAM = "invalidation_costs"
_SAMPLES = 1001
_C, _RUST = "costs", "rust"
_COST = "# cost "
WORKLOADS = tuple(w.split() for w in DEFAULT_WORKLOADS if w.startswith("nested_workload "))
_RUNS = 5
_ROUND_TRIPS = re.compile(r"workload (\S+): round_trips ([1-9]\d*) tsc (\d+) ")
# Whose time it is. KVM runs the guest in VMX non-root operation, where both instructions exit.
GUEST = "the host's KVM, to which they trap from the guest's kernel"
CPU = "the CPU, for the host's own kernel"
BELOW = "the hypervisor below the host, to which they trap from the host's own kernel"


@dataclass(frozen=True)
class Cost:
    """Cycles of the TSC for one kind of instruction, PAGES times."""

    name: str
    pages: int
    minimum: int
    median: int


@dataclass(frozen=True)
class RoundTrip:
    """Cycles of the TSC for one nested round trip of a workload, and how often each was measured:
    the median of the runs with C and with Rust in charge."""

    workload: str
    c: float
    rust: float
    runs: int


def read_round_trips(steps: list[tuple[str, list[str]]]) -> list[RoundTrip]:
    """From what the workloads printed, each with the group that it ran in."""
    cycles: dict[tuple[str, str], list[float]] = {}
    for group, output in steps:
        for line in output:
            match = _ROUND_TRIPS.match(line)
            if match:
                cycles.setdefault((match[1], group), []).append(int(match[3]) / int(match[2]))
    names = dict.fromkeys(name for name, _ in cycles)
    both = [name for name in names if (name, _C) in cycles and (name, _RUST) in cycles]
    return [
        RoundTrip(
            name,
            round(median(cycles[name, _C]), 1),
            round(median(cycles[name, _RUST]), 1),
            min(len(cycles[name, _C]), len(cycles[name, _RUST])),
        )
        for name in both
    ]


def read_costs(lines: list[str]) -> list[Cost]:
    """The rows in LINES, each `NAME PAGES MINIMUM MEDIAN`, as selftests/invalidation_cost shows
    them."""
    costs = []
    for line in lines:
        name, *numbers = line.split() or [""]
        if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            raise MachineError(f"not a line of invalidation_cost: {line!r}")
        costs.append(Cost(name, *map(int, numbers)))
    return costs


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    owner: str = ""
    commit: str = "unknown"
    # What selftests/invalidation_cost showed on the host's own kernel.
    costs: Path | None = None


def run_silicon(parts: Parts, only: str | None, order: Order) -> int:
    """Test and measure; 0 if all is well, 1 if not, 4 if there is no VMX here."""
    host = probe()
    choice = choose(host, order.owner, emulate=False, dry_run="")
    if not choice.accelerated:
        print(f"silicon: {choice.reason}: {choice.advice}", file=sys.stderr)
        return SKIP
    check_kernel(parts)
    return measure(parts, only, order, host, choice)


def measure(parts: Parts, only: str | None, order: Order, host: Host, choice: Choice) -> int:
    """The suite, the costs, the file."""
    costs = {}
    if order.costs:
        lines = order.costs.read_text(encoding="utf-8").splitlines()
        costs[BELOW if host.hypervisor else CPU] = read_costs(lines)
    suite_parts = replace(parts, output=parts.output / "suite")
    suite_parts.output.mkdir(parents=True, exist_ok=True)
    code = run_chosen(suite_parts, only, host, choice, dry_run=False)
    report = json.loads((suite_parts.output / "results.json").read_text(encoding="utf-8"))

    parts = replace(parts, emulator=replace(parts.emulator, accelerated=True))
    (finished,) = run_boots([_boot(parts)])
    results = finished.results()
    round_trips = []
    bad = [result for result in results if result.status is not Status.PASSED]
    if bad:
        why = "; ".join(f"{r.name}: {', '.join(r.reasons) or 'no reason given'}" for r in bad)
        print(f"silicon: nothing was measured: {why}", file=sys.stderr)
        code = code or 1
    else:
        lines = [line for line in results[0].output if line.startswith(_COST)]
        costs[GUEST] = read_costs([line[len(_COST) :] for line in lines])
        round_trips = read_round_trips([(result.group, result.output) for result in results])
    path = parts.output / "result.json"
    result = _result(order, host, report, costs)
    result["round_trips"] = {
        "unit": "TSC cycles, of one nested round trip",
        "rows": [asdict(row) for row in round_trips],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    for whose, rows in costs.items():
        print(f"# the time of {whose}, in cycles: name, pages, minimum, median")
        for row in rows:
            print(f"# {row.name} {row.pages} {row.minimum} {row.median}")
    if round_trips:
        print("# cycles of a nested round trip: workload, C, Rust")
    for row in round_trips:
        print(f"# {row.workload} {row.c} {row.rust}")
    print(f"# to send back: {path}")
    print(report["summary"], flush=True)
    return code


def _boot(parts: Parts) -> Boot:
    command = (f"/tests/{PROGRAM}", "/modules/invalidation_cost.ko", str(_SAMPLES))
    costs = Step(PROGRAM, command, limit=300)
    trips = tuple(
        Step(f"{number}-{index}", (f"/tests/{name}", *arguments), limit=300)
        for number in range(1, _RUNS + 1)
        for index, (name, *arguments) in enumerate(WORKLOADS, start=1)
    )
    groups = [Group(_C, "what the instructions cost, and C", "absent", (costs, *trips))]
    if parts.module:
        groups.append(Group(_RUST, "Rust", "loaded", trips))
    programs = dict.fromkeys([PROGRAM, *(name for name, *_ in WORKLOADS)])
    return Boot("costs", Plan(tuple(groups)), tuple(programs), parts)


def _result(order: Order, host: Host, report: dict, costs: dict[str, list[Cost]]) -> dict:
    cpu = read_cpuinfo(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    named = ("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "cpu MHz")
    failed = [
        {"group": result["group"], "name": result["name"], "reasons": result["reasons"]}
        for result in report["results"]
        if result["status"] == Status.FAILED
    ]
    skipped = Counter(
        "; ".join(result["reasons"])
        for result in report["results"]
        if result["status"] == Status.SKIPPED
    )
    return {
        "schema": SCHEMA,
        "commit": order.commit,
        "cpu": {name: cpu[name] for name in named if name in cpu},
        "cpus": os.cpu_count(),
        "vmx_flags": cpu.get("vmx flags", "").split(),
        "host_kernel": platform.release(),
        "host": asdict(host),
        "tested_kernel": report["machines"][0]["kernel"],
        "suite": {
            "summary": report["summary"],
            "failed": failed,
            "skipped": dict(skipped),
            "expectations_left_out": sum(len(r["left_out"]) for r in report["results"]),
        },
        "costs": [
            {
                "time_of": whose,
                "unit": "TSC cycles, of all pages together",
                "samples": _SAMPLES if whose == GUEST else None,
                "rows": [asdict(row) for row in rows],
            }
            for whose, rows in costs.items()
        ],
    }
