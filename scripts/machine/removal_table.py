# SPDX-License-Identifier: GPL-2.0
"""From the runs with injected faults to what docs/removals.md has, and whether all is as listed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from injected import Run, more, publish
from markdown import wrap
from removal_list import Rule

_SIDES = {"c": "C", "rust": "Rust"}


def report(rules: list[Rule], runs: Sequence[Run], output: Path) -> int:
    """Print and write the list of what was seen; 0 if all is as rules.toml says."""
    wrong = _intact_failures(runs)
    lines = []
    for rule in rules:
        seen = {}
        for side, title in _SIDES.items():
            seen[title], mistake = _seen(rule, [run for run in runs if run.side == side])
            if mistake:
                wrong.append(f"{rule.name} ({title}): {mistake}")
        lines += entry(rule.name, rule.removes, seen)
    table = "\n".join(lines)
    publish(table, wrong, runs, output)
    print(_last_line(rules, runs, wrong), flush=True)
    return 1 if wrong else 0


def entry(name: str, removes: str, seen: dict[str, str]) -> list[str]:
    """The lines about one rule, in Markdown: what SEEN has for each side, once if it is the same,
    and nothing for a side that does not decide the rule."""
    seen = {title: text for title, text in seen.items() if text}
    if len(set(seen.values())) == 1:
        seen = {" and ".join(seen): next(iter(seen.values()))}
    return wrap(f"- **{name}**: {removes}", "  ") + [
        line for title, text in seen.items() for line in wrap(f"  - {title}: {text}", "    ")
    ]


def _last_line(rules: list[Rule], runs: Sequence[Run], wrong: list[str]) -> str:
    masked = sum(1 for rule in rules if rule.masked)
    values = sum(1 for rule in rules if rule.values and not rule.masked)
    unseen = sum(1 for rule in rules if rule.unseen)
    alone = len(rules) - masked - values - unseen
    return (
        f"{len(rules)} rules: {alone} listed as reported alone, {masked} as redundant, {values} as"
        f" wrong data, {unseen} as not visible; {len(runs)} runs; {len(wrong)} not as listed"
    )


def _intact_failures(runs: Sequence[Run]) -> list[str]:
    """Without a fault every program passes (or says why it can't run), unreported."""
    wrong = []
    for run in runs:
        if run.names:
            continue
        where = f"no fault, {_SIDES[run.side]}"
        for program, count in run.stale.items():
            if count:
                wrong.append(f"{where}: {program}: {count} stale reports")
            if run.ended[program] not in (0, 4):
                wrong.append(f"{where}: {program}: exit code {run.ended[program]}")
    return wrong


def _seen(rule: Rule, runs: list[Run]) -> tuple[str, str]:
    """What is said of RULE on one side ("" if it is not decided there), and what is wrong."""
    if not runs or not any(run.names == (rule.name,) for run in runs):
        return "", ""
    alone = _counts(runs, (rule.name,))
    broke = [run.broke for run in runs if run.names == (rule.name,) and run.broke]
    note = f"; the emulated machine stopped: {broke[0]}" if broke else ""
    if rule.unseen:
        if alone:
            return _listed(alone) + note, "is reported, but listed as not visible"
        return f"not visible: {rule.unseen}{note}", ""
    if rule.values and not rule.masked:
        failed = _failed(runs, (rule.name,))
        if alone:
            return _listed(alone) + note, "is reported, but listed as wrong data alone"
        if failed:
            return f"wrong data read by {', '.join(failed)}{note}", ""
        return "NOT SEEN" + note, "no program fails by the data that it reads"
    if not rule.masked:
        if alone:
            return _listed(alone) + note, ""
        return "NOT SEEN" + note, "no program reports it"
    if alone:
        return _listed(alone) + note, "is reported alone, but listed as redundant"
    names = " and ".join(rule.masked)
    if rule.values:
        return _seen_in_values(rule, runs, names)
    shown = more(_counts(runs, rule.masked), _counts(runs, rule.names()))
    if shown:
        return f"redundant with {names}; without these as well: {shown}", ""
    return f"NOT SEEN, nor without {names}", f"without {names} as well there are no more reports"


def _seen_in_values(rule: Rule, runs: list[Run], names: str) -> tuple[str, str]:
    """The same of a rule that is redundant with NAMES, and that no report is of."""
    if alone := _failed(runs, (rule.name,)):
        return f"wrong data read by {', '.join(alone)}", "is seen alone, but listed as redundant"
    without = set(_failed(runs, rule.masked))
    if shown := [name for name in _failed(runs, rule.names()) if name not in without]:
        text = f"redundant with {names}; without these as well: wrong data read by"
        return f"{text} {', '.join(shown)}", ""
    return f"NOT SEEN, nor without {names}", f"without {names} as well no more programs fail"


def _failed(runs: list[Run], names: tuple[str, ...]) -> list[str]:
    """The programs that ended in failure with just these disabled."""
    return [
        program
        for run in runs
        if run.names == names
        for program, status in run.ended.items()
        if status not in (0, 4, None)
    ]


def _counts(runs: list[Run], names: tuple[str, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for run in runs:
        if run.names == names:
            for program, count in run.stale.items():
                if count:
                    counts[program] = counts.get(program, 0) + count
    return counts


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{program} {count}" for program, count in counts.items())
