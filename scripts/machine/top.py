#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows what rust_kvm_nvmx flushes on this host, by vCPU and cause, and how many L2s each vCPU
runs by their ids, while guests run.

The kernel counts, with histograms of the module's tracepoints (CONFIG_HIST_TRIGGERS): nothing is
copied for each flush. Run as root, on the host; Ctrl-C ends it. End it before the module is
unloaded: the kernel warns if a module goes whose tracepoints have histograms."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
SYSTEM = "rust_kvm_nvmx"
_LINE = re.compile(r"^\{ (?P<keys>.*?) \} hitcount: +(?P<hits>\d+)$")
_CAUSE = ["all", "current", "address", "guest", "reset", "steal time"]
_EXECUTED = ["nothing", "INVVPID address", "INVVPID single", "INVVPID all", "INVEPT single"]
_EXECUTED += ["INVEPT all"]
# Reasons of an entry with another vpid12 than before: its VPID was parked, or vpid02 was flushed.
_OTHER_VPID12 = (1, 4)
_DROPPED = re.compile(r"^ *Dropped: (\d+)$", re.MULTILINE)

Key = tuple[int, ...]


@dataclass(frozen=True)
class Histogram:
    """Counts of an event by the values of some fields, of which the kernel takes three."""

    event: str
    fields: tuple[str, ...]
    condition: str = ""

    def trigger(self) -> str:
        """What makes it."""
        condition = f" if {self.condition}" if self.condition else ""
        return f"hist:keys={','.join(self.fields)}:size=4096{condition}"


FLUSHES = Histogram("nvmx_flush", ("vcpu_id", "cause", "executed"))
_ENTRIES = "step == 0"
_NOT_EXITS = "step != 1"
VPID12S = Histogram("nvmx_transition", ("vcpu_id", "vpid12", "why"), _ENTRIES)
# L2 may switch to another EPT by itself.
EPTP12S = Histogram("nvmx_transition", ("vcpu_id", "eptp12"), _NOT_EXITS)
HYPERV_L2S = Histogram("nvmx_transition", ("vcpu_id", "vm_id", "vp_id"), _ENTRIES)
CALLS = Histogram("nvmx_hv_flush", ("vcpu_id", "l2", "status"))
HISTOGRAMS = (FLUSHES, VPID12S, EPTP12S, HYPERV_L2S, CALLS)


class TopError(Exception):
    """What the user can mend, in one line."""


@dataclass(frozen=True)
class Counts:
    """What has been counted so far."""

    of: dict[Histogram, Counter[Key]]
    # Events that a histogram had no room for.
    dropped: int = 0


def parse(text: str, fields: tuple[str, ...]) -> Counter[Key]:
    """The counts by the values of FIELDS in a `hist` file, which has all histograms of an event."""
    counts: Counter[Key] = Counter()
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if not match:
            continue
        pairs = (pair.split(":", 1) for pair in match["keys"].split(","))
        values = {name.strip(): int(value.strip(), 0) for name, value in pairs}
        if tuple(values) == fields:
            counts[tuple(values.values())] = int(match["hits"])
    return counts


@contextmanager
def histograms(tracing: Path) -> Iterator[dict[str, Path]]:
    """Turns the histograms on, and off at the end. Gives their files, by event."""
    events = tracing / "events" / SYSTEM
    if not events.is_dir():
        raise TopError(f"{events} does not exist: load rust_kvm_nvmx, and run this as root")
    made: list[tuple[Path, str]] = []
    try:
        for histogram in HISTOGRAMS:
            path = events / histogram.event / "trigger"
            try:
                _add(path, histogram.trigger())
            except OSError as error:
                raise TopError(
                    f"{path}: {error.strerror}: the kernel needs CONFIG_HIST_TRIGGERS, and"
                    " this version of rust_kvm_nvmx"
                ) from error
            made.append((path, "!" + histogram.trigger()))
        yield {h.event: events / h.event / "hist" for h in HISTOGRAMS}
    finally:
        for path, off in made:
            try:
                _add(path, off)
            except OSError:
                # The module was unloaded, and its triggers with it.
                pass


def _add(trigger: Path, text: str) -> None:
    # A file that is opened to be overwritten loses the triggers that it has, other people's too.
    with trigger.open("a", encoding="ascii") as file:
        file.write(text)


def read(files: dict[str, Path]) -> Counts:
    """All histograms."""
    try:
        texts = {event: path.read_text(encoding="ascii") for event, path in files.items()}
    except FileNotFoundError as error:
        raise TopError("rust_kvm_nvmx was unloaded") from error
    return Counts(
        {h: parse(texts[h.event], h.fields) for h in HISTOGRAMS},
        sum(int(number) for text in texts.values() for number in _DROPPED.findall(text)),
    )


