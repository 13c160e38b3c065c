# SPDX-License-Identifier: GPL-2.0
"""`run.py bench`: instructions per nested round trip, and per call of each hook: stock C, patched
C and Rust.

The workload prints `# bench REGION ROUNDS` for each region it marked. What is counted is
what the emulator executed in the region: L0 (root), L1 and L2.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import simulated
import verdict
from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from plan import Group, Plan, Step
from results import Status
from session import console_tail

# What a round trip costs depends on how many L2s take turns and what they use.
_WORKLOAD = "nested_workload --rounds"
DEFAULT_WORKLOADS = (
    f"{_WORKLOAD} 2000 --contexts 1 --region one_l2",
    f"{_WORKLOAD} 500 --contexts 4 --region four_l2",
    f"{_WORKLOAD} 500 --contexts 4 --ept own --region four_l2_ept",
    f"{_WORKLOAD} 500 --contexts 4 --vpid off --region four_l2_no_vpid",
    "hook_costs",
)
_LIMIT = 300
_LEVELS = ("root", "L1", "L2")
_MARK = re.compile(r"^# bench (\S+) ([1-9]\d*)$")
# So much more than the stock kernel the patched one may cost without the module, per nested
# round trip. One hook alone is a larger share of one call, which hook_costs is for.
_PATCH_MAY_COST = 0.005
_CALLS = "costs."
_HEADS = ("stock C", "patched C", "Rust", "patched/stock", "Rust/C", "spread of C")
_WIDTHS = (10, 11, 10, 15, 9, 13)
STOCK, PATCHED, RUST = "stock", "patched", "rust"
_KINDS = {STOCK: "stock C", PATCHED: "patched C", RUST: "Rust"}


@dataclass(frozen=True)
class Sample:
    """One region of one run: instructions per round trip."""

    kind: str
    region: str
    instructions: float
    root: float
    # What the simulated TLB missed, if one was simulated.
    simulated_tlb: simulated.Misses = field(default_factory=dict)


def run_bench(parts: Parts, stock: Path, workloads: list[str], boots: int, repeat: int) -> int:
    """Measure, print the table, write bench.json; 0 unless the patch costs too much."""
    if not parts.emulator.has_witness:
        raise MachineError("bench counts by the emulator's witness: not with TLBSAN=0")
    commands = [workload.split() for workload in workloads or DEFAULT_WORKLOADS]
    steps = tuple(
        Step(f"run-{number}-{index}", (f"/tests/{name}", *arguments), _LIMIT)
        for number in range(1, repeat + 1)
        for index, (name, *arguments) in enumerate(commands, start=1)
    )
    kinds = {
        STOCK: (replace(parts, kernel=stock, module=None), "absent"),
        PATCHED: (parts, "absent"),
        RUST: (parts, "loaded"),
    }
    programs = tuple(dict.fromkeys(name for name, *_ in commands))
    todo = [
        Boot(
            f"{kind}-{number}",
            Plan((Group(kind, kind, state, steps),), heartbeat=False),
            programs,
            its_parts,
        )
        for number in range(1, boots + 1)
        for kind, (its_parts, state) in kinds.items()
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
        "unit": "instructions per nested round trip",
        "regions": table,
        "simulated_tlb": {"sizes": parts.emulator.simulated_tlb, "regions": misses},
        "samples": [vars(sample) for sample in samples],
        "problems": problems,
    }
    path = parts.output / "bench.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(render(table))
    if misses:
        print(simulated.render(parts.emulator.simulated_tlb, _KINDS, misses))
    for problem in problems:
        print(f"WRONG: {problem}")
    print(f"as JSON: {path}", flush=True)
    return 1 if problems else 0


def samples_of(finished: Finished) -> list[Sample]:
    """Every region that the workload named and marked."""
    samples = []
    for group in finished.boot.plan.groups:
        for step in group.steps:
            record = finished.outcome.console.steps.get(f"{group.name}/{step.name}")
            regions = (finished.witness or {}).get(f"{group.name}/{step.name}", {})
            for line in record.output if record else []:
                match = _MARK.match(line)
                if not match or match[1] not in regions:
                    continue
                counters, rounds = regions[match[1]], int(match[2])
                total = sum(counters[f"instr.{level}"] for level in _LEVELS)
                root = counters["instr.root"] / rounds
                misses = simulated.per_round(counters, rounds)
                samples.append(Sample(group.name, match[1], total / rounds, root, misses))
    return samples


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
        for kind in (STOCK, PATCHED, RUST):
            values = [s.instructions for s in samples if (s.region, s.kind) == (region, kind)]
            if values:
                row[kind] = {
                    "median": median(values),
                    "least": min(values),
                    "most": max(values),
                    "samples": len(values),
                }
        if len(row) == 3:
            row["patched_to_stock"] = row[PATCHED]["median"] / row[STOCK]["median"]
            row["rust_to_c"] = row[RUST]["median"] / row[PATCHED]["median"]
            c = row[PATCHED]
            row["spread_of_c"] = (c["most"] - c["least"]) / c["median"]
        table[region] = row
    return table


def render(table: dict[str, dict]) -> str:
    """The table as text."""
    lines = [
        "instructions per nested round trip, or per call (L0 + L1 + L2, median)",
        "region".ljust(24)
        + "".join(head.rjust(width) for head, width in zip(_HEADS, _WIDTHS, strict=True)),
    ]
    for region, row in table.items():
        if "rust_to_c" not in row:
            lines.append(f"{region:<24} not measured on all kernels")
            continue
        cells = (
            f"{row[STOCK]['median']:.0f}",
            f"{row[PATCHED]['median']:.0f}",
            f"{row[RUST]['median']:.0f}",
            f"{row['patched_to_stock']:.4f}",
            f"{row['rust_to_c']:.4f}",
            f"{row['spread_of_c']:.2%}",
        )
        line = "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
        lines.append(f"{region:<24}{line}")
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
