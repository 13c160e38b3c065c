#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows what rust_kvm_nvmx flushes on this host, by vCPU and cause, while guests run.

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
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
SYSTEM = "rust_kvm_nvmx"
# The histograms: event, and the fields that are told apart; the kernel takes three.
HISTOGRAMS = {
    "nvmx_flush": ("vcpu_id", "cause", "executed"),
    "nvmx_transition": ("vcpu_id", "vpid12", "why"),
    "nvmx_hv_flush": ("vcpu_id", "l2", "status"),
    "nvmx_hv_drain": ("vcpu_id", "l2", "outcome"),
}
# Of nested VM entries alone.
_FILTERS = {"nvmx_transition": " if step == 0"}
_LINE = re.compile(r"^\{ (?P<keys>.*?) \} hitcount: +(?P<hits>\d+)$")
_CAUSE = ["all", "current", "address", "guest", "reset", "steal time"]
_EXECUTED = ["nothing", "INVVPID address", "INVVPID single", "INVVPID all", "INVEPT single"]
_EXECUTED += ["INVEPT all"]
_OTHER_VPID12 = 4

Key = tuple[int, ...]


class TopError(Exception):
    """What the user can mend, in one line."""


def parse(text: str, fields: tuple[str, ...]) -> Counter[Key]:
    """The counts in a `hist` file, by the values of FIELDS."""
    counts: Counter[Key] = Counter()
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if not match:
            continue
        pairs = (pair.split(":", 1) for pair in match["keys"].split(","))
        values = {name.strip(): int(value.strip(), 0) for name, value in pairs}
        counts[tuple(values[field] for field in fields)] = int(match["hits"])
    return counts


def trigger(event: str) -> str:
    """The trigger that makes the event's histogram."""
    return f"hist:keys={','.join(HISTOGRAMS[event])}:size=4096{_FILTERS.get(event, '')}"


@contextmanager
def histograms(tracing: Path) -> Iterator[dict[str, Path]]:
    """Turns the histograms on, and off at the end. Gives their files."""
    events = tracing / "events" / SYSTEM
    if not events.is_dir():
        raise TopError(f"{events} does not exist: load rust_kvm_nvmx, and run this as root")
    made: list[tuple[Path, str]] = []
    try:
        for event in HISTOGRAMS:
            path = events / event / "trigger"
            try:
                path.write_text(trigger(event), encoding="ascii")
            except OSError as error:
                raise TopError(
                    f"{path}: {error.strerror}: the kernel needs CONFIG_HIST_TRIGGERS"
                ) from error
            made.append((path, "!" + trigger(event)))
        yield {event: events / event / "hist" for event in HISTOGRAMS}
    finally:
        for path, off in made:
            try:
                path.write_text(off, encoding="ascii")
            except OSError:
                # The module was unloaded, and its triggers with it.
                pass


def read(files: dict[str, Path]) -> dict[str, Counter[Key]]:
    """All histograms."""
    try:
        return {
            event: parse(path.read_text(encoding="ascii"), HISTOGRAMS[event])
            for event, path in files.items()
        }
    except FileNotFoundError as error:
        raise TopError("rust_kvm_nvmx was unloaded") from error


def vcpus(counts: dict[str, Counter[Key]]) -> dict[int, dict]:
    """What each vCPU number did (VMs are not told apart)."""
    found: dict[int, dict] = {}

    def of(vcpu: int) -> dict:
        empty = {"vpid12s": set(), "entries": 0, "switches": 0, "flushes": Counter()}
        return found.setdefault(vcpu, empty | {"executed": Counter(), "calls": 0})

    for (vcpu, vpid12, why), hits in counts["nvmx_transition"].items():
        own = of(vcpu)
        own["vpid12s"].add(vpid12)
        own["entries"] += hits
        own["switches"] += hits if why == _OTHER_VPID12 else 0
    for (vcpu, cause, executed), hits in counts["nvmx_flush"].items():
        of(vcpu)["flushes"][_name(_CAUSE, cause)] += hits
        of(vcpu)["executed"][_name(_EXECUTED, executed)] += hits
    for (vcpu, _, _), hits in counts["nvmx_hv_flush"].items():
        of(vcpu)["calls"] += hits
    return dict(sorted(found.items()))


def _name(names: list[str], number: int) -> str:
    return names[number] if number < len(names) else f"number {number}"


def report(counts: dict[str, Counter[Key]]) -> str:
    """The same as JSON, to be sent to someone."""
    return json.dumps(
        {
            number: own | {"vpid12s": sorted(own["vpid12s"])}
            for number, own in vcpus(counts).items()
        },
        indent=1,
    )


def table(now: dict[str, Counter[Key]], before: dict[str, Counter[Key]], seconds: float):
    """The screen."""
    from rich import box
    from rich.table import Table

    title = "TLB flushes of nested VMX by rust_kvm_nvmx: a second (in all)"
    shown = Table(title=title, box=box.SIMPLE)
    for column in ("vCPU", "vpid12s", "entries", "other", *_CAUSE[:4], "INVVPID", "INVEPT"):
        shown.add_column(column, justify="right")
    shown.add_column("calls", justify="right")
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
            str(len(own["vpid12s"] - {0})),
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
