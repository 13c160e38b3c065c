# SPDX-License-Identifier: GPL-2.0
"""`run.py linux-l1`: a Linux with KVM is L1, and VMs take turns on its one CPU: once in C, then in
Rust, then in C again. That Linux runs on while the module is loaded and unloaded below it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import image
from bench import FLUSHES, flushes_in, rounds_of
from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from faults import find_fault
from plan import INSMOD, Group, Plan, Step
from results import Status, stale_text
from session import console_tail

_PROGRAM = "vms_in_turn"
_QEMU = "qemu-system-x86_64-microvm"
_FIRMWARE = Path("/usr/share/qemu/qboot.rom")
_CONTROL = "bin/linux-l1"
# In the machine's seconds.
_LIMIT = 120
# VMs that take turns.
_NUMBERS = (2, 4, 8)
C, RUST, C_AGAIN = "c", "rust", "c_again"
_TITLES = {C: "the module is absent", RUST: "it is loaded", C_AGAIN: "it was unloaded"}
# What the program does: the end of the region's name.
_BEGIN, _TURNS, _MOVES, _END = ".begin", "", ".moves", ".end"
_PHASES = (_BEGIN, _TURNS, _MOVES, _END)
# What Rust may execute of C's INVVPIDs and INVEPTs while VMs only take turns.
_SHARE = 0.5
_NAME, _WIDTH = 13, 7

Table = dict[str, dict[str, Counter]]


def run_linux_l1(parts: Parts) -> int:
    """Run all, print the table, write linux-l1.json; 0 if all is well."""
    qemu = image.host_tool(_QEMU)
    if not parts.emulator.has_witness:
        raise MachineError("linux-l1 counts by the emulator's witness: not with TLBSAN=0")
    plan = make_plan()
    boot = Boot("machine", plan, (), parts, host_tools=(qemu,), files=_files(parts))
    [finished] = run_boots([boot])
    rounds = rounds_of(finished)
    table = make_table(finished)
    problems = find_problems(finished, table)
    stale = {kind: _stale(finished, kind) for kind in _TITLES}
    report = {
        "kernel": finished.outcome.console.kernel,
        "rounds": rounds,
        "regions": table,
        "stale": stale,
        "problems": problems,
    }
    path = parts.output / "linux-l1.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(render(table, rounds))
    print(f"translations used though stale: {stale[C]}, {stale[RUST]}, {stale[C_AGAIN]}")
    for problem in problems:
        print(f"WRONG: {problem}")
    for result in finished.results():
        for line in stale_text(result):
            print(f"  {line}")
    print(f"as JSON: {path}", flush=True)
    if problems:
        print("\n".join(console_tail(finished.outcome.directory)), file=sys.stderr)
        print(f"all of it: {finished.outcome.directory}/console.log", file=sys.stderr)
    return 1 if problems else 0


def make_plan() -> Plan:
    """One boot of the machine, and one of L1."""
    turns = tuple(
        Step(name, (f"/{_CONTROL}", f"/tests/{_PROGRAM}", "--vms", str(vms), "--region", name))
        for vms, name in ((vms, _region(vms)) for vms in _NUMBERS)
    )
    steps = {
        C: (Step("start", (f"/{_CONTROL}", "start"), _LIMIT), *turns),
        RUST: turns,
        C_AGAIN: (*turns, Step("stop", (f"/{_CONTROL}", "stop"))),
    }
    return Plan(
        tuple(
            Group(kind, _TITLES[kind], "loaded" if kind == RUST else "absent", own)
            for kind, own in steps.items()
        ),
        heartbeat=False,
    )


def _region(vms: int) -> str:
    return f"{vms}_vms"


def _files(parts: Parts) -> dict[str, bytes]:
    """What starts L1, and L1 itself: the machine's own kernel, once more."""
    files = {
        f"usr/share/qemu/{_FIRMWARE.name}": _FIRMWARE,
        _CONTROL: image.GUEST / "linux-l1",
        "l1/bzImage": parts.kernel / "arch/x86/boot/bzImage",
    }
    return image.read_files(files) | {"l1/initrd": _initrd(parts)}


