# SPDX-License-Identifier: GPL-2.0
"""Runs of nested_fuzz in the machine, and which of them failed.

A run is what nested_fuzz does with one string of bytes. It fails if a guest reads what is not the
newest, if the oracle reports a stale translation, or if the machine has a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from plan import CHECKING, STOCK_IN_C, Group, Step
from results import Result, Status

PROGRAM = "nested_fuzz"
# Who decides: C; Rust, by default; Rust, and the program switches hooks and loads the module; C,
# and the module compares.
C, RUST, HANDS, CHECK = "c", "rust", "hands", "check"
WAYS = (RUST, HANDS)
# Operations of a run, and the digits of the four bytes of each.
_OPERATIONS, OP_DIGITS = 300, 8
_REGION = re.compile(r"^fuzz\.(\w+)$")
_FAILED = re.compile(r"^# fuzz failed (\w+)$")
_BEGUN = re.compile(r"^# fuzz run (\w+)$")
_WORD = (1 << 64) - 1
# Of the machine's seconds for a run, which takes some two.
_LIMIT = 20


@dataclass(frozen=True)
class Runs:
    """Some runs of the program, one after another: of seeds, or of one string."""

    way: str
    arguments: tuple[str, ...]
    number: int = 1


def of_seeds(way: str, first: int, number: int) -> Runs:
    """NUMBER runs, with the seeds from FIRST on."""
    arguments = ("--seed", str(first), "--runs", str(number), "--length", str(_OPERATIONS))
    return Runs(way, arguments, number)


def of_string(way: str, string: str) -> Runs:
    """One run, which says what it does."""
    return Runs(way, ("--verbose", "--bytes", string))


def group(name: str, runs: Runs, file: str) -> Group:
    """RUNS with the module FILE."""
    module = [f"/modules/{file}.ko"] if runs.way == HANDS else []
    command = (f"/tests/{PROGRAM}", *module, *runs.arguments)
    state = "loaded" if runs.way in (RUST, CHECK) else "absent"
    step = Step(f"{PROGRAM}-{name}", command, _LIMIT * runs.number)
    before, options = ((CHECKING,), STOCK_IN_C) if runs.way == CHECK else ((), "")
    return Group(f"{runs.way}-{name}", runs.way, state, (*before, step), file, options)


def results_of(results: list[Result]) -> list[Result]:
    """Those of the program's runs."""
    return [result for result in results if result.name.startswith(PROGRAM)]


def others_failed(results: list[Result]) -> list[str]:
    """What is wrong besides the program's runs: with the machine, with loading and unloading."""
    own = results_of(results)
    return [
        f"{result.group}/{result.name}: {'; '.join(result.reasons)}"
        for result in results
        if result.status is Status.FAILED and result not in own
    ]


def begun(result: Result) -> list[str]:
    """The names of the runs that began: their seeds."""
    return [match[1] for line in result.output if (match := _BEGUN.match(line))]


def first_failed(result: Result) -> str:
    """The name of the first run that failed, or nothing. The program says so, or the oracle; or
    the last one has not come to its end."""
    names = begun(result)
    failed = {match[1] for line in result.output if (match := _FAILED.match(line))}
    failed |= {
        match[1]
        for region, counters in result.witness.items()
        if (match := _REGION.match(region)) and counters.get("tlbsan.stale", 0)
    }
    if result.status is Status.FAILED and not failed:
        failed = set(names[-1:])
    return next((name for name in names if name in failed), "")


def string_of(seed: int) -> str:
    """What nested_fuzz makes of SEED."""
    digits = []
    for _ in range(_OPERATIONS * OP_DIGITS // 2):
        seed = (seed + 0x9E3779B97F4A7C15) & _WORD
        z = ((seed ^ seed >> 30) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _WORD
        digits.append(f"{(z ^ z >> 31) & 0xFF:02x}")
    return "".join(digits)
