# SPDX-License-Identifier: GPL-2.0
"""`run.py silicon`: all tests where a real CPU has VMX, and what INVVPID and INVEPT cost there.

result.json has both, and what CPU and kernel they are from; no name of the host or a user.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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
_COST = "# cost "
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
    (result, machine) = finished.results()
    if result.status is not Status.PASSED or machine.status is not Status.PASSED:
        why = "; ".join(result.reasons + machine.reasons) or "no reason given"
        print(f"silicon: nothing was measured: {why}", file=sys.stderr)
        code = code or 1
    else:
        lines = [line[len(_COST) :] for line in result.output if line.startswith(_COST)]
        costs[GUEST] = read_costs(lines)
    path = parts.output / "result.json"
    path.write_text(json.dumps(_result(order, host, report, costs), indent=1) + "\n")
    for whose, rows in costs.items():
        print(f"# the time of {whose}, in cycles: name, pages, minimum, median")
        for row in rows:
            print(f"# {row.name} {row.pages} {row.minimum} {row.median}")
    print(f"# to send back: {path}")
    print(report["summary"], flush=True)
    return code


def _boot(parts: Parts) -> Boot:
    command = (f"/tests/{PROGRAM}", "/modules/invalidation_cost.ko", str(_SAMPLES))
    step = Step(PROGRAM, command, limit=300)
    plan = Plan((Group("costs", "what the instructions cost", "absent", (step,)),))
    return Boot("costs", plan, (PROGRAM,), parts)


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
