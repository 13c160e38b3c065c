# SPDX-License-Identifier: GPL-2.0
"""The proof that Rust takes over the hooks: who handled each in which state of the module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from call_sites import Hook
from console import Console
from plan import Plan
from results import Result, Status

GROUP = "takeover"
TITLE = "Rust runs while the module is loaded, C before and after"


def judge_takeover(
    boots: list[tuple[Plan, Console]], hooks: list[Hook], complete: bool
) -> list[Result]:
    """One result for each of HOOKS, from the steps marked `takeover`. COMPLETE: all tests of the
    list ran, so a hook that nothing hit is a failure; one test alone need not hit all, and may need
    one less where Rust flushes less than C."""
    hits = {group: _hits(boots, group) for group in ("absent", "loaded", "after")}
    # Only some of the tests run again after the module was removed.
    before = _hits(boots, "absent", _names(boots, "after"))
    has_been_absent = any(group.name == "absent" for plan, _ in boots for group in plan.groups)
    results = []
    for hook in hooks:
        absent, loaded, after = (hook.in_c(each) for each in hits.values())
        rust = hook.in_rust(hits["loaded"])
        reasons = not_watched(hook, [console for _, console in boots])
        if not complete and not reasons and not absent + loaded + after + rust:
            continue
        if has_been_absent and not absent and not hook.empty_in_c:
            reasons.append("C never handled it before the module was loaded")
        if not rust and (complete or loaded):
            reasons.append("Rust's counter did not move while the module was loaded")
        if loaded:
            reasons.append(f"C handled it {loaded} times while the module was loaded")
        if hook.in_c(before) and not after:
            reasons.append("C never handled it after the module was removed")
        counters = {"c.absent": absent, "rust": rust, "c.loaded": loaded, "c.after": after}
        status = Status.FAILED if reasons else Status.PASSED
        results.append(Result(GROUP, hook.name, status, reasons, counters=counters))
    if not results:
        results.append(Result(GROUP, "any", Status.SKIPPED, ["this test hits no hook"]))
    return results


def not_watched(hook: Hook, consoles: list[Console]) -> list[str]:
    """Why C's side of HOOK is not counted, or not everywhere; nothing if it is."""
    if not hook.sites and not hook.empty_in_c:
        return ["KVM's modules have no call site of it"]
    missing = {event for console in consoles for event in console.missing_probes}
    return [
        f"{site.place}: C cannot be counted here: no kprobe was accepted"
        for site in hook.sites
        if site.event in missing
    ]


def _names(boots: list[tuple[Plan, Console]], group: str) -> set[str]:
    """The steps of GROUP."""
    groups = (planned for plan, _ in boots for planned in plan.groups)
    return {step.name for planned in groups if planned.name == group for step in planned.steps}


def _hits(
    boots: list[tuple[Plan, Console]], group: str, steps: Collection[str] | None = None
) -> Counter[str]:
    """What the module and the probes counted in GROUP, or in STEPS of it alone."""
    total: Counter[str] = Counter()
    for plan, console in boots:
        for planned in plan.groups:
            for step in planned.steps:
                record = console.steps.get(f"{planned.name}/{step.name}")
                if steps is not None and step.name not in steps:
                    continue
                if planned.name == group and step.takeover and record:
                    total.update(record.counters)
                    total.update(record.probes)
    return total
