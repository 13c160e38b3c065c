# SPDX-License-Identifier: GPL-2.0
"""`run.py test`: the upstream and own tests with the module absent, loaded and gone again."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import checkers
import hooks
import image
import no_vmx
import reports
import results
import verdict
import vng
from bochs import APICV, Emulator, Interleaving
from boots import Boot, Finished, Parts, run_boots
from call_sites import Hook, read_hooks
from errors import MachineError
from plan import CHECKED, STOCK, STOCK_IN_C, TRACED, Group, Plan, Probe, Step
from publish import publish
from results import Result, Status
from testlist import (
    Entry,
    TestList,
    check_names,
    read_own_plan,
    read_upstream_list,
    unlisted,
)

UPSTREAM_LIST = Path(__file__).resolve().parent / "upstream-tests.list"
FAULT_PLAN = Path(__file__).resolve().parents[2] / "selftests" / "plan-faults.txt"
OWN_PLAN = Path(__file__).resolve().parents[2] / "selftests" / "plan.txt"
_GROUPS = [
    Group("absent", "the module was never loaded", "absent", ()),
    Group("loaded", "the module is loaded", "loaded", ()),
    Group(
        TRACED,
        f"the module is loaded with {STOCK}, and its tracepoints are on",
        "loaded",
        (),
        options=STOCK,
    ),
    Group(
        CHECKED,
        "C decides, and the module compares",
        "loaded",
        (),
        options=STOCK_IN_C,
    ),
    Group("after", "the module was removed again", "absent", ()),
]
_GROUPS_BUILT_IN = [
    Group("loaded", "the module is part of the kernel", "loaded", ()),
    Group(TRACED, "its tracepoints are on", "loaded", ()),
]


_HOST = "host", "what needs no machine and was left out"


@dataclass(frozen=True)
class Selection:
    """Which tests run: those named or all, and with which parameters of kvm_intel."""

    only: str | None = None
    parameters: str = ""
    # The long tests, too.
    full: bool = False
    # Only what runs without parameters of kvm_intel.
    plain: bool = False
    # How many times as long as planned each test may take.
    slower: int = 1
    # What `make test` has left out before, "NAME: REASON" each.
    skipped: tuple[str, ...] = ()
    # The kernel and the emulator have all that the tests want: by itself none may skip.
    no_skips: bool = False

    def is_all(self, emulator: Emulator) -> bool:
        """Whether every hook must be come to: all tests, with what they are planned for. There
        is no VMFUNC without EPT, and one processor has nobody to send a flush to."""
        some = self.only or self.parameters or self.plain
        return not some and emulator.cpus > 1


def run_suite(parts: Parts, upstream: Path | None, own: bool, selection: Selection) -> int:
    """Run the tests, write the results; 0 if all is well. UPSTREAM is where upstream's are."""
    lists = []
    if upstream:
        lists.append(read_upstream_list(UPSTREAM_LIST))
    if own:
        lists.append(read_own_plan(OWN_PLAN))
        if image.configured(parts.kernel, "FAULT_INJECTION_USERCOPY", "y"):
            lists.append(read_own_plan(FAULT_PLAN))
    check_names(lists)
    if upstream and selection.no_skips and (names := unlisted(lists[:1], upstream)):
        raise MachineError(f"{UPSTREAM_LIST.name} has no line for {' '.join(names)}")
    chosen = choose(lists, selection.only, selection.full)
    chosen, later = by_release(chosen, parts.kernel)
    if selection.no_skips:
        chosen = [replace(each, step=replace(each.step, may_skip=False)) for each in chosen]
    entries = with_parameters(chosen, selection.parameters)
    if selection.plain:
        entries = [entry for entry in entries if not entry.parameters]
    entries = [
        replace(entry, step=slowed(entry.step, selection.slower))
        for entry in for_machine(entries, parts.emulator)
    ]
    every_hook = read_hooks(parts.kernel) if parts.module or parts.built_in else []
    probes = tuple(site for hook in every_hook for site in hook.sites)
    boots = make_boots(parts, entries, selection.parameters, probes)
    if not boots:
        raise MachineError("nothing to run: give --upstream, --own, or both")
    missing = []
    if parts.vng and selection.only is None:
        missing = vng.lacks(parts.kernel)
        if not missing:
            boots.append(no_vmx.make_boot(replace(parts, emulator=parts.vng), chosen))
    return _report(parts.output, run_boots(boots), every_hook, selection, missing, later)


