# SPDX-License-Identifier: GPL-2.0
"""`run.py test`: the upstream and own tests with the module absent, loaded and gone again."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import hooks
import results
import verdict
from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from plan import Group, Plan
from results import Result, Status
from session import console_tail
from testlist import Entry, TestList, read_test_list

UPSTREAM_LIST = Path(__file__).resolve().parent / "upstream-tests.list"
OWN_LIST = Path(__file__).resolve().parents[2] / "selftests" / "tests.list"
_GROUPS = [
    ("absent", "the module was never loaded", "absent"),
    ("loaded", "the module is loaded", "loaded"),
    ("after", "the module was removed again", "absent"),
]


def run_suite(parts: Parts, upstream: bool, own: bool, only: str | None) -> int:
    """Run the tests, write the results; 0 if all is well."""
    lists = []
    if upstream:
        lists.append(read_test_list(UPSTREAM_LIST, takeover=True))
    if own:
        lists.append(read_test_list(OWN_LIST, takeover=False))
    entries = _choose(lists, only)
    boots = make_boots(parts, entries)
    finished = run_boots(boots)
    return _report(parts.output, finished, complete=only is None)


def _choose(lists: list[TestList], only: str | None) -> list[Entry]:
    entries = {name: entry for each in lists for name, entry in each.entries.items()}
    if only is None:
        return list(entries.values())
    if only in entries:
        return [entries[only]]
    for each in lists:
        if only in each.omitted:
            raise MachineError(f"{only} is left out: {each.omitted[only]}")
    raise MachineError(f"no test {only} in the lists; there are: {' '.join(sorted(entries))}")


def make_boots(parts: Parts, entries: list[Entry]) -> list[Boot]:
    """Share the tests among as many machines as there are processors, each of which
    takes all its tests through all groups."""
    shares: list[list[Entry]] = [[] for _ in range(min(len(entries), os.cpu_count() or 1))]
    # The longest first, each to the machine with the least to do.
    for entry in sorted(entries, key=lambda entry: -entry.step.limit):
        min(shares, key=_cost).append(entry)
    groups = _GROUPS if parts.module else _GROUPS[:1]
    boots = []
    for number, share in enumerate(shares, start=1):
        share.sort(key=entries.index)
        plan = Plan(
            tuple(
                Group(name, title, state, tuple(e.step for e in share if e.runs_in(name)))
                for name, title, state in groups
            ),
            probes=tuple(hooks.C_FUNCTION.values()) if parts.module else (),
        )
        programs = tuple(entry.step.name for entry in share)
        boots.append(Boot(f"machine-{number}", plan, programs, parts))
    return boots


def _cost(share: list[Entry]) -> int:
    return sum(entry.step.limit for entry in share)


def _report(output: Path, finished: list[Finished], complete: bool) -> int:
    everything: list[Result] = []
    for each in finished:
        own = verdict.judge(each.boot.plan, each.outcome.console, each.witness)
        for result in own:
            if result.group == verdict.MACHINE or result.name in ("insmod", "rmmod"):
                result.name = f"{each.boot.name}: {result.name}"
        everything += own
    groups = [(group.name, group.title) for group in finished[0].boot.plan.groups]
    if len(groups) > 1:
        everything += hooks.judge_takeover(
            [(each.boot.plan, each.outcome.console) for each in finished], complete
        )
        groups.append((hooks.GROUP, hooks.TITLE))
    groups.append((verdict.MACHINE, "the machines themselves"))
    with open(output / "results.ktap", "w", encoding="utf-8") as file:
        results.write_ktap(groups, everything, file)
    results.write_ktap(groups, everything, sys.stdout)
    _write_json(output / "results.json", finished, everything)
    failed = any(result.status is Status.FAILED for result in everything)
    if failed:
        _show_tails(finished)
    peak = max(each.outcome.peak_kib for each in finished) // 1024
    print(f"# results: {output}/results.json; peak memory of an emulator: {peak} MiB")
    print(results.summary(everything), flush=True)
    return 1 if failed else 0


def _write_json(path: Path, finished: list[Finished], everything: list[Result]) -> None:
    report = {
        "summary": results.summary(everything),
        "machines": [
            {
                "name": each.boot.name,
                "kernel": each.outcome.console.kernel,
                "seconds": round(each.outcome.seconds, 1),
                "boot_seconds": round(each.outcome.boot_seconds, 1),
                "peak_kib": each.outcome.peak_kib,
                "logs": str(each.outcome.directory),
            }
            for each in finished
        ],
        "results": [asdict(result) for result in everything],
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _show_tails(finished: list[Finished]) -> None:
    """The console's end of each machine that something went wrong in."""
    for each in finished:
        judged = verdict.judge(each.boot.plan, each.outcome.console, each.witness)
        if all(result.status is not Status.FAILED for result in judged):
            continue
        print(f"--- {each.boot.name}: the console's last lines", file=sys.stderr)
        print("\n".join(console_tail(each.outcome.directory)), file=sys.stderr)
        print(f"--- all of it: {each.outcome.directory}/console.log", file=sys.stderr)