def vcpus(counts: Counts) -> dict[int, dict]:
    """What each vCPU number did (VMs are not told apart). 0 is no id."""
    found: dict[int, dict] = {}

    def of(vcpu: int) -> dict:
        empty = {"vpid12s": set(), "eptp12s": set(), "hyperv_l2s": set(), "entries": 0}
        empty |= {"switches": 0, "flushes": Counter(), "executed": Counter(), "calls": 0}
        return found.setdefault(vcpu, empty)

    for (vcpu, vpid12, why), hits in counts.of[VPID12S].items():
        own = of(vcpu)
        own["vpid12s"] |= {vpid12} - {0}
        own["entries"] += hits
        own["switches"] += hits if why in _OTHER_VPID12 else 0
    for vcpu, eptp12 in counts.of[EPTP12S]:
        of(vcpu)["eptp12s"] |= {eptp12} - {0}
    for vcpu, *ids in counts.of[HYPERV_L2S]:
        of(vcpu)["hyperv_l2s"] |= {tuple(ids)} - {(0, 0)}
    for (vcpu, cause, executed), hits in counts.of[FLUSHES].items():
        of(vcpu)["flushes"][_name(_CAUSE, cause)] += hits
        of(vcpu)["executed"][_name(_EXECUTED, executed)] += hits
    for (vcpu, _, _), hits in counts.of[CALLS].items():
        of(vcpu)["calls"] += hits
    return dict(sorted(found.items()))


def _name(names: list[str], number: int) -> str:
    return names[number] if number < len(names) else f"number {number}"


def report(counts: Counts) -> str:
    """The same as JSON, to be sent to someone: how many L2s there are, without their ids."""
    distinct = ("vpid12s", "eptp12s", "hyperv_l2s")
    by_vcpu = {
        number: own | {kind: len(own[kind]) for kind in distinct}
        for number, own in vcpus(counts).items()
    }
    return json.dumps({"vcpus": by_vcpu, "not_counted": counts.dropped}, indent=1)


def table(now: Counts, before: Counts, seconds: float):
    """The screen."""
    from rich import box
    from rich.table import Table

    title = "TLB flushes of nested VMX by rust_kvm_nvmx: a second (in all)"
    if now.dropped:
        title += f"\n{now.dropped} events were not counted, for want of room"
    shown = Table(title=title, box=box.SIMPLE)
    columns = ["vCPU", "vpid12s", "eptp12s", "VM, VP", "entries", "other", *_CAUSE[:4]]
    for column in (*columns, "INVVPID", "INVEPT", "calls"):
        shown.add_column(column, justify="right")
    old = vcpus(before)
    for number, own in vcpus(now).items():
        past = old.get(number, {"entries": 0, "switches": 0, "calls": 0})

        def rate(new: int, was: int) -> str:
            return f"{(new - was) / seconds:.0f} ({new})"

        def sums(kind: str, prefix: str, own: dict = own, past: dict = past) -> str:
            of = [
                sum(n for k, n in each.get(kind, {}).items() if k.startswith(prefix))
                for each in (own, past)
            ]
            return rate(*of)

        shown.add_row(
            str(number),
            *(str(len(own[kind])) for kind in ("vpid12s", "eptp12s", "hyperv_l2s")),
            rate(own["entries"], past["entries"]),
            rate(own["switches"], past["switches"]),
            *(sums("flushes", cause) for cause in _CAUSE[:4]),
            sums("executed", "INVVPID"),
            sums("executed", "INVEPT"),
            rate(own["calls"], past["calls"]),
        )
    return shown


def watch(files: dict[str, Path], interval: float) -> None:
    """Until Ctrl-C."""
    try:
        from rich.live import Live
    except ImportError as error:
        raise TopError("needs rich: apt install python3-rich") from error
    before, at = read(files), time.monotonic()
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(interval)
            now, then = read(files), time.monotonic()
            live.update(table(now, before, then - at), refresh=True)
            before, at = now, then


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument(
        "--report", type=float, metavar="SECONDS", help="count for so long and print JSON"
    )
    parser.add_argument("--tracing", type=Path, default=TRACING, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.interval <= 0 or (options.report is not None and options.report <= 0):
        parser.error("SECONDS must be more than 0")
    try:
        with histograms(options.tracing) as files:
            if options.report is None:
                watch(files, options.interval)
            else:
                time.sleep(options.report)
                print(report(read(files)))
    except TopError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
