# SPDX-License-Identifier: GPL-2.0
"""`run.py bench`: instructions and flushes per nested round trip, and per call of each hook: stock
C, patched C, Rust with C's flushes, and Rust as it is by default.

The workload prints `# bench REGION ROUNDS` for each region it marked. What is counted is
what the emulator executed in the region: L0 (root), L1 and L2.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import plan
import simulated
import verdict
from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from plan import Group, Plan, Step
from results import Status
from session import console_tail

# What a round trip costs depends on how many L2s take turns and what they use.
_WORKLOAD = "nested_workload --rounds"
_ROUND_TRIPS = 2000
_EPTS = {"": "", "_ept": "--ept shared", "_epts": "--ept own"}


def _workload(contexts: int, name: str, arguments: str) -> str:
    rounds = _ROUND_TRIPS // contexts
    region = f"{contexts}_l2{'s' if contexts > 1 else ''}{name}"
    return f"{_WORKLOAD} {rounds} --contexts {contexts} {arguments} --region {region}"


def _workloads(contexts: tuple[int, ...]) -> tuple[str, ...]:
    return (
        *(_workload(n, name, ept) for name, ept in _EPTS.items() for n in contexts),
        _workload(4, "_no_vpid", "--vpid off"),
        _workload(4, "_evmcs", "--evmcs"),
    )


DEFAULT_WORKLOADS = (*_workloads((1, 4, 8)), "hook_costs", "call_targets --vcpus 64")
ALL_WORKLOADS = (
    *_workloads((1, 2, 4, 8, 16)),
    _workload(4, "_no_vpid_ept", "--vpid off --ept shared"),
    _workload(4, "_one_vpid", "--vpid shared"),
    _workload(4, "_evmcs_ept", "--evmcs --ept shared"),
    *(_workload(4, f"_{pages}_pages", f"--pages {pages}") for pages in (1, 16)),
    "hook_costs",
    *(f"call_targets --vcpus {n}" for n in (4, 8, 16, 32, 64)),
)
_LIMIT = 300
# Boots of each kind, and runs in each boot.
_BOOTS, _RUNS = 2, 5
_LEVELS = ("root", "L1", "L2")
_MARK = re.compile(r"^# bench (\S+) ([1-9]\d*)$")
# So much more than the stock kernel the patched one may cost without the module, per nested
# round trip. One hook alone is a larger share of one call, which hook_costs is for.
_PATCH_MAY_COST = 0.005
_CALLS = "costs."
_HEADS = ("stock C", "patched C", "like C", "Rust", "patched/stock", "like C/C", "Rust/C", "spread")
_NAME = 22
_WIDTHS = (9, 11, 8, 8, 15, 10, 8, 8)
STOCK, PATCHED, LIKE_C, RUST = "stock", "patched", "like-c", "rust"
_KINDS = {STOCK: "stock C", PATCHED: "patched C", LIKE_C: "like C", RUST: "Rust"}
# What a flush is, in the emulator's counters.
FLUSHES = {
    "INVVPID": ("invvpid.addr", "invvpid.single", "invvpid.all", "invvpid.nonglobal"),
    "INVEPT": ("invept.single", "invept.all"),
}


@dataclass(frozen=True)
class Sample:
    """One region of one run: instructions per round trip."""

    kind: str
    region: str
    instructions: float
    root: float
    # INVVPIDs and INVEPTs.
    flushes: dict[str, float] = field(default_factory=dict)
    # What the simulated TLB missed, if one was simulated.
    simulated_tlb: simulated.Misses = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """What is run: the workloads (none: the default ones), and with which options."""

    workloads: list[str]
    # The module's, where Rust decides as it does by default but for these.
    options: str


def run_bench(parts: Parts, stock: Path, runs: Runs) -> int:
    """Measure, print the table, write bench.json; 0 unless the patch costs too much."""
    workloads = runs.workloads
    if not parts.emulator.has_witness:
        raise MachineError("bench counts by the emulator's witness: not with TLBSAN=0")
    if workloads == ["all"]:
        workloads = list(ALL_WORKLOADS)
    commands = [workload.split() for workload in workloads or DEFAULT_WORKLOADS]
    steps = tuple(
        Step(f"run-{number}-{index}", (f"/tests/{name}", *arguments), _LIMIT)
        for number in range(1, _RUNS + 1)
        for index, (name, *arguments) in enumerate(commands, start=1)
    )
    kinds = {
        STOCK: (replace(parts, kernel=stock, module=None), "absent", ""),
        PATCHED: (parts, "absent", ""),
        LIKE_C: (parts, "loaded", plan.STOCK),
        RUST: (parts, "loaded", runs.options),
    }
    programs = tuple(dict.fromkeys(name for name, *_ in commands))
    todo = [
        Boot(
            f"{kind}-{number}",
            Plan((Group(kind, kind, state, steps, options=options),), heartbeat=False),
            programs,
            its_parts,
        )
        for number in range(1, _BOOTS + 1)
        for kind, (its_parts, state, options) in kinds.items()
    ]
    finished = run_boots(todo)
    problems = [problem for each in finished for problem in _problems(each)]
    samples = [sample for each in finished for sample in samples_of(each)]
    if not samples:
        problems.append("no workload printed `# bench REGION ROUNDS` of a region it marked")
    table = summarise(samples)
    problems += _too_dear(table)
    misses = simulated_misses(samples)
    report = {
        "workloads": [" ".join(command) for command in commands],
        "kernels": {each.boot.name: each.outcome.console.kernel for each in finished},
        "options": runs.options,
        "unit": "instructions per nested round trip",
        "regions": table,
        "flushes": flushes(samples),
        "simulated_tlb": {"sizes": parts.emulator.simulated_tlb, "regions": misses},
        "samples": [vars(sample) for sample in samples],
        "problems": problems,
    }
    path = parts.output / "bench.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(render(table))
    print(render_flushes(flushes(samples)))
    if misses:
        print(simulated.render(parts.emulator.simulated_tlb, _KINDS, misses))
    for problem in problems:
        print(f"WRONG: {problem}")
    print(f"as JSON: {path}", flush=True)
    return 1 if problems else 0


def rounds_of(finished: Finished) -> dict[str, int]:
    """By region that a workload named: how many rounds it had."""
    records = finished.outcome.console.steps.values()
    return dict(mark for record in records for mark in _marks(record.output))


def _marks(output: list[str]) -> list[tuple[str, int]]:
    """The regions that a workload named, and how many rounds each had."""
    matches = map(_MARK.match, output)
    return [(match[1], int(match[2])) for match in matches if match]


def flushes_in(counters: Counter[str], instruction: str) -> int:
    """How many INVVPIDs or INVEPTs were executed, of all types."""
    return sum(counters[counter] for counter in FLUSHES[instruction])


def samples_of(finished: Finished) -> list[Sample]:
    """Every region that the workload named and marked."""
    samples = []
    for group in finished.boot.plan.groups:
        for step in group.steps:
            record = finished.outcome.console.steps.get(f"{group.name}/{step.name}")
            regions = (finished.witness or {}).get(f"{group.name}/{step.name}", {})
            for region, rounds in _marks(record.output) if record else []:
                if region not in regions:
                    continue
                counters = regions[region]
                total = sum(counters[f"instr.{level}"] for level in _LEVELS)
                root = counters["instr.root"] / rounds
                executed = {name: flushes_in(counters, name) / rounds for name in FLUSHES}
                misses = simulated.per_round(counters, rounds)
                samples.append(Sample(group.name, region, total / rounds, root, executed, misses))
    return samples


def flushes(samples: list[Sample]) -> dict[str, dict[str, dict[str, float]]]:
    """By region, instruction and kind: how many were executed per round trip, the median."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for region in dict.fromkeys(sample.region for sample in samples):
        of_region = [sample for sample in samples if sample.region == region]
        table[region] = {
            name: {
                kind: median(s.flushes[name] for s in of_region if s.kind == kind)
                for kind in _KINDS
                if any(s.kind == kind for s in of_region)
            }
            for name in FLUSHES
        }
    return table


