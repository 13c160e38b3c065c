# SPDX-License-Identifier: GPL-2.0
"""From what the machine said about the steps to results."""

from __future__ import annotations

from dataclasses import asdict

import expected
import ktap
import reports
from console import Console, StepRecord
from faults import without_warning
from plan import CHECKED, Group, Plan, Step
from reports import Report, StepReports
from results import Result, Status, describe
from witness import NEVER_MARKED, OUTSIDE, Regions, expectations

_SKIP = 4
# The exit code of TEST_ASSERT().
_FAIL = 254
_KILLED = 128 + 9
# A program that ends so has something to say.
_SAID = (1, _FAIL)
# What kselftest's library puts before the reason.
_SKIP_MARK = "1..0 # SKIP - "
MACHINE = "machine"
NEVER_RAN = "planned, but never ran"
_UNSEEN = (
    "it shows a KVM bug, and passed in C: here nothing counts flushes or finds uses of stale"
    " translations"
)


def judge(
    plan: Plan,
    console: Console,
    witness: dict[str, Regions] | None,
    found: StepReports | None = None,
    leave_out: bool = False,
) -> list[Result]:
    """A result for every planned step and one for the machine. WITNESS is None without one;
    then a test that expects something of it is skipped, or with LEAVE_OUT judged by the rest.
    FOUND are the oracle's reports by step."""
    results = [
        _judge_step(group, step, console, witness, leave_out) for group, step in _steps(plan)
    ]
    machine = _judge_machine(console)
    for result in (*results, machine):
        step = OUTSIDE if result is machine else f"{result.group}/{result.name}"
        _judge_findings(result, (witness or {}).get(step, {}), (found or {}).get(step, []))
    _judge_skips(results, console)
    for result, (group, step) in zip(results, _steps(plan), strict=True):
        if step.fails_in_c and group.module == "absent":
            if leave_out and result.status is Status.PASSED:
                result.status = Status.SKIPPED
                result.reasons = [_UNSEEN]
            _turn_around(result, _to_see(step, witness, leave_out))
        elif step.may_fail_in_c and group.module == "absent":
            _excuse(result, step)
    return [*results, machine]


def _steps(plan: Plan) -> list[tuple[Group, Step]]:
    return [(group, step) for group in plan.groups for step in plan.all_steps(group)]


def _judge_step(
    group: Group,
    step: Step,
    console: Console,
    witness: dict[str, Regions] | None,
    leave_out: bool,
) -> Result:
    full_name = f"{group.name}/{step.name}"
    record = console.steps.get(full_name)
    if record is None:
        return Result(group.name, step.name, Status.FAILED, [NEVER_RAN], [NEVER_RAN])
    regions = (witness or {}).get(full_name, {})
    reasons = _failures(group, step, record)
    skipped = record.status == _SKIP and not reasons
    wanted, malformed = expectations(record.output)
    reasons += [f"expectations of the witness: {line}" for line in malformed]
    named = {f"exit code {status}": expected.said(record.output) for status in _SAID}
    if witness is not None and not skipped:
        # Several expectations of a region that was never marked are one failure.
        failed = {item.failure(regions): expected.count(item) for item in wanted}
        failed.pop("", None)
        reasons += failed
        named |= {why: name for why, name in failed.items() if NEVER_MARKED not in why}
    failures = [named.get(reason, reason) for reason in reasons]
    status = Status.FAILED if reasons else Status.PASSED
    if skipped and not reasons:
        status = Status.SKIPPED
        reasons = [line.removeprefix(_SKIP_MARK) for line in record.output[-1:]]
    elif witness is None and wanted and not reasons and not leave_out:
        status = Status.SKIPPED
        reasons = [f"{len(wanted)} expectations need the witness, which is off"]
    return Result(
        group.name,
        step.name,
        status,
        reasons,
        failures,
        record.seconds,
        record.output,
        record.counters,
        record.probes,
        {name: dict(counters) for name, counters in regions.items()},
        left_out=[str(item) for item in wanted] if leave_out and not skipped else [],
    )


def _judge_findings(result: Result, regions: Regions, found: list[Report]) -> None:
    """A stale translation fails the step it was used in; one that a guest owes is a note."""
    result.stale = reports.findings(reports.STALE, regions, found)
    result.guestowned = reports.findings(reports.GUEST_OWNED, regions, found)
    result.reports = [asdict(report) for report in found]
    if result.stale:
        if result.status is Status.SKIPPED:
            result.reasons.clear()
        result.status = Status.FAILED
        result.reasons.append(f"tlbsan: {describe(reports.STALE, result.stale)}")
        result.failures += expected.stale(result.stale, found)


