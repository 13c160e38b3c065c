# SPDX-License-Identifier: GPL-2.0
"""`run.py fuzz`: nested_fuzz with one seed after another, until one fails or the time is over.

A run is what nested_fuzz does with one string of bytes. It fails if a guest reads what is not the
newest, if the oracle reports a stale translation, or if the machine has a fault. A string that
fails is shrunk, and printed. With edits of selftests/mutants.toml, each breaks the module, and is
to be found.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from fuzz_shrink import OP_DIGITS, shrink
from module_edits import apply_edit, build_module, copy_sources
from mutant_list import LIST, Mutant, read_mutants
from plan import MODULE, Group, Plan, Step
from results import Result, Status, stale_text

PROGRAM = "nested_fuzz"
# Who decides: C; Rust, by default; Rust, and the program switches hooks and loads the module.
C, RUST, HANDS = "c", "rust", "hands"
WAYS = (RUST, HANDS)
_REGION = re.compile(r"^fuzz\.(\w+)$")
_FAILED = re.compile(r"^# fuzz failed (\w+)$")
_BEGUN = re.compile(r"^# fuzz run (\w+)$")
_WORD = (1 << 64) - 1
_RUNS_IN_STEP, _STEPS_IN_BOOT = 20, 4
# More than are made in one minute.
_SEEDS_IN_MINUTE = 10_000
# Of the machine's seconds for a run, which takes some three at most.
_LIMIT = 20

# A way, and the program's arguments.
Steps = list[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Order:
    """What is to be done."""

    minutes: float
    # This one alone; None: many, from one on that the clock chooses. With edits, the first.
    seed: int | None
    ways: tuple[str, ...] = WAYS
    # To be run, in place of what seeds make.
    strings: tuple[str, ...] = ()
    # Names in selftests/mutants.toml.
    edits: tuple[str, ...] = ()
    # Operations of a run.
    length: int = 300


@dataclass(frozen=True)
class Failure:
    """The first run that failed."""

    way: str
    name: str
    string: str
    result: Result
    # How many runs had been made, with this one.
    runs: int


class Fuzzer:
    """Boots machines in which one module, or C, is fuzzed."""

    def __init__(self, parts: Parts, file: str = MODULE) -> None:
        self._parts = parts
        self._file = file
        self._boots = 0
        self.runs = 0
        self.seconds = 0.0

    def search(self, order: Order, first: int) -> Failure | None:
        """Seeds from FIRST on, until one fails or the time is over."""
        end = time.monotonic() + 60 * order.minutes
        seed = first
        while time.monotonic() < end:
            begin = time.monotonic()
            shares: list[Steps] = [[] for _ in range(os.cpu_count() or 1)]
            for number in range(_STEPS_IN_BOOT):
                for share in shares:
                    way = order.ways[number % len(order.ways)]
                    share.append((way, self._arguments(seed, order.length)))
                    seed += _RUNS_IN_STEP
            finished = self._boot(shares, _LIMIT * _RUNS_IN_STEP)
            self.seconds += time.monotonic() - begin
            for each, share in zip(finished, shares, strict=True):
                failure = self._first_failure(each, share, order.length)
                if failure:
                    return failure
            print(f"# {self._file}: {self.runs} runs, {self.rate()}", file=sys.stderr, flush=True)
        return None

    def try_strings(self, way: str, strings: list[str]) -> list[Result]:
        """How each of STRINGS ends, all in one boot; fewer results if the machine has ended."""
        steps = [(way, ("--verbose", "--bytes", string)) for string in strings]
        (finished,) = self._boot([steps], _LIMIT)
        return [result for result in finished.results() if result.name.startswith(PROGRAM)]

    @staticmethod
    def _arguments(seed: int, length: int) -> tuple[str, ...]:
        runs = ("--runs", str(_RUNS_IN_STEP), "--length", str(length))
        return ("--seed", str(seed), *runs)

    def rate(self) -> str:
        """How fast it is."""
        return f"{self.runs / self.seconds:.2f} a second, with the boots"

    def _boot(self, shares: list[Steps], limit: int) -> list[Finished]:
        boots = []
        for steps in shares:
            self._boots += 1
            groups = tuple(self._group(n, each, limit) for n, each in enumerate(steps))
            name = f"{self._file}-{self._boots}"
            boots.append(Boot(name, Plan(groups), (PROGRAM,), self._parts))
        return run_boots(boots)

    def _group(self, number: int, what: tuple[str, tuple[str, ...]], limit: int) -> Group:
        way, arguments = what
        module = [f"/modules/{self._file}.ko"] if way == HANDS else []
        step = Step(f"{PROGRAM}-{number}", (f"/tests/{PROGRAM}", *module, *arguments), limit)
        state = "loaded" if way == RUST else "absent"
        return Group(f"{way}-{number}", way, state, (step,), self._file)

    def _first_failure(
        self, finished: Finished, steps: Steps, length: int
    ) -> Failure | None:
        results = [r for r in finished.results() if r.name.startswith(PROGRAM)]
        for result, (way, _) in zip(results, steps, strict=True):
            begun = [match[1] for line in result.output if (match := _BEGUN.match(line))]
            failed = failed_runs(result)
            if result.status is Status.FAILED and not failed:
                # It has not come to its end.
                failed = begun[-1:]
            for number, name in enumerate(begun, start=1):
                if name in failed:
                    self.runs += number
                    return Failure(way, name, string_of(int(name), length), result, self.runs)
            if result.status is Status.FAILED:
                raise MachineError(f"{result.name}: {'; '.join(result.reasons)}")
            self.runs += len(begun)
        return None


def string_of(seed: int, length: int) -> str:
    """What nested_fuzz makes of SEED."""
    digits = []
    for _ in range(length * OP_DIGITS // 2):
        seed = (seed + 0x9E3779B97F4A7C15) & _WORD
        z = ((seed ^ seed >> 30) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _WORD
        digits.append(f"{(z ^ z >> 31) & 0xFF:02x}")
    return "".join(digits)


def failed_runs(result: Result) -> list[str]:
    """The names of the runs that failed: the program says so, or the oracle."""
    said = [match[1] for line in result.output if (match := _FAILED.match(line))]
    stale = [
        match[1]
        for region, counters in result.witness.items()
        if (match := _REGION.match(region)) and counters.get("tlbsan.stale", 0)
    ]
    return said + stale


def run_fuzz(parts: Parts, order: Order) -> int:
    """0 if no run failed; with edits, if each was found."""
    if not parts.emulator.has_witness:
        raise MachineError("the oracle is the judge: not with TLBSAN=0")
    if order.edits:
        return _find_edits(parts, order)
    if order.seed is not None:
        order = replace(order, strings=(*order.strings, string_of(order.seed, order.length)))
    if order.strings:
        return _replay(parts, order)
    fuzzer = Fuzzer(parts)
    first = int(time.time()) // 60 * _SEEDS_IN_MINUTE
    print(f"# seeds from {first} on", flush=True)
    failure = fuzzer.search(order, first)
    if failure:
        print("\n".join(_describe(fuzzer, failure)), flush=True)
        return 1
    print(f"no failure in {fuzzer.runs} runs, {fuzzer.rate()}")
    return 0


def _replay(parts: Parts, order: Order) -> int:
    failed = False
    fuzzer = Fuzzer(parts)
    for way in order.ways:
        for string in order.strings:
            results = fuzzer.try_strings(way, [string])
            print(f"{way}: {results[0].status.value}")
            if results[0].status is Status.FAILED:
                failed = True
                print("\n".join(_describe(fuzzer, Failure(way, "bytes", string, results[0], 1))))
    return 1 if failed else 0


def _find_edits(parts: Parts, order: Order) -> int:
    known = {mutant.name: mutant for mutant in read_mutants()}
    missing = [name for name in order.edits if name not in known]
    if missing:
        raise MachineError(f"no edit {', '.join(missing)} in {LIST}")
    found = []
    for name in order.edits:
        file = _build(known[name], parts)
        fuzzer = Fuzzer(replace(parts, module=file), name)
        failure = fuzzer.search(order, order.seed or 1)
        if failure:
            said = f"found in run {failure.runs}, {failure.way} {failure.name}"
        else:
            said = f"NOT FOUND in {fuzzer.runs} runs"
        found.append({"name": name, "rule": known[name].rule, "found": said})
        print(f"- **{known[name].rule}** {name}: {said}", flush=True)
        if failure:
            print("\n".join(f"  {line}" for line in _describe(fuzzer, failure)), flush=True)
    path = parts.output / "edits.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if any("NOT" in each["found"] for each in found) else 0


def _build(mutant: Mutant, parts: Parts) -> Path:
    tree = copy_sources(mutant.name, parts)
    apply_edit(tree, mutant)
    to = parts.output / "mutants" / f"{mutant.name}.ko"
    build_module(tree, to, parts)
    return to


def _describe(fuzzer: Fuzzer, failure: Failure) -> list[str]:
    """What has failed, and the least that fails so."""
    lines = [f"FAILED: {failure.way} {failure.name}, run {failure.runs}", *_reasons(failure.result)]

    def fails(strings: list[str]) -> list[bool]:
        results = fuzzer.try_strings(failure.way, strings)
        return [result.status is Status.FAILED for result in results]

    small = shrink(failure.string, fails)
    if small is None:
        return [*lines, f"bytes: {failure.string}", "alone, they do not fail"]
    (result,) = fuzzer.try_strings(failure.way, [small])
    lines += [f"{len(small) // OP_DIGITS} of {len(failure.string) // OP_DIGITS} operations"]
    return [*lines, f"bytes: {small}", *_reasons(result)]


def _reasons(result: Result) -> list[str]:
    lines = [f"  {reason}" for reason in result.reasons[:3]]
    lines += [f"  | {line}" for line in result.output if not line.startswith("# fuzz run")][:15]
    return lines + [f"  {line}" for line in stale_text(result)[:20]]