def render_flushes(table: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table of flushes as text."""
    lines = []
    for name in FLUSHES:
        lines.append(f"{name}s executed per nested round trip, or per call (median)")
        lines.append("region".ljust(_NAME) + "".join(f"{kind:>11}" for kind in _KINDS.values()))
        for region, row in table.items():
            cells = [f"{row[name][kind]:.3f}" if kind in row[name] else "-" for kind in _KINDS]
            lines.append(f"{region:<{_NAME}}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def simulated_misses(samples: list[Sample]) -> dict[str, dict[str, simulated.Misses]]:
    """By region and kind; empty where no TLB was simulated."""
    table: dict[str, dict[str, simulated.Misses]] = {}
    counted = [sample for sample in samples if sample.simulated_tlb]
    for region in dict.fromkeys(sample.region for sample in counted):
        for kind in _KINDS:
            found = [s.simulated_tlb for s in counted if (s.region, s.kind) == (region, kind)]
            if found:
                table.setdefault(region, {})[kind] = simulated.summarise(found)
    return table


def summarise(samples: list[Sample]) -> dict[str, dict]:
    """By region: each kind's median, least and most; ratios of medians; the spread of C."""
    table: dict[str, dict] = {}
    for region in dict.fromkeys(sample.region for sample in samples):
        row: dict = {}
        for kind in _KINDS:
            values = [s.instructions for s in samples if (s.region, s.kind) == (region, kind)]
            if values:
                row[kind] = {
                    "median": median(values),
                    "least": min(values),
                    "most": max(values),
                    "samples": len(values),
                }
        if len(row) == len(_KINDS):
            row["patched_to_stock"] = row[PATCHED]["median"] / row[STOCK]["median"]
            row["like_c_to_c"] = row[LIKE_C]["median"] / row[PATCHED]["median"]
            row["rust_to_c"] = row[RUST]["median"] / row[PATCHED]["median"]
            c = row[PATCHED]
            row["spread_of_c"] = (c["most"] - c["least"]) / c["median"]
        table[region] = row
    return table


def render(table: dict[str, dict]) -> str:
    """The table as text."""
    lines = [
        "instructions per nested round trip, or per call (L0 + L1 + L2, median)",
        "region".ljust(_NAME)
        + "".join(head.rjust(width) for head, width in zip(_HEADS, _WIDTHS, strict=True)),
    ]
    for region, row in table.items():
        if "rust_to_c" not in row:
            lines.append(f"{region:<{_NAME}} not measured on all kernels")
            continue
        cells = (
            f"{row[STOCK]['median']:.0f}",
            f"{row[PATCHED]['median']:.0f}",
            f"{row[LIKE_C]['median']:.0f}",
            f"{row[RUST]['median']:.0f}",
            f"{row['patched_to_stock']:.4f}",
            f"{row['like_c_to_c']:.4f}",
            f"{row['rust_to_c']:.4f}",
            f"{row['spread_of_c']:.2%}",
        )
        line = "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
        lines.append(f"{region:<{_NAME}}{line}")
    return "\n".join(lines)


def _too_dear(table: dict[str, dict]) -> list[str]:
    found = []
    for region, row in table.items():
        if "rust_to_c" not in row:
            found.append(f"{region}: not measured on all kernels")
        elif region.startswith(_CALLS):
            continue
        elif row["patched_to_stock"] - 1 > _PATCH_MAY_COST:
            found.append(
                f"{region}: the patched kernel without the module costs"
                f" {row['patched_to_stock']:.4f} of the stock kernel"
            )
    return found


def _problems(finished: Finished) -> list[str]:
    # Without the witness: what a workload expects of it is for the tests to check,
    # with two processors.
    found = [
        f"{finished.boot.name}: {result.group}/{result.name}: {reason}"
        for result in verdict.judge(finished.boot.plan, finished.outcome.console, None)
        if result.status is Status.FAILED
        for reason in result.reasons
    ]
    if found:
        print("\n".join(console_tail(finished.outcome.directory)), file=sys.stderr)
        print(f"all of it: {finished.outcome.directory}/console.log", file=sys.stderr)
    return found