def choose(lists: list[TestList], only: str | None, full: bool = False) -> list[Entry]:
    """Those named in ONLY, or all, the long ones if FULL."""
    entries = [entry for each in lists for entry in each.entries]
    if only is None:
        return [entry for entry in entries if full or not entry.long]
    wanted = set(only.split())
    chosen = [entry for entry in entries if wanted & _names(entry)]
    missing = wanted - {name for entry in chosen for name in (entry.program, entry.step.name)}
    for name in sorted(missing):
        for each in lists:
            if name in each.omitted:
                raise MachineError(f"{name} is left out: {each.omitted[name]}")
        names = " ".join(sorted({entry.program for entry in entries}))
        raise MachineError(f"no test {name} in the lists; there are: {names}")
    return chosen


def _names(entry: Entry) -> set[str]:
    """By which it may be named. One that takes long has its own alone."""
    return {entry.step.name} | (set() if entry.long else {entry.program})


def by_release(entries: list[Entry], kernel: Path) -> tuple[list[Entry], list[Result]]:
    """Those that KERNEL has, and the lines for those that only later ones have."""
    later = [entry for entry in entries if entry.since and entry.since > image.release(kernel)]
    lines = []
    for entry in later:
        why = f"KVM's selftests have it since Linux {'.'.join(map(str, entry.since))}"
        lines.append(Result(entry.groups[0], entry.step.name, Status.SKIPPED, [why]))
    if later == entries and later:
        raise MachineError("; ".join(f"{line.name}: {line.reasons[0]}" for line in lines))
    return [entry for entry in entries if entry not in later], lines


def parameters_of(text: str, kernel: Path) -> str:
    """TEXT in order, if kvm_intel of this kernel takes it."""
    words = sorted(set(text.split()))
    module = image.module_files(kernel).get("kvm-intel")
    if words and not (module and module.exists()):
        raise MachineError(f"{kernel} has no kvm-intel.ko to give parameters to")
    for word in words:
        name, _, value = word.partition("=")
        if not value or f"\0parmtype={name}:".encode() not in module.read_bytes():
            raise MachineError(f"{word}: kvm_intel has no such parameter, or it has no value")
    if len({word.partition("=")[0] for word in words}) != len(words):
        raise MachineError(f"kvm_intel: {' '.join(words)} gives one parameter two values")
    return " ".join(words)


def with_parameters(entries: list[Entry], parameters: str) -> list[Entry]:
    """Those that can run with PARAMETERS, where given; the plan's own runs with them come in
    the place of the same without."""
    if not parameters:
        return entries
    wanted = set(parameters.split())
    planned = [entry for entry in entries if set(entry.parameters.split()) == wanted]
    plain = [
        # What the plan has without parameters may be of no use with them.
        replace(entry, step=_excused(replace(entry.step, may_skip=True), entry, wanted))
        for entry in entries
        if not entry.parameters
        # A bug is shown with the parameters that it is listed with.
        and not entry.step.fails_in_c
        and all(entry.step.command != other.step.command for other in planned)
    ]
    found = [replace(entry, parameters="") for entry in planned] + plain
    if not found:
        raise MachineError(f"nothing in the plan runs with kvm_intel {parameters}")
    return found


def _excused(step: Step, entry: Entry, parameters: set[str]) -> Step:
    """STEP with what it may fail with in C, given these PARAMETERS."""
    found = [(how, why) for name, how, why in entry.may_fail if name in parameters]
    failures = tuple(each for how, _ in found for each in how)
    return replace(step, may_fail_in_c=failures, excuse="; ".join(why for _, why in found))