def _initrd(parts: Parts) -> bytes:
    """L1's root: that of the machine, with an init of its own and without our module."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        image.fill_root(root, parts.kernel, (), parts.tools)
        image.add(root, "init", (image.GUEST / "linux-l1-init").read_bytes())
        image.add_program(root, parts.find_program(_PROGRAM))
        return image.archive(root)


def make_table(finished: Finished) -> Table:
    """By region and kind: what the emulator counted."""
    table: Table = {}
    for vms in _NUMBERS:
        for phase in _PHASES:
            name = f"{_region(vms)}{phase}"
            for kind in _TITLES:
                regions = (finished.witness or {}).get(f"{kind}/{_region(vms)}", {})
                if name in regions:
                    table.setdefault(name, {})[kind] = regions[name]
    return table


def _stale(finished: Finished, kind: str) -> int:
    return sum(sum(r.stale.values()) for r in finished.results() if r.group == kind)


def _exits(counters: Counter) -> int:
    return sum(value for name, value in counters.items() if name.startswith("vmexit."))


_COLUMNS = {
    "INVVPIDs": lambda counters: flushes_in(counters, "INVVPID"),
    "INVEPTs, one EPT": lambda counters: counters["invept.single"],
    "INVEPTs, all EPTs": lambda counters: counters["invept.all"],
    "VM exits": _exits,
    "L0's instructions/1000": lambda counters: round(counters["instr.root"] / 1000),
}
_OF_L1 = {"INVVPIDs": "vmexit.L1.invvpid", "INVEPTs": "vmexit.L1.invept"}


def render(table: Table, rounds: dict[str, int]) -> str:
    """The table as text."""
    width = _WIDTH * len(_TITLES)
    gap, heads = " " * 2, "".join(f"{head:>{_WIDTH}}" for head in ("C", "Rust", "C"))
    lines = [
        "executed by L0's CPU: the module absent, loaded, and unloaded; L1's own are of the run"
        " with Rust",
        f"{'':{_NAME + _WIDTH}}"
        + "".join(f"{gap}{title:>{width}}" for title in _COLUMNS)
        + f"{gap}{'L1 itself executed':>{_WIDTH * 3}}",
        f"{'region':<{_NAME}}{'turns':>{_WIDTH}}"
        + f"{gap}{heads}" * len(_COLUMNS)
        + gap
        + "".join(f"{name:>{_WIDTH * 3 // 2}}" for name in _OF_L1),
    ]
    for region, row in table.items():
        line = f"{region:<{_NAME}}{rounds.get(region, '-'):>{_WIDTH}}"
        for figure in _COLUMNS.values():
            cells = (figure(row[kind]) if kind in row else "-" for kind in _TITLES)
            line += gap + "".join(f"{cell:>{_WIDTH}}" for cell in cells)
        own = row.get(RUST, Counter())
        line += gap + "".join(f"{own[counter]:>{_WIDTH * 3 // 2}}" for counter in _OF_L1.values())
        lines.append(line)
    return "\n".join(lines)


def find_problems(finished: Finished, table: Table) -> list[str]:
    """Everything that is not as it must be."""
    found = []
    for result in finished.results():
        place = f"{result.group}/{result.name}"
        if result.status is not Status.PASSED:
            found += [f"{place}: {reason}" for reason in result.reasons]
        # The console of L1 is this one's output.
        faults = filter(None, map(find_fault, result.output))
        found += [f"{place}: L1: {fault.kind}: {fault.line}" for fault in faults]
        # While the module is loaded, another CPU may still be in C's code.
        if result.group == RUST and result.witness and result.name != INSMOD:
            found += _miscounted(place, result.counters, Counter(result.witness[""]))
    return found + _problems_of(table, rounds_of(finished))


def _miscounted(place: str, module: dict[str, int], seen: Counter) -> list[str]:
    """What the emulator saw and the module did not count. The module counts for a moment longer,
    and L1 never stands still."""
    return [
        f"{place}: {counter}: the module counted {module.get(counter, 0)}, the emulator"
        f" {seen[counter]}"
        for of in FLUSHES.values()
        for counter in of
        if module.get(counter, 0) < seen[counter]
    ]


def _problems_of(table: Table, rounds: dict[str, int]) -> list[str]:
    found = []
    for vms in _NUMBERS:
        name = _region(vms)
        row = table.get(name, {})
        missing = [kind for kind in _TITLES if kind not in row]
        if missing or name not in rounds:
            found.append(f"{name}: not measured: {', '.join(missing) or 'rounds'}")
            continue
        for kind in _TITLES:
            entries = row[kind]["vmentry.L2"]
            if entries < rounds[name]:
                found.append(f"{name}: {kind}: L2 was entered {entries} times")
        for instruction in FLUSHES:
            c = min(flushes_in(row[kind], instruction) for kind in (C, C_AGAIN))
            rust = flushes_in(row[RUST], instruction)
            if not c:
                found.append(f"{name}: no {instruction} was executed in C")
            elif rust > _SHARE * c:
                found.append(f"{name}: {instruction}: C {c}, Rust {rust}")
    return found
