# SPDX-License-Identifier: GPL-2.0
"""Where there is no VMX: KVM and the module refuse to load, and each test skips with a reason.

It takes a machine without VMX to see that: one that virtme-ng boots, on a CPU that QEMU emulates.
"""

from __future__ import annotations

from boots import Boot, Parts
from plan import MODULE, Group, Plan, Step
from results import Result, Status, any_failed
from testlist import Entry
from verdict import MACHINE

# kselftest's exit code for "skipped".
SKIP = 4
REFUSAL, TESTS = "refusal", "skips"
_TITLES = {
    REFUSAL: "without VMX, KVM and the module refuse to load",
    TESTS: "without VMX, each test skips",
}
# What they say, in a line of the kernel log.
_NO_VMX = {"kvm-intel": "VMX not supported", MODULE: "no VMX"}
# In `run.py test` all of it is one group.
GROUP = ("vng", "virtme-ng boots the kernel on a CPU without VMX")


def make_boot(parts: Parts, entries: list[Entry]) -> Boot:
    """One machine: KVM and the module are refused, then each command of ENTRIES is run once."""
    refused = tuple(
        Step(name.replace("-", "_"), ("refused", name, text)) for name, text in _NO_VMX.items()
    )
    steps: dict[tuple[str, ...], Step] = {}
    for entry in entries:
        # Without directories and blanks: the guest reports in words.
        name = ",".join(word.rpartition("/")[2] for word in entry.step.command)
        steps.setdefault(entry.step.command, Step(name, entry.step.command, may_skip=True))
    plan = Plan(
        (
            Group(REFUSAL, _TITLES[REFUSAL], "absent", refused),
            Group(TESTS, _TITLES[TESTS], "absent", tuple(steps.values())),
        ),
        kernel_modules=("irqbypass", "kvm"),
        heartbeat=False,
    )
    return Boot("no-vmx", plan, tuple(dict.fromkeys(entry.program for entry in entries)), parts)


def expect_skips(everything: list[Result]) -> None:
    """A test that passes without VMX has tested nothing; one that skips must say why."""
    for result in everything:
        if result.group != TESTS:
            continue
        if result.status is Status.PASSED:
            result.status = Status.FAILED
            result.reasons = ["passed, where there is no VMX: it must skip (exit code 4)"]
        elif result.status is Status.SKIPPED and not "".join(result.reasons).strip():
            result.status = Status.FAILED
            result.reasons = ["skipped without a reason"]


def exit_code(everything: list[Result], accelerated: bool) -> int:
    """kselftest's, of all together."""
    if any_failed(everything):
        return 1
    return 0 if accelerated else SKIP


def left_out(missing: list[str]) -> Result:
    """The line of `run.py test` for a kernel that virtme-ng cannot boot."""
    name, _ = GROUP
    why = f"virtme-ng cannot boot this kernel, which lacks {' '.join(missing)}"
    return Result(name, "a CPU without VMX", Status.SKIPPED, [why])


def summarize(everything: list[Result]) -> list[Result]:
    """The lines of `run.py test` for this machine, where a skip is what must come."""
    expect_skips(everything)
    name, _ = GROUP
    lines = []
    for result in everything:
        if result.group in (REFUSAL, MACHINE):
            lines.append(Result(name, result.name, result.status, result.reasons))
            lines[-1].output = result.output
    lines[0].name, lines[1].name = (f"{line.name} refuses" for line in lines[:2])
    tests = [result for result in everything if result.group == TESTS]
    failed = [result for result in tests if result.status is not Status.SKIPPED]
    lines.insert(
        2,
        Result(
            name,
            f"each of {len(tests)} tests skips with a reason",
            Status.FAILED if failed or not tests else Status.PASSED,
            [f"{result.name}: {'; '.join(result.reasons)}" for result in failed],
        ),
    )
    code = exit_code(everything, accelerated=False)
    lines.append(
        Result(
            name,
            f"the exit code is {SKIP}",
            Status.PASSED if code == SKIP else Status.FAILED,
            [] if code == SKIP else [f"it is {code}"],
        )
    )
    return lines