def slowed(step: Step, slower: int) -> Step:
    """STEP on a kernel that is SLOWER times as slow. A bug of KVM that is a race need not show
    there: the plain kernel, on which it must, is what the plan is made for."""
    if slower == 1:
        return step
    step = replace(step, limit=step.limit * slower)
    if step.fails_in_c:
        excuse = "listed to fail in C (a KVM bug)"
        step = replace(step, fails_in_c=(), may_fail_in_c=step.fails_in_c, excuse=excuse)
    return step


def for_machine(entries: list[Entry], emulator: Emulator) -> list[Entry]:
    """The plan is made for two processors; with one, what needs another may skip. So may
    what needs APIC virtualization, without our build of the emulator."""
    return [
        replace(entry, step=replace(entry.step, may_skip=True))
        if emulator.cpus < 2 or (emulator.debian and APICV in entry.parameters.split())
        else entry
        for entry in entries
    ]


def make_boots(
    parts: Parts, entries: list[Entry], parameters: str = "", probes: tuple[Probe, ...] = ()
) -> list[Boot]:
    """Share the tests among as many machines as there are processors, each of which
    takes all its tests through all groups; entries with parameters of kvm_intel besides
    PARAMETERS are more machines."""
    if parts.module is None:
        entries = [entry for entry in entries if not entry.needs_module]
    boots = []
    for name, where, long in (("machine", parts, False), ("long", _large(parts), True)):
        plain = [entry for entry in entries if not entry.parameters and entry.long == long]
        for number, share in enumerate(_shares(plain), start=1):
            boots.append(_make_boot(f"{name}-{number}", where, share, parameters, probes))
    for other in dict.fromkeys(entry.parameters for entry in entries if entry.parameters):
        share = [entry for entry in entries if entry.parameters == other]
        # The emulator's configuration takes no "=" or blank in a path.
        name = other.replace("=", "").replace(" ", "-")
        boots.append(_make_boot(name, parts, share, other, probes))
    return boots


def _large(parts: Parts) -> Parts:
    """For long tests, of which some use more than a gigabyte."""
    emulator = parts.emulator
    return replace(parts, emulator=replace(emulator, megabytes=max(emulator.megabytes, 2048)))


def _shares(entries: list[Entry]) -> list[list[Entry]]:
    """One for each processor, in the order of ENTRIES."""
    shares: list[list[Entry]] = [[] for _ in range(min(len(entries), os.cpu_count() or 1))]
    # The longest first, each to the machine with the least to do.
    for entry in sorted(entries, key=_cost, reverse=True):
        min(shares, key=lambda share: sum(map(_cost, share))).append(entry)
    return [sorted(share, key=entries.index) for share in shares]


def _make_boot(
    name: str, parts: Parts, share: list[Entry], parameters: str, probes: tuple[Probe, ...]
) -> Boot:
    groups, at_boot = _GROUPS if parts.module else _GROUPS[:1], "absent"
    if parts.built_in:
        groups, at_boot = _GROUPS_BUILT_IN, "loaded"
    if parts.emulator.seed:
        share = random.Random(parts.emulator.seed).sample(share, len(share))
    planned = [
        replace(group, steps=tuple(e.step for e in share if group.name in e.groups))
        for group in groups
    ]
    planned = [group for group in planned if group.steps or group.name not in (TRACED, CHECKED)]
    provoked = checkers.group(parts.kernel, at_boot)
    if provoked and any(path.stem == checkers.MODULE for path in parts.extra_modules):
        planned.append(provoked)
    plan = Plan(
        tuple(planned),
        probes=probes,
        kvm_options={"kvm-intel": parameters} if parameters else {},
        at_boot=at_boot,
    )
    return Boot(name, plan, tuple(dict.fromkeys(entry.program for entry in share)), parts)


