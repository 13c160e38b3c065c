# SPDX-License-Identifier: GPL-2.0
"""`run.py vng`: the tests in virtme-ng's guests.

With VMX from KVM they are the tests of `run.py test`, less what needs the emulator's counts or
its oracle. Without, the module must refuse to load and each test must skip, both with a reason.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import hooks
import no_vmx
import results
import suite
from boots import Boot, Finished, Parts, run_boots
from call_sites import Hook, read_hooks
from capabilities import Choice, Host, decide, probe
from errors import MachineError
from publish import publish
from results import Result, Status
from testlist import Entry, read_own_plan, read_upstream_list
from vng import FRAGMENT, lacks


def run_vng(parts: Parts, only: str | None, emulate: bool, owner: str, dry_run: str) -> int:
    """Run the tests; 0 if all is well, 1 if one failed, 4 if none could run for want of VMX.

    EMULATE: as on a host without VMX. DRY_RUN: print what would run, as on a host "with" or
    "without" VMX, or on this "host"."""
    host = probe()
    choice = choose(host, owner, emulate, dry_run)
    if not dry_run:
        check_kernel(parts)
    return run_chosen(parts, only, host, choice, bool(dry_run))


def choose(host: Host, owner: str, emulate: bool, dry_run: str) -> Choice:
    """What to do on HOST, or as on another one."""
    if dry_run in ("with", "without"):
        return Choice(dry_run == "with", f"as on a host {dry_run} VMX")
    if emulate:
        return Choice(False, "an emulated CPU without VMX was asked for")
    return decide(host, owner)


def check_kernel(parts: Parts) -> None:
    """See that virtme-ng can boot it."""
    missing = lacks(parts.kernel)
    if missing:
        raise MachineError(
            f"virtme-ng cannot boot {parts.kernel}, which lacks {' '.join(missing)}:"
            f" add scripts/kernel/{FRAGMENT.name} to its configuration, and build it"
        )


def run_chosen(parts: Parts, only: str | None, host: Host, choice: Choice, dry_run: bool) -> int:
    """Run or print what CHOICE says."""
    print(f"vng: {choice.reason}", file=sys.stderr)
    if not choice.accelerated:
        print("vng: the tests will skip, on a CPU that QEMU emulates", file=sys.stderr)
    if choice.advice:
        print(f"vng: to run them: {choice.advice}", file=sys.stderr)
    parts = replace(parts, emulator=replace(parts.emulator, accelerated=choice.accelerated))
    lists = [read_upstream_list(suite.UPSTREAM_LIST), read_own_plan(suite.OWN_PLAN)]
    entries, later = suite.by_release(suite.choose(lists, only), parts.kernel)
    every_hook = read_hooks(parts.kernel) if choice.accelerated and parts.module else []
    if choice.accelerated:
        boots = with_vmx(parts, entries, every_hook)
    else:
        boots = [no_vmx.make_boot(parts, entries)]
    if dry_run:
        _print_plan(boots)
        return 0
    finished = run_boots(boots)
    groups, everything = suite.gather(finished, every_hook, complete=False)
    everything += later
    if choice.accelerated and only is None:
        everything += unseen_hooks(every_hook, everything)
    if not choice.accelerated:
        no_vmx.expect_skips(everything)
    return _report(parts.output, host, choice, finished, groups, everything)


def with_vmx(parts: Parts, entries: list[Entry], every_hook: list[Hook]) -> list[Boot]:
    """As `run.py test` shares them among machines. A real CPU may lack what the emulated one
    has, so each may skip."""
    may_skip = [replace(entry, step=replace(entry.step, may_skip=True)) for entry in entries]
    probes = tuple(site for hook in every_hook for site in hook.sites)
    return suite.make_boots(parts, may_skip, probes=probes)


def unseen_hooks(every_hook: list[Hook], everything: list[Result]) -> list[Result]:
    """The hooks that no test came to: a CPU may lack what leads there."""
    seen = {result.name for result in everything if result.group == hooks.GROUP}
    return [
        Result(hooks.GROUP, hook.name, Status.SKIPPED, ["no test came to it on this CPU"])
        for hook in every_hook
        if hook.name not in seen
    ]


def _report(
    output: Path,
    host: Host,
    choice: Choice,
    finished: list[Finished],
    groups: list[tuple[str, str]],
    everything: list[Result],
) -> int:
    code = no_vmx.exit_code(everything, choice.accelerated)
    settings = {
        "accelerated": choice.accelerated,
        "reason": choice.reason,
        "host": asdict(host),
        "cpus": finished[0].boot.parts.emulator.cpus,
        "exit_code": code,
    }
    publish(output, "rust_kvm_nvmx.vng", settings, finished, groups, everything)
    left_out = [result for result in everything if result.left_out]
    if left_out:
        number = sum(len(result.left_out) for result in left_out)
        print(f"# {number} expectations of {len(left_out)} runs were left out: no emulator counts")
    print(f"# results: {output}/results.ktap, results.xml (JUnit), results.json")
    if code == no_vmx.SKIP:
        print(f"# nothing was tested: {choice.reason}")
        if choice.advice:
            print(f"# to test: {choice.advice}")
    print(results.summary(everything), flush=True)
    return code


def _print_plan(boots: list[Boot]) -> None:
    """What would be done, without doing it."""
    for boot in boots:
        vng = boot.parts.emulator
        root = boot.parts.output / boot.name / "root"
        print(f"{boot.name}: {shlex.join(vng.command(boot.parts.kernel, root))}")
        for group in boot.plan.groups:
            names = [step.name for step in boot.plan.all_steps(group)]
            print(f"  {group.name}: {len(names)} steps: {' '.join(names)}")
