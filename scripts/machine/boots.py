# SPDX-License-Identifier: GPL-2.0
"""Machines made from a plan and started, several at a time where there are processors."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

import image
import kvm_coverage
import reports
import verdict
import witness
from bochs import APICV, BochsMachine, Emulator
from code_names import CodeNames
from console import Console
from errors import MachineError
from explain import explain_all
from faults import Fault
from plan import MODULE, Plan, guest_script
from results import Result
from session import STOP, Limits, Outcome, Session
from vng import Vng, VngMachine


@dataclass(frozen=True)
class Parts:
    """Where everything that goes into a machine comes from."""

    kernel: Path
    tools: Path
    emulator: Emulator | Vng
    output: Path
    limits: Limits
    verbose: bool
    module: Path | None = None
    # Modules that tests load.
    extra_modules: tuple[Path, ...] = ()
    program_directories: tuple[Path, ...] = ()
    # For a machine without VMX beside the others.
    vng: Vng | None = None

    @property
    def built_in(self) -> bool:
        """Whether the module is part of the kernel."""
        return image.configured(self.kernel, MODULE.upper(), "y")

    def find_program(self, name: str) -> Path:
        """The test or workload NAME."""
        for directory in self.program_directories:
            for candidate in (directory / name, directory / "x86" / name):
                if candidate.is_file():
                    return candidate
        places = ", ".join(str(directory) for directory in self.program_directories)
        raise MachineError(f"no program {name} in {places or 'no directory given'}")

    def has_program(self, name: str) -> bool:
        """Whether find_program would find it."""
        try:
            self.find_program(name)
        except MachineError:
            return False
        return True


@dataclass(frozen=True)
class Boot:
    """One machine: its name (and directory), what it runs, on which kernel."""

    name: str
    plan: Plan
    programs: tuple[str, ...]
    parts: Parts
    # What kselftest has installed, if that is to be in the machine: at /kselftest.
    kselftest: Path | None = None
    # Programs of the toolchain's own, with the libraries that they need.
    host_tools: tuple[Path, ...] = ()
    # What else is in the machine, by its path there.
    files: dict[str, bytes] = field(default_factory=dict)
    # More of the kernel's, on its command line.
    arguments: str = ""

    def directory(self) -> Path:
        """Where its files are."""
        directory = self.parts.output / self.name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def code_names(self, console: Console, step: str) -> CodeNames:
        """Names for addresses seen in STEP, or outside of all."""
        group = next((g for g in self.plan.groups if step.startswith(f"{g.name}/")), None)
        files = image.module_files(self.parts.kernel)
        modules = self.parts.extra_modules + ((self.parts.module,) if self.parts.module else ())
        files |= {path.stem: path for path in modules}
        if group and group.file in files:
            files[MODULE] = files[group.file]
        record = console.steps.get(step)
        places = record.modules if record else console.modules
        by_name = {name.replace("-", "_"): path for name, path in files.items()}
        return CodeNames(
            self.parts.kernel / "vmlinux",
            {name: (by_name[name], at) for name, at in places.items() if at and name in by_name},
            self._program(step),
        )

    def _program(self, step: str) -> Path | None:
        for group in self.plan.groups:
            for each in group.steps:
                if f"{group.name}/{each.name}" == step:
                    name = Path(each.command[0]).name
                    return self.parts.find_program(name) if name in self.programs else None
        return None


@dataclass(frozen=True)
class Finished:
    """A boot and what came of it."""

    boot: Boot
    outcome: Outcome
    # By step; None without the emulator's counting.
    witness: dict[str, witness.Regions] | None
    reports: reports.StepReports = field(default_factory=dict)

    def results(self) -> list[Result]:
        """Each step judged, and the machine."""
        leave_out = self.boot.parts.emulator.leaves_out
        console = self.outcome.console
        return verdict.judge(self.boot.plan, console, self.witness, self.reports, leave_out)


def run_boots(boots: list[Boot]) -> list[Finished]:
    """Run all, at most one a processor; the emulator uses one each."""
    boots = [_with_coverage(boot) for boot in boots]
    jobs = max(1, min(len(boots), os.cpu_count() or 1))
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_run, boot) for boot in boots]
        try:
            for each in wait(running, return_when=FIRST_EXCEPTION).done:
                each.result()
            return [each.result() for each in running]
        except BaseException:
            # Ctrl-C, or one machine could not be made: the others stop too.
            STOP.set()
            for each in running:
                each.cancel()
            raise


def _with_coverage(boot: Boot) -> Boot:
    group = kvm_coverage.group(boot.parts.kernel)
    if group is None:
        return boot
    return replace(boot, plan=replace(boot.plan, groups=(*boot.plan.groups, group)))


def make_image(boot: Boot, extra: dict[str, bytes]) -> Path:
    """Write the boot's ISO; EXTRA are further files in its root directory."""
    parts = boot.parts
    directory = boot.directory()
    iso = directory / "machine.iso"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _fill(boot, root, extra)
        image.build_iso(parts.kernel, root, boot.arguments, iso)
    return iso


def _fill(boot: Boot, root: Path, extra: dict[str, bytes]) -> None:
    parts = boot.parts
    modules = parts.extra_modules + ((parts.module,) if parts.module else ())
    image.fill_root(root, parts.kernel, modules, parts.tools)
    for name in boot.programs:
        image.add_program(root, parts.find_program(name))
    for name, data in extra.items():
        image.add(root, name, data, 0o644)
    for name, data in boot.files.items():
        image.add(root, name, data)
    for tool in boot.host_tools:
        image.add_host_tool(root, tool)
    if boot.kselftest:
        image.add_kselftest(root, boot.kselftest, parts.extra_modules)


def check_oracle(directory: Path, regions: list[tuple[str, Counter]], console: Console) -> None:
    """Without all that the emulator writes, no report does not mean that nothing was stale."""
    if not console.done:
        return
    wrong = [f"witness.jsonl: {each}" for each in witness.complaints(regions)[:3]]
    if not (directory / "reports.jsonl").exists():
        wrong.append("reports.jsonl is missing")
    for what in wrong:
        console.faults.append(Fault("oracle", f"{directory}: {what}", False))


def _run(boot: Boot) -> Finished:
    parts = boot.parts
    extra = {"plan": guest_script(boot.plan).encode()}
    directory = boot.directory()
    if isinstance(parts.emulator, Vng):
        root = directory / "root"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        _fill(boot, root, extra)
        machine = VngMachine(parts.emulator, parts.kernel, root)
        # A whole user space comes up, with udev, on QEMU's emulation at worst.
        limits = replace(parts.limits, boot=2 * parts.limits.boot)
        outcome = Session(boot.plan, machine, directory, limits, parts.verbose).run()
        shutil.rmtree(root)
        return Finished(boot, outcome, None)
    iso = make_image(boot, extra)
    emulator = replace(parts.emulator, apicv=APICV in boot.plan.kvm_intel())
    machine = BochsMachine(emulator, iso)
    outcome = Session(boot.plan, machine, directory, parts.limits, parts.verbose).run()
    iso.unlink()
    kvm_coverage.save(outcome.console, directory / kvm_coverage.GROUP)
    if not parts.emulator.has_witness:
        return Finished(boot, outcome, None)
    steps = boot.plan.step_names()
    regions = witness.read_regions(directory / "witness.jsonl")
    check_oracle(directory, regions, outcome.console)
    found = witness.read_lines(directory / "reports.jsonl")
    placed = reports.by_step(found, steps)
    for step, own in placed.items():
        explain_all(own, boot.code_names(outcome.console, step))
    return Finished(boot, outcome, witness.by_step(regions, steps), placed)
