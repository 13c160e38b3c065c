# SPDX-License-Identifier: GPL-2.0
"""What one boot of the machine runs: groups of steps, and the script the guest reads."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from errors import MachineError

MODULE = "rust_kvm_nvmx"
# The step that loads a group's module.
INSMOD = "insmod"
# The group in which the module's tracepoints are on.
TRACED = "traced"
# The group in which C handles the hooks, and the module compares.
CHECKED = "checked"
# The module's parameters that leave every decision as in C.
STOCK = "vpid_slots=1 keep_roots=0 skip_needless=0"
# Those of a module that compares.
STOCK_IN_C = f"{STOCK} start_in_c=1"
_CHECK = f"for hook in /sys/kernel/debug/{MODULE}/hooks/*; do echo check >$hook || exit 1; done"
_TRACE = f"echo 1 >/sys/kernel/tracing/events/{MODULE}/enable"


@dataclass(frozen=True)
class Step:
    """One command in the machine. Its limit is in the machine's own seconds."""

    name: str
    command: tuple[str, ...]
    limit: int = 60
    # Counts as proof of who runs the hooks: not so a test that itself loads,
    # removes or switches the module.
    takeover: bool = False
    # Whether it may find that the machine lacks something; else a skip is a failure.
    may_skip: bool = False
    # What it must fail with where C handles the hooks, as it shows a bug of KVM (expected.py).
    fails_in_c: tuple[str, ...] = ()
    # What it may fail with there, and why: a bug of KVM that it hits by chance.
    may_fail_in_c: tuple[str, ...] = ()
    excuse: str = ""
    # The kind of fault that it provokes, which the kernel must report.
    provokes: str = ""
    # A function of Linux's that may warn, because of faults that the step injects.
    may_warn: str = ""


# The module's tracepoints are on from then on.
TRACING = Step("tracing", ("sh", "-c", _TRACE))
# C handles the hooks from then on, and the module compares.
CHECKING = Step("checking", ("sh", "-c", _CHECK))


@dataclass(frozen=True)
class Group:
    """Steps that run with the module in one state: "absent" or "loaded"."""

    name: str
    title: str
    module: str
    steps: tuple[Step, ...]
    # The name of the file that is loaded, without .ko.
    file: str = MODULE
    # The module's parameters.
    options: str = ""


@dataclass(frozen=True)
class Probe:
    """A kprobe event that counts how often a place in the kernel's code is executed."""

    event: str
    # [MODULE:]FUNCTION[+OFFSET]
    place: str


@dataclass(frozen=True)
class Plan:
    """All of one boot."""

    groups: tuple[Group, ...]
    probes: tuple[Probe, ...] = ()
    kvm_options: dict[str, str] = field(default_factory=dict)
    # The module's state when the machine starts: "loaded" if it is part of the kernel.
    at_boot: str = "absent"
    # The kernel's own that are loaded first.
    kernel_modules: tuple[str, ...] = ("irqbypass", "kvm", "kvm-intel")
    # A line a few seconds apart tells a busy machine from a dead one; it costs
    # instructions, so measurements go without.
    heartbeat: bool = True
    # Lines of the tests that begin so are shown as they come.
    shown: tuple[str, ...] = ()

    def kvm_intel(self) -> list[str]:
        """The parameters of kvm_intel."""
        return self.kvm_options.get("kvm-intel", "").split()

    def step_names(self) -> list[str]:
        """Every step's full name, in the order it runs."""
        return [f"{g.name}/{s.name}" for g in self.groups for s in self.all_steps(g)]

    def all_steps(self, group: Group) -> tuple[Step, ...]:
        """The group's steps, after those that bring the module into its state."""
        before = Group("", "", self.at_boot, ())
        for other in self.groups:
            if other is group:
                break
            before = other
        begin = {TRACED: (TRACING,), CHECKED: (CHECKING,)}.get(group.name, ())
        return _state_change(before, group) + begin + group.steps


def _state_change(before: Group, group: Group) -> tuple[Step, ...]:
    if (before.module, before.options) == (group.module, group.options):
        return ()
    steps = ()
    if before.module == "loaded":
        steps += (Step("rmmod", ("rmmod", MODULE)),)
    if group.module == "loaded":
        command = ("insmod", f"/modules/{group.file}.ko", *group.options.split())
        steps += (Step(INSMOD, command),)
    return steps


def probe_lines(probes: Iterable[Probe]) -> list[str]:
    """The shell commands that set PROBES."""
    return [shlex.join(["probe", probe.event, probe.place]) for probe in probes]


def guest_script(plan: Plan) -> str:
    """The plan as the shell commands that guest/init sources."""
    for name, number in Counter(plan.step_names()).items():
        if number > 1:
            raise MachineError(f"two steps are called {name}: one would hide the other's result")
    lines = [f"heartbeat={5 if plan.heartbeat else 0}"]
    for module in plan.kernel_modules:
        options = plan.kvm_options.get(module, "")
        lines.append(f"load {module} {options}".rstrip())
    lines += probe_lines(plan.probes)
    for group in plan.groups:
        for step in plan.all_steps(group):
            name = f"{group.name}/{step.name}"
            lines.append(shlex.join(["step", group.module, name, str(step.limit), *step.command]))
    return "\n".join(lines) + "\n"
