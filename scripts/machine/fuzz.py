# SPDX-License-Identifier: GPL-2.0
"""`run.py fuzz`: nested_fuzz with one seed after another, until one fails or the time is over.

A string that fails is shrunk, and printed. With edits of selftests/mutants.toml, each breaks the
module, and is to be found.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace

from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from fuzz_faults import find_faults
from fuzz_run import (
    OP_DIGITS,
    PROGRAM,
    WAYS,
    Runs,
    begun,
    first_failed,
    group,
    of_seeds,
    of_string,
    others_failed,
    results_of,
    string_of,
)
from fuzz_shrink import shrink
from plan import MODULE, Plan
from results import Result, Status, stale_text

_RUNS_IN_STEP, _STEPS_IN_BOOT = 20, 4
# More than are made in one minute.
_SEEDS_IN_MINUTE = 10_000


@dataclass(frozen=True)
class Order:
    """What is to be done."""

    minutes: float
    # This one alone; None: many, from one on that the clock chooses.
    seed: int | None
    ways: tuple[str, ...] = WAYS
    # To be run, in place of what seeds make.
    strings: tuple[str, ...] = ()
    # Names in selftests/mutants.toml.
    edits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """The first run that failed."""

    way: str
    name: str
    string: str
    result: Result


class Fuzzer:
    """Boots machines in which the module, or C, is fuzzed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._boots = 0
        self._seconds = 0.0
        self.runs = 0

    def search(self, order: Order, first: int) -> Failure | None:
        """Seeds from FIRST on, until one fails or the time is over."""
        end = time.monotonic() + 60 * order.minutes
        seed = first
        while time.monotonic() < end:
            begin = time.monotonic()
            shares: list[list[Runs]] = [[] for _ in range(os.cpu_count() or 1)]
            for number in range(_STEPS_IN_BOOT):
                for share in shares:
                    way = order.ways[number % len(order.ways)]
                    share.append(of_seeds(way, seed, _RUNS_IN_STEP))
                    seed += _RUNS_IN_STEP
            finished = self._boot(shares)
            self._seconds += time.monotonic() - begin
            for each, share in zip(finished, shares, strict=True):
                failure = self._first_failure(each, share)
                if failure:
                    return failure
            print(f"# {self.rate()}", file=sys.stderr, flush=True)
        return None

    def try_strings(self, way: str, strings: list[str]) -> list[Result]:
        """How each of STRINGS ends, all in one boot."""
        (finished,) = self._boot([[of_string(way, string) for string in strings]])
        return results_of(finished.results())

    def rate(self) -> str:
        """How much it has done."""
        return f"{self.runs} runs, {self.runs / self._seconds:.2f} a second with the boots"

    def _boot(self, shares: list[list[Runs]]) -> list[Finished]:
        boots = []
        for share in shares:
            self._boots += 1
            groups = tuple(group(str(number), runs, MODULE) for number, runs in enumerate(share))
            boots.append(Boot(f"fuzz-{self._boots}", Plan(groups), (PROGRAM,), self._parts))
        return run_boots(boots)

    def _first_failure(self, finished: Finished, share: list[Runs]) -> Failure | None:
        results = finished.results()
        for result, runs in zip(results_of(results), share, strict=True):
            names = begun(result)
            name = first_failed(result)
            if name:
                self.runs += names.index(name) + 1
                return Failure(runs.way, name, string_of(int(name)), result)
            if result.status is Status.FAILED:
                raise MachineError(f"{result.name}: {'; '.join(result.reasons)}")
            if len(names) != runs.number:
                raise MachineError(f"{result.name}: {len(names)} of {runs.number} runs began")
            self.runs += len(names)
        if wrong := others_failed(results):
            raise MachineError("; ".join(wrong))
        return None


def run_fuzz(parts: Parts, order: Order) -> int:
    """0 if no run failed; with edits, if each was found."""
    if not parts.emulator.has_witness:
        raise MachineError("the oracle is the judge: not with TLBSAN=0")
    if order.edits:
        return find_faults(parts, order.edits)
    if order.seed is not None:
        order = replace(order, strings=(*order.strings, string_of(order.seed)))
    fuzzer = Fuzzer(parts)
    if order.strings:
        return _replay(fuzzer, order)
    first = int(time.time()) // 60 * _SEEDS_IN_MINUTE
    print(f"# seeds from {first} on", flush=True)
    try:
        failure = fuzzer.search(order, first)
    except KeyboardInterrupt:
        if fuzzer.runs:
            print(f"no failure in {fuzzer.rate()}, up to the last boot that ended", flush=True)
        raise
    if failure:
        print(f"# {fuzzer.rate()}")
        print("\n".join(_describe(fuzzer, failure)), flush=True)
        print(f"To see it again: make fuzz SEED={failure.name} WAY={failure.way}")
        return 1
    print(f"no failure in {fuzzer.rate()}")
    return 0


def _replay(fuzzer: Fuzzer, order: Order) -> int:
    failed = False
    for way in order.ways:
        for string in order.strings:
            (result,) = fuzzer.try_strings(way, [string])
            if result.status is not Status.FAILED and len(begun(result)) != 1:
                raise MachineError(f"{result.name}: {result.status.value}, but no run began")
            print(f"{way}: {result.status.value}", flush=True)
            if result.status is Status.FAILED:
                failed = True
                failure = Failure(way, "alone", string, result)
                print("\n".join(_describe(fuzzer, failure)), flush=True)
    return 1 if failed else 0


def _describe(fuzzer: Fuzzer, failure: Failure) -> list[str]:
    """What has failed, and the least that fails so."""
    lines = [f"FAILED: {failure.way} {failure.name}", *_reasons(failure.result)]

    def fails(strings: list[str]) -> list[bool]:
        results = fuzzer.try_strings(failure.way, strings)
        return [result.status is Status.FAILED and bool(begun(result)) for result in results]

    small = shrink(failure.string, fails)
    if small is None:
        return [*lines, f"bytes: {failure.string}", "alone, they do not fail"]
    (result,) = fuzzer.try_strings(failure.way, [small])
    lines += [f"{len(small) // OP_DIGITS} of {len(failure.string) // OP_DIGITS} operations"]
    return [*lines, f"bytes: {small}", *_reasons(result)]


def _reasons(result: Result) -> list[str]:
    lines = [f"  {reason}" for reason in result.reasons[:3]]
    said = [line for line in result.output if line.strip() and not line.startswith("# fuzz run")]
    lines += [f"  | {line}" for line in said[-15:]]
    return lines + [f"  {line}" for line in stale_text(result)[:20]]