def _judge_skips(results: list[Result], console: Console) -> None:
    """What a test needs of the machine is there in all groups, or in none."""

    def record(result: Result) -> StepRecord | None:
        return console.steps.get(f"{result.group}/{result.name}")

    ran = {
        result.name: result.group
        for result in results
        if (own := record(result)) and own.status not in (None, _SKIP)
    }
    for result in results:
        own = record(result)
        if own and own.status == _SKIP and result.name in ran:
            why = [*own.output[-1:], "it gave no reason"][0]
            reason = f"skipped, but not so in group {ran[result.name]}: {why}"
            result.status = Status.FAILED
            result.reasons = [reason]
            result.failures = [reason]


def _to_see(
    step: Step, witness: dict[str, Regions] | None, leave_out: bool
) -> tuple[tuple[str, ...], bool]:
    """What of STEP's listed failures shows here, and whether it may say anything in their place:
    a real CPU may read through a stale translation, which is seen in what the test reads."""
    if witness is not None:
        return step.fails_in_c, False
    seen = tuple(name for name in step.fails_in_c if name.startswith(expected.SAYS))
    return seen, leave_out and any(name.startswith(reports.STALE) for name in step.fails_in_c)


def _turn_around(result: Result, to_see: tuple[tuple[str, ...], bool]) -> None:
    """It is listed to fail here, and how: that is a pass, and anything else is a failure."""
    listed, may_say = to_see
    if result.status is Status.PASSED:
        result.status = Status.FAILED
        result.reasons.append("it is listed to fail in C (a KVM bug), and passed")
    if result.status is not Status.FAILED or not result.failures:
        return
    wrong = [
        f"not listed: {name}"
        for name in expected.unlisted(listed, result.failures)
        if not (may_say and name.startswith(expected.SAYS))
    ]
    wrong += [f"listed, but did not happen: {n}" for n in expected.missing(listed, result.failures)]
    if wrong:
        result.reasons += wrong
        return
    _passes(result)


def _excuse(result: Result, step: Step) -> None:
    """It is listed as one that may fail here, and how: a failure is a pass, too."""
    if result.failures and not expected.unlisted(step.may_fail_in_c, result.failures):
        _passes(result)
        result.proof.append(step.excuse)


def _passes(result: Result) -> None:
    """It failed as it is listed to."""
    result.status = Status.PASSED
    result.proof, result.reasons = result.reasons, []
    result.proof += [f"it {name}" for name in result.failures if name.startswith(expected.SAYS)]


def _failures(group: Group, step: Step, record: StepRecord) -> list[str]:
    faults = without_warning(record.faults, step.may_warn)
    reasons = [f"{fault.kind}: {fault.line}" for fault in faults]
    if step.provokes:
        found = step.provokes in (fault.kind for fault in record.faults)
        reasons = [] if found else [f"no report of {step.provokes} was found", *reasons]
    if group.name == CHECKED and step in group.steps and "check.different" not in record.counters:
        reasons.append("the module has not said how often C and Rust decided differently")
    if different := record.counters.get("check.different", 0):
        reasons.append(f"C and Rust decided differently {different} times (see the kernel log)")
    if record.wrong_state:
        reasons.append(f"the module was {record.wrong_state} when it started")
    if record.status is None:
        reasons.append("began, but never reported its end")
    elif record.status == _KILLED and record.seconds >= step.limit:
        reasons.append(f"killed at its limit of {step.limit} s of the machine's time")
    elif record.status == _SKIP and not step.may_skip:
        reasons.append(f"skipped, but must run here: {' '.join(record.output[-1:])}")
    elif record.status not in (0, _SKIP):
        reasons.append(f"exit code {record.status}")
    elif record.status == 0:
        reasons += ktap.complaints(record.output)
    return reasons


def _judge_machine(console: Console) -> Result:
    reasons = [f"{fault.kind}: {fault.line}" for fault in console.faults]
    if not console.done:
        reasons.append("the plan did not reach its end")
    status = Status.FAILED if reasons else Status.PASSED
    return Result(MACHINE, "no fault outside of the tests", status, reasons)
