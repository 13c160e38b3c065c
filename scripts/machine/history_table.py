# SPDX-License-Identifier: GPL-2.0
"""From the runs with fixes undone to what docs/history.md has, and whether all is as listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench import FLUSHES, flushes_in
from history_list import Ends, Fix, Gone
from injected import Run, more, publish
from markdown import wrap
from results import Result, Status

# Rounds of a program differ a little from run to run.
_CLEARLY_MORE = 1.1


def report(fixes: Sequence[Fix], gone: Sequence[Gone], runs: Sequence[Run], output: Path) -> int:
    """Print and write the list of what was seen; 0 if all is as fixes.toml says."""
    wrong = _intact_failures(runs)
    rows, entries = [], []
    for fix in fixes:
        outcome, seen, mistake = judge(fix, runs)
        if mistake:
            wrong.append(f"{fix.name}: {mistake}")
        rows.append(f"| {fix.name} | {fix.year} | {_short(fix.commit)} | {outcome} |")
        entries += wrap(f"- **{fix.name}**: {fix.wrong}", "  ") + wrap(f"  - {seen}", "    ")
    for each in gone:
        rows.append(f"| - | {each.year} | {each.commit} | not undone |")
        entries += wrap(f"- **{each.commit}**: {each.wrong}", "  ")
        entries += wrap(f"  - not undone: {each.why}", "    ")
    head = ["| undone | year | commit | ends in |", "|---|---|---|---|"]
    table = "\n".join([*head, *rows, "", *entries])
    publish(table, wrong, runs, output)
    print(_last_line(fixes, gone, runs, wrong), flush=True)
    return 1 if wrong else 0


def _short(commit: str) -> str:
    """A message id without its host: it is in the link below the table."""
    return commit.split("-sean")[0]


def _last_line(
    fixes: Sequence[Fix], gone: Sequence[Gone], runs: Sequence[Run], wrong: list[str]
) -> str:
    each = Counter(fix.ends for fix in fixes)
    words = {
        Ends.STALE: "stale",
        Ends.FAILS: "a failed test",
        Ends.WARNS: "a fault of the kernel",
        Ends.FLUSHES: "more flushes",
        Ends.NOTHING: "nothing",
    }
    listed = ", ".join(f"{each[ends]} as {text}" for ends, text in words.items() if each[ends])
    return (
        f"{len(fixes)} fixes undone: listed {listed}; {len(gone)} not undone;"
        f" {len(runs)} runs; {len(wrong)} not as listed"
    )


def _intact_failures(runs: Sequence[Run]) -> list[str]:
    """With nothing undone every program passes, or says why it can't run."""
    wrong = [
        f"nothing undone: {name}: {'; '.join(result.reasons)}"
        for run in runs
        if not run.names
        for name, result in run.results.items()
        if result.status is Status.FAILED
    ]
    # A skip proves nothing of a fix.
    return wrong + [
        f"nothing undone: {name} skipped: {'; '.join(result.reasons)}"
        for run in runs
        if not run.names
        for name, result in run.results.items()
        if result.status is Status.SKIPPED
    ]


def judge(fix: Fix, runs: Sequence[Run]) -> tuple[str, str, str]:
    """In a word how FIX ended, in a sentence, and what is wrong with that, if so."""
    alone = _seen(fix, fix.names()[:1], runs)
    if fix.ends is Ends.NOTHING:
        found = [kind for kind in (Ends.STALE, Ends.WARNS, Ends.FAILS) if alone[kind]]
        if found:
            return found[0], _said(found[0], alone), f"ends in {found[0]}, but listed as nothing"
        return "nothing", f"not visible: {fix.why}", ""
    if not fix.cover:
        return _as_listed(fix, alone)
    shown = [kind for kind in (Ends.STALE, Ends.WARNS, Ends.FAILS) if alone[kind]]
    if shown:
        return shown[0], _said(shown[0], alone), "shows alone, but listed as covered"
    covers, both = _seen(fix, fix.cover, runs), _seen(fix, fix.names(), runs)
    names = " and ".join(name.removeprefix("cover_") for name in fix.cover)
    listed = more(covers[Ends.STALE], both[Ends.STALE])
    if not listed:
        return "NOTHING", f"NOT SEEN, nor without {names}", "not seen, nor without its cover"
    return "stale, uncovered", f"covered by {names}; without as well: {listed} stale", ""


def _as_listed(fix: Fix, alone: dict[Ends, dict]) -> tuple[str, str, str]:
    """Of one that shows alone. What is listed must be there, and nothing that is worse."""
    order = [Ends.STALE, Ends.WARNS, Ends.FAILS, Ends.FLUSHES]
    kind = next((kind for kind in order if alone[kind]), None)
    if kind is None:
        return "NOTHING", "NOT SEEN", f"no run shows it, but listed as {fix.ends}"
    text = _said(kind, alone) + (f"; {fix.why}" if fix.why else "")
    if kind is not fix.ends:
        return kind, text, f"ends in {kind}, but listed as {fix.ends}"
    return kind, text, ""


def _said(kind: Ends, seen: dict[Ends, dict]) -> str:
    found = seen[kind]
    if kind is Ends.STALE:
        return "stale: " + ", ".join(f"{step} {count}" for step, count in found.items())
    if kind is Ends.FLUSHES:
        return "INVVPIDs and INVEPTs: " + ", ".join(
            f"{step} {before} -> {now}" for step, (before, now) in found.items()
        )
    word = "the kernel warns in" if kind is Ends.WARNS else "fails:"
    return f"{word} " + ", ".join(f"{step} (`{why}`)" for step, why in found.items())


def _seen(fix: Fix, names: tuple[str, ...], runs: Sequence[Run]) -> dict[Ends, dict]:
    """What the steps of FIX showed with NAMES undone, by kind."""
    seen: dict[Ends, dict] = {ends: {} for ends in Ends}
    for run in runs:
        if run.names != names:
            continue
        intact = next(r for r in runs if not r.names and r.parameters == run.parameters)
        for step in (step for step in fix.runs if step in run.results):
            result = run.results[step]
            if run.stale[step]:
                seen[Ends.STALE][step] = run.stale[step]
            elif run.faults.get(step):
                seen[Ends.WARNS][step] = run.faults[step]
            elif result.status is Status.FAILED:
                seen[Ends.FAILS][step] = _reason(result)
            else:
                before, now = _flushes(intact.results[step]), _flushes(result)
                if now > _CLEARLY_MORE * before:
                    seen[Ends.FLUSHES][step] = (before, now)
    return seen


def _reason(result: Result) -> str:
    """What the test itself said last before it failed, or else the runner."""
    said = [line.strip() for line in result.output if line.strip() and line.strip()[0] != "#"]
    witness = [reason for reason in result.reasons if reason.startswith("witness")]
    line = (witness or said[-1:] or result.reasons or ["?"])[0]
    # Of an assertion, the values.
    return line.split(" (")[0].replace("`", "'")


def _flushes(result: Result) -> int:
    counters = Counter(result.witness.get("", {}))
    return sum(flushes_in(counters, instruction) for instruction in FLUSHES)