def _cost(entry: Entry) -> int:
    return entry.step.limit * len(entry.groups)


def gather(
    finished: list[Finished], every_hook: list[Hook], complete: bool
) -> tuple[list[tuple[str, str]], list[Result]]:
    """All results, and the groups that they are in as (name, title). COMPLETE: every hook must be
    come to."""
    everything: list[Result] = []
    for each in finished:
        own = each.results()
        for result in own:
            of_machine = (verdict.MACHINE, checkers.GROUP)
            steps_of_plan = ("insmod", "rmmod", "tracing", "checking")
            if result.group in of_machine or result.name in steps_of_plan:
                result.name = f"{each.boot.name}: {result.name}"
        everything += own
    groups = _groups_of(finished)
    planned = [group for each in finished for group in each.boot.plan.groups]
    parts = finished[0].boot.parts
    if (parts.module or parts.built_in) and any(
        step.takeover for group in planned for step in group.steps
    ):
        everything += hooks.judge_takeover(
            [(each.boot.plan, each.outcome.console) for each in finished], every_hook, complete
        )
        groups.append((hooks.GROUP, hooks.TITLE))
    groups.append((verdict.MACHINE, "the machines themselves"))
    return groups, everything


def _groups_of(finished: list[Finished]) -> list[tuple[str, str]]:
    """The groups of all machines, in the order of the one that has most."""
    plans = sorted((each.boot.plan.groups for each in finished), key=len, reverse=True)
    return list(dict.fromkeys((group.name, group.title) for groups in plans for group in groups))


def _with_vmx(finished: list[Finished]) -> list[Finished]:
    """All but virtme-ng's. Those with long tests have an emulator of their own."""
    return [each for each in finished if isinstance(each.boot.parts.emulator, Emulator)]


def _report(
    output: Path,
    finished: list[Finished],
    every_hook: list[Hook],
    selection: Selection,
    missing: list[str],
    later: list[Result],
) -> int:
    emulator = finished[0].boot.parts.emulator
    emulated = _with_vmx(finished)
    groups, everything = gather(emulated, every_hook, selection.is_all(emulator))
    everything += later
    for each in finished:
        if each not in emulated:
            groups.append(no_vmx.GROUP)
            everything += no_vmx.summarize(each.results())
    if missing:
        groups.append(no_vmx.GROUP)
        everything.append(no_vmx.left_out(missing))
    if selection.skipped:
        groups.append(_HOST)
        everything += map(_left_out, selection.skipped)
    settings = _settings(emulator, selection)
    publish(output, "rust_kvm_nvmx", settings, finished, groups, everything)
    peak = max(each.outcome.peak_kib for each in finished) // 1024
    used = sum(each.outcome.cpu_seconds for each in finished)
    print("# " + ", ".join(f"{name} {value}" for name, value in settings.items()))
    print(f"# results: {output}/results.json")
    races = Counter(race for each in finished for race in each.outcome.console.races)
    for race, count in races.most_common():
        print(f"# KCSAN, no code of this project: {count} times {race}")
    for line in reports.not_judged([each.witness for each in finished if each.witness]):
        print(f"# {line}")
    print(f"# peak memory of an emulator: {peak} MiB; processor time of all: {used:.0f} s")
    print(results.summary(everything), flush=True)
    return 1 if results.any_failed(everything) else 0


def _left_out(what: str) -> Result:
    name, _, why = what.partition(": ")
    return Result(_HOST[0], name, Status.SKIPPED, [why])


def _settings(emulator: Emulator, selection: Selection) -> dict[str, str | int]:
    """What it takes to run the like again."""
    interleaving = Interleaving.of(emulator.seed)
    return {
        "seed": emulator.seed,
        "quantum": interleaving.quantum,
        "instructions_per_second": interleaving.instructions_per_second,
        "cpus": emulator.cpus,
        "kvm_intel": selection.parameters or "as planned",
    }
