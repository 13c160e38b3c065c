# SPDX-License-Identifier: GPL-2.0
"""`run.py soak`: guests for hours, in one boot after another, while all about them changes.

The program `soak` does the work in the machine. Here is what it runs, what is said each minute,
and the judgement: nothing stale, no fault, no leak, no program that failed.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from boots import Boot, Finished, Parts, run_boots
from console import Tail
from errors import MachineError
from faults import find_fault
from module_edits import build_edited
from mutant_list import named
from plan import MODULE, Group, Plan, Step
from results import Result, Status, stale_text
from session import KERNEL_LOG, TESTS_LOG
from soak_memory import growths, of_caches

PROGRAM = "soak"
RUNS = Path(__file__).resolve().parents[2] / "selftests" / "soak.txt"
PLANTS = ("vpid", "page", "slab", "object", "warn", "reference", "vm")
# Of kvm_intel, by the seed.
_PARAMETERS = ("", "ept=0", "", "vpid=0")
# In the host's time; and what is left in the end and is not worth a boot.
_MINUTES_OF_BOOT = 15
_LEAST_MINUTES = 1.5
# Of the machine's seconds, what passes in one of a host's that has other work, too. That of the
# boots so far is known.
_PACE = 0.2
# The first look takes ten.
_LEAST_SECONDS = 30
_SAY_EVERY = 60.0
# In the machine's seconds: programs come to their end, and all is looked at once more.
_LAST_WORDS = 200
# Little, so that a process that takes all of it is soon done.
_MEGABYTES = 160
_CPUS = 3
# So that the kernel misses an object of each cache when KVM is unloaded.
_ARGUMENTS = "slab_nomerge"
_UNLOAD = "rmmod kvm-intel && rmmod kvm"
_MARK = "# soak "
_LAST_LINES = 10
# Of those of the slab allocator, how many are named.
_CACHES = 4


@dataclass(frozen=True)
class Order:
    """What is to be done."""

    hours: float
    # Of the first boot; the next has the next.
    seed: int
    # What is done wrong on purpose in the machine, or in the module (selftests/mutants.toml).
    plant: str = ""
    edit: str = ""


@dataclass
class Part:
    """A boot, and what came of it."""

    seed: int
    parameters: str
    numbers: dict[str, int] = field(default_factory=dict)
    # What was seen each time that all was quiet.
    looks: list[dict[str, int]] = field(default_factory=list)
    # And the bytes in use of each cache of the slab allocator, if the kernel says so.
    slabs: list[dict[str, int]] = field(default_factory=list)
    stale: int = 0
    faults: int = 0
    host_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def read_runs(path: Path, parameters: str) -> list[str]:
    """The lines of PATH that can run with these PARAMETERS of kvm_intel."""
    runs = []
    lacks = {word.partition("=")[0] for word in parameters.split() if word.endswith("=0")}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        needs, bar, run = content.partition("|")
        if not bar or not run.strip():
            raise MachineError(f"{path}:{number}: expected `NEEDS | NAME ARGUMENTS`")
        words = set(needs.split()) - {"-"}
        if words - {"ept", "vpid"}:
            raise MachineError(f"{path}:{number}: kvm_intel has no {needs.strip()}")
        if not words & lacks:
            runs.append(run.strip())
    return runs


def numbers_of(lines: list[str], word: str) -> list[dict[str, int]]:
    """What each line `# soak WORD NAME=NUMBER...` says."""
    found = []
    for line in lines:
        if line.startswith(f"{_MARK}{word} "):
            pairs = (item.partition("=") for item in line.split()[3:])
            found.append({name: int(value) for name, _, value in pairs if value.isdigit()})
    return found


def make_plan(order: Order, part: Part, seconds: int) -> Plan:
    """One boot."""
    # By another name: the guests in the oracle's reports are those of the programs that it starts.
    command = ["env", f"/tests/{PROGRAM}", f"/modules/{order.edit or MODULE}.ko", "/runs"]
    command += ["--seed", str(part.seed), "--seconds", str(seconds)]
    if order.plant:
        command += ["--plant", order.plant]
    steps = (
        Step(PROGRAM, tuple(command), seconds + _LAST_WORDS),
        Step("unload", ("sh", "-c", _UNLOAD)),
    )
    return Plan(
        (Group("soak", "guests run, and all about them changes", "absent", steps),),
        kvm_options={"kvm-intel": part.parameters} if part.parameters else {},
        shown=(f"{_MARK}failed", f"{_MARK}wrong"),
    )


class Progress:
    """What is known of a machine that runs, from the files that grow."""

    def __init__(self, directory: Path) -> None:
        self._tests = Tail(directory / TESTS_LOG)
        self._kernel = Tail(directory / KERNEL_LOG)
        self._reports = Tail(directory / "reports.jsonl")
        self._numbers: dict[str, int] = {}
        self._look: dict[str, int] = {}
        self._stale = self._faults = 0

    def line(self) -> str:
        """All of it now."""
        tests = self._tests.lines()
        for numbers in (*numbers_of(tests, "now"), *numbers_of(tests, "end")):
            self._numbers = numbers
        for look in numbers_of(tests, "look"):
            self._look = look
        self._faults += sum(find_fault(line) is not None for line in self._kernel.lines())
        self._stale += sum('"stale"' in line for line in self._reports.lines())
        get = self._numbers.get
        return (
            f"{get('seconds', 0)} s: {get('cycles', 0)} cycles,"
            f" {get('switches', 0)} switches, {get('programs', 0)} programs"
            f" ({get('failed', 0)} failed), stale {self._stale}, faults {self._faults},"
            f" slab {self._look.get('SUnreclaim', 0)} KiB,"
            f" free {self._look.get('MemFree', 0)} KiB"
        )


def judge(part: Part, results: list[Result], host_seconds: float) -> None:
    """Fill PART in."""
    part.host_seconds = host_seconds
    for result in results:
        part.stale += sum(result.stale.values())
        if result.status is not Status.PASSED:
            part.problems += [f"{result.name}: {reason}" for reason in result.reasons]
        if result.name != PROGRAM:
            continue
        part.looks = numbers_of(result.output, "look")
        part.slabs = numbers_of(result.output, "slabs")
        for numbers in numbers_of(result.output, "end"):
            part.numbers = numbers
        for line in result.output:
            if line.startswith((f"{_MARK}failed", f"{_MARK}wrong")):
                part.problems.append(line.removeprefix(_MARK))
    if different := part.numbers.get("differences", 0):
        part.problems.append(f"C and Rust decided differently {different} times")
    if not part.numbers.get("passed", 0) or not part.numbers.get("cycles", 0):
        part.problems.append("no program passed, or the module was never unloaded")
    part.problems += growths(part.looks, part.slabs)


def run_soak(parts: Parts, order: Order) -> int:
    """0 if all was well to the end."""
    if not parts.emulator.has_witness:
        raise MachineError("the oracle is one of the judges: not with TLBSAN=0")
    parts = _with_edit(_large(parts), order)
    end = time.monotonic() + 3600 * order.hours
    done: list[Part] = []
    print(f"# soak: {order.hours:g} hours from seed {order.seed} on", flush=True)
    while True:
        left = end - time.monotonic()
        if done and left < 60 * _LEAST_MINUTES:
            break
        part = part_of(order.seed + len(done))
        try:
            _run_part(parts, order, part, length_of(left, done))
        except KeyboardInterrupt:
            if done:
                print("\n".join(report(done)))
            print(f"# stopped: nothing is said of the boot of seed {part.seed}", flush=True)
            raise
        done.append(part)
        _write(parts, order, done)
        if part.problems and (order.plant or order.edit or not part.numbers):
            break
    print("\n".join(report(done)), flush=True)
    return 1 if any(part.problems for part in done) else 0


def part_of(seed: int) -> Part:
    """The boot of SEED."""
    return Part(seed, _PARAMETERS[seed % len(_PARAMETERS)])


def length_of(left: float, done: list[Part]) -> int:
    """The machine's seconds of the next boot, with LEFT seconds of the host's to go."""
    host = sum(part.host_seconds for part in done)
    pace = sum(part.numbers.get("seconds", 0) for part in done) / host if host else _PACE
    return max(_LEAST_SECONDS, round(pace * min(left, 60 * _MINUTES_OF_BOOT)))


def _large(parts: Parts) -> Parts:
    cpus = max(parts.emulator.cpus, _CPUS)
    return replace(parts, emulator=replace(parts.emulator, cpus=cpus, megabytes=_MEGABYTES))


def _with_edit(parts: Parts, order: Order) -> Parts:
    if not order.edit:
        return parts
    file = build_edited(order.edit, named([order.edit]), parts)
    return replace(parts, module=None, extra_modules=(*parts.extra_modules, file))


def _run_part(parts: Parts, order: Order, part: Part, seconds: int) -> None:
    runs = read_runs(RUNS, part.parameters)
    plan = make_plan(order, part, seconds)
    # A busy host takes longer.
    limits = replace(parts.limits, total=6 * (seconds + _LAST_WORDS))
    emulator = replace(parts.emulator, seed=part.seed)
    boot = Boot(
        f"soak-{part.seed}",
        plan,
        (PROGRAM, *dict.fromkeys(run.split()[0] for run in runs)),
        replace(parts, limits=limits, emulator=emulator),
        files={"runs": ("\n".join(runs) + "\n").encode()},
        arguments=_ARGUMENTS,
    )
    begin = time.monotonic()
    over = threading.Event()
    name = part.parameters or "no parameters"
    print(f"# boot of seed {part.seed}: kvm_intel with {name}, {seconds} s", flush=True)
    watcher = threading.Thread(target=_say, args=(boot.directory(), over))
    watcher.start()
    try:
        [finished] = run_boots([boot])
    finally:
        over.set()
        watcher.join()
    _judge(part, finished, time.monotonic() - begin)


def _say(directory: Path, over: threading.Event) -> None:
    """A line each minute."""
    for name in (TESTS_LOG, KERNEL_LOG, "reports.jsonl"):
        (directory / name).unlink(missing_ok=True)
    progress = Progress(directory)
    while not over.wait(_SAY_EVERY):
        print(f"# {progress.line()}", flush=True)


def _judge(part: Part, finished: Finished, host_seconds: float) -> None:
    results = finished.results()
    part.faults = len(finished.outcome.console.all_faults())
    judge(part, results, host_seconds)
    if part.problems:
        for result in results:
            for line in stale_text(result)[:40]:
                print(f"  {line}")
            if result.status is Status.FAILED:
                print("\n".join(f"  | {line}" for line in result.output[-_LAST_LINES:]))
        print(f"  all of it: {finished.outcome.directory}", flush=True)


def _write(parts: Parts, order: Order, done: list[Part]) -> None:
    record = {"order": asdict(order), "boots": [asdict(part) for part in done]}
    path = parts.output / "soak.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


_COLUMNS = ("cycles", "switches", "offline", "zaps", "compactions", "drops", "squeezes")
_OF_PROGRAMS = ("passed", "failed")


def report(done: list[Part]) -> list[str]:
    """A line for each boot, one for all, and what is wrong."""
    total = dict.fromkeys((*_COLUMNS, *_OF_PROGRAMS), 0)
    lines = []
    for part in done:
        for name in total:
            total[name] += part.numbers.get(name, 0)
        what = part.parameters or "-"
        lines.append(
            f"seed {part.seed}, {what}: {part.numbers.get('seconds', 0)} s of the machine's in"
            f" {part.host_seconds:.0f} s, {_counts(part.numbers)}; {_memory(part.looks)}"
        )
        if part.slabs:
            caches = of_caches(part.slabs)
            most = ", ".join(f"{name} {kib:.1f}" for name, kib in list(caches.items())[:_CACHES])
            lines.append(
                f"  objects in all caches: {sum(caches.values()):+.1f} KiB; the most: {most}"
            )
    stale, faults = (sum(getattr(part, name) for part in done) for name in ("stale", "faults"))
    hours = sum(part.host_seconds for part in done) / 3600
    lines.append(f"{hours:.2f} hours, {len(done)} boots: {_counts(total)}")
    lines.append(f"stale {stale}, faults {faults}")
    problems = [f"seed {part.seed}: {problem}" for part in done for problem in part.problems]
    lines += [f"WRONG: {problem}" for problem in problems]
    lines.append(f"{len(problems)} problems" if problems else "no problem")
    return lines


def _counts(numbers: dict[str, int]) -> str:
    words = (f"{name} {numbers.get(name, 0)}" for name in (*_COLUMNS, *_OF_PROGRAMS))
    return ", ".join(words)


def _memory(looks: list[dict[str, int]]) -> str:
    if not looks:
        return "never quiet"
    slab, vpids = (
        [look.get(name, 0) for look in (looks[0], looks[-1])] for name in ("SUnreclaim", "vpids")
    )
    return (
        f"{len(looks)} looks, slab {slab[0]} to {slab[1]} KiB,"
        f" VPIDs used {vpids[0]} to {vpids[1]}, reclaim began {looks[-1].get('reclaims', 0)} times"
    )
