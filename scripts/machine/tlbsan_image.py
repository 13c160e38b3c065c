# SPDX-License-Identifier: GPL-2.0
"""The oracle on a hypervisor that somebody else made: any image or kernel that boots from BIOS.

Nothing is known of it but what its first serial port prints. What is judged is whether a guest of
it used a translation that it had to flush.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import boot_file
import reports
import witness
from bochs import CDROM, DISK, BochsMachine, Emulator, Process
from boot_file import Kind, Order
from code_names import CodeNames
from console import Tail
from explain import explain_all
from faults import find_fault
from reports import GUEST_OWNED, STALE, Report
from results import Result, Status, describe, stale_text
from session import KERNEL_LOG

_POLL = 0.05
# After a panic the trace still follows.
_LAST_WORDS = 3.0
_XEN_PANIC = re.compile(r"\(XEN\) (Panic on CPU|Hardware Dom0 crashed)")
# Bochs's words for ACPI's power-off: the one good end by itself.
_POWER_OFF = "soft power off"
_NO_OUTPUT = (
    "the first serial port was silent: the image must use it, as Linux does with console=ttyS0"
)


@dataclass(frozen=True)
class Run:
    """What is run, and for how long."""

    order: Order
    emulator: Emulator
    output: Path
    seconds: float
    # The run ends when a line of the console has this.
    done: re.Pattern[str] | None = None
    # An ELF file with the hypervisor's functions.
    symbols: Path | None = None


@dataclass
class End:
    """How it ended; BAD is why that is no good end."""

    text: str
    bad: str = ""
    seconds: float = 0.0


def run_image(run: Run) -> int:
    """Boot it and print what was found. 0: guests ran, and used nothing stale; 1: a guest used
    stale translations; 2: nothing is proven."""
    kind = boot_file.check(run.order)
    medium, how = run.order.file, DISK if kind is Kind.DISK else CDROM
    if kind in (Kind.LINUX, Kind.MULTIBOOT):
        medium = run.output / "machine.iso"
        boot_file.pack(run.order, kind, medium)
    machine = BochsMachine(run.emulator, medium, how)
    serial = run.output / KERNEL_LOG
    serial.unlink(missing_ok=True)
    tail = Tail(serial)
    start = time.monotonic()
    with machine.start(run.output, False) as process:
        end = _watch(run, process, tail, start)
        process.finish()
    (run.output / "machine.iso").unlink(missing_ok=True)
    if not end.text:
        why = machine.why_it_ended(run.output) or "it gave no reason"
        end.text = f"the machine ended by itself: {why}"
        if _POWER_OFF not in why:
            end.bad = end.text
        elif run.done:
            end.bad = "the machine was switched off before a line had DONE"
    end.seconds = time.monotonic() - start
    result = judge(run, end)
    text = render(run, kind, end, result)
    report = {"image": str(run.order.file.name), "end": end.text, "result": asdict(result)}
    path = run.output / "results.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(text, flush=True)
    print(f"the console: {serial}, as JSON: {path}", flush=True)
    return _status(result)


def _watch(run: Run, process: Process, tail: Tail, start: float) -> End:
    """Until the end; without a text if the machine ends by itself."""
    panic, stop_at = "", float("inf")
    while True:
        ended = process.ended()
        for line in tail.lines(ended):
            print(line, file=sys.stderr, flush=True)
            if run.done and run.done.search(line):
                return End(f"DONE: {line.strip()}")
            if not panic and _is_panic(line):
                panic, stop_at = line.strip(), time.monotonic() + _LAST_WORDS
        if ended:
            return End("")
        now = time.monotonic()
        if now > stop_at:
            return End(f"the console shows {panic!r}", f"the console shows {panic!r}")
        if now - start > run.seconds:
            return _late(run)
        time.sleep(_POLL)


def _late(run: Run) -> End:
    """TIME is over: a good end, if the console is heard and DONE is not waited for."""
    end = End(f"TIME: {run.seconds:.0f} s are over")
    # A screen that is drawn has no whole lines.
    serial = run.output / KERNEL_LOG
    if not serial.exists() or not serial.stat().st_size:
        end.bad = _NO_OUTPUT
    elif run.done:
        end.bad = f"no line had DONE in {run.seconds:.0f} s"
    return end


def _is_panic(line: str) -> bool:
    fault = find_fault(line)
    return bool(fault and fault.fatal) or bool(_XEN_PANIC.search(line))


def judge(run: Run, end: End) -> Result:
    """What the emulator has counted and the oracle found."""
    regions = witness.read_regions(run.output / "witness.jsonl")
    own = witness.by_step(regions, []).get(witness.OUTSIDE, {"": Counter()})
    found = reports.by_step(witness.read_lines(run.output / "reports.jsonl"), [])
    everything: list[Report] = found.get(witness.OUTSIDE, [])
    nothing = run.output / "nothing"
    explain_all(everything, CodeNames(run.symbols or nothing, {}, None))
    result = Result("tlbsan", run.order.file.name, Status.PASSED, seconds=end.seconds)
    result.witness = {name: dict(counters) for name, counters in own.items()}
    result.stale = reports.findings(STALE, own, everything)
    result.guestowned = reports.findings(GUEST_OWNED, own, everything)
    result.reports = [asdict(report) for report in everything]
    if end.bad:
        result.reasons.append(end.bad)
    if not witness.has_ended(regions):
        result.reasons.append("the emulator was killed before it wrote what it had counted")
    elif wrong := witness.complaints(regions):
        result.reasons.append(f"what the emulator counted is not whole: {wrong[0]}")
    elif not entries(result):
        result.reasons.append("no guest was entered: no hypervisor has run one with VMX")
    if result.reasons or result.stale:
        result.status = Status.FAILED
    return result


def entries(result: Result) -> int:
    """How often a guest was entered."""
    return _counted(result, "vmentry.L1") + _counted(result, "vmentry.L2")


def _counted(result: Result, counter: str) -> int:
    return result.witness.get("", {}).get(counter, 0)


def render(run: Run, kind: Kind, end: End, result: Result) -> str:
    """The report for people."""
    order, emulator = run.order, run.emulator
    under = f", the first domain of {order.xen.name}" if order.xen else ""
    invvpid = _types(result, "invvpid", ("addr", "single", "all", "nonglobal"))
    invept = _types(result, "invept", ("single", "all"))
    lines = [
        "",
        f"image     {order.file.name}: {kind}{under}",
        f"machine   CPUs {emulator.cpus}, {emulator.megabytes} MB, seed {emulator.seed}",
        f"ended     after {end.seconds:.0f} s: {end.text}",
        f"entries   L1 {_counted(result, 'vmentry.L1')}, L2 {_counted(result, 'vmentry.L2')},"
        f" refused {_counted(result, 'vmentry.failed')}",
        f"INVVPID   {invvpid}",
        f"INVEPT    {invept}",
    ]
    for kind_of_report, found in ((STALE, result.stale), (GUEST_OWNED, result.guestowned)):
        lines.append(
            f"oracle    {describe(kind_of_report, found) if found else f'0 {kind_of_report}'}"
        )
    lines += [f"    {line}" for line in stale_text(result)]
    lines += [f"all reports: {run.output}/reports.jsonl", "", _verdict(result)]
    return "\n".join(lines)


def _types(result: Result, instruction: str, types: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {_counted(result, f'{instruction}.{name}')}" for name in types)


def _verdict(result: Result) -> str:
    if result.stale:
        return f"STALE: {sum(result.stale.values())} uses of translations that had to be flushed"
    if result.reasons:
        return f"NOTHING IS PROVEN: {'; '.join(result.reasons)}"
    return f"CLEAN: {entries(result)} entries of guests, none of which used anything stale"


def _status(result: Result) -> int:
    if result.stale:
        return 1
    return 2 if result.reasons else 0
