#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs a machine with VMX, mostly an emulated one: tests, the demo, a console, measurements.

Everything comes by option; nothing here knows how it was built.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import kvm_coverage
import output_lock
from bench import Runs, run_bench
from bochs import Emulator
from boots import Parts
from demo import run_demo
from errors import MachineError
from fuzz import Order as FuzzOrder
from fuzz import run_fuzz
from fuzz_run import C, CHECK, WAYS
from history import run_history
from kselftest import run_kselftest
from kvm_unit_tests import run_kvm_unit_tests
from linux_l1 import run_linux_l1
from mutants import run_mutants
from process_group import unwind_on_signals
from removals import run_removals
from session import Limits
from shell import run_shell
from silicon import Order, run_silicon
from soak import PLANTS, run_soak
from soak import Order as SoakOrder
from suite import Selection, parameters_of, run_suite
from tlbsan import run_tlbsan
from tracers import TRACERS, run_trace
from vng import Vng
from vng_suite import run_vng

# What takes a choice of tests.
_CHOOSE = ("test", "vng", "silicon", "kselftest", "kvm-unit-tests")
_CHOOSE += ("mutants", "removals", "history")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("test", "run the tests: KTAP, and `N passed, N failed, N skipped`"),
        ("demo", "one nested workload in C and in Rust, and a report"),
        ("shell", "a console in the machine, everything loaded"),
        ("trace", "what is recorded of the module's tracepoints while a test runs"),
        ("linux-l1", "a Linux with KVM as L1, in C and in Rust"),
        ("bench", "instructions per nested round trip: stock, patched, Rust"),
        ("mutants", "break each rule in Rust once: which test notices?"),
        ("fuzz", "nested_fuzz with one seed after another; the least that fails is printed"),
        ("soak", "guests for hours, while the module comes and goes and memory is scarce"),
        ("tlbsan", "the oracle alone, on any kernel and any test program"),
        ("kselftest", "our selftests by kselftest's own runner, with the module loaded"),
        ("kvm-unit-tests", "kvm-unit-tests' cases about VPIDs and EPT, in C and in Rust"),
        ("vng", "the tests in virtme-ng's guests: KTAP, JUnit; exit code 4 without VMX"),
        ("silicon", "the tests where there is VMX, and the cost of INVVPID and INVEPT"),
        ("removals", "leave out each TLB flush once: which program's run is reported?"),
        ("history", "undo each fix of a TLB flush that KVM has had: which program's run shows it?"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        _common(command)
        if name == "kselftest":
            command.add_argument(
                "--installed", type=Path, required=True, help="what it has installed"
            )
        if name == "kvm-unit-tests":
            command.add_argument("--flat", type=Path, required=True, help="its x86/vmx.flat")
        if name == "fuzz":
            _fuzz(command)
        if name == "soak":
            command.add_argument("--hours", type=float, default=1, help="how long")
            command.add_argument(
                "--plant", choices=PLANTS, default="", help="do this wrong on purpose"
            )
            command.add_argument("--edit", default="", metavar="NAME", help="of mutants.toml")
        if name in _CHOOSE:
            command.add_argument("--test", metavar="NAME", help="this alone")
        if name == "tlbsan":
            command.add_argument(
                "--program", action="append", default=[], metavar="NAME", help="what runs"
            )
            command.add_argument("--given", type=Path, help="directory of the user's programs")
        if name in ("vng", "silicon"):
            _vng(command)
        else:
            _bochs(command)
        if name == "test":
            command.add_argument("--full", action="store_true", help="the long tests, too")
            left_out = "NAME: REASON of tests without a machine that did not run"
            command.add_argument("--skipped", action="append", default=[], help=left_out)
            command.add_argument("--vng", metavar="PROGRAM", help="virtme-ng: without VMX, too")
            command.add_argument(
                "--no-skips",
                action="store_true",
                help="of upstream's: this kernel has all they want",
            )
        if name in ("test", "tlbsan"):
            command.add_argument(
                "--kvm-intel", default="", metavar="'NAME=VALUE...'", help="its parameters"
            )
        if name == "test":
            command.add_argument(
                "--plain", action="store_true", help="only what runs without such parameters"
            )
            command.add_argument(
                "--slower", type=int, default=1, metavar="N", help="for a kernel with checkers"
            )
        if name in ("demo", "trace"):
            command.add_argument(
                "--workload", default="nested_workload", metavar="'NAME ARG...'", help="what runs"
            )
        if name == "trace":
            command.add_argument(
                "--tracer", choices=TRACERS, default="trace-cmd", help="what records"
            )
        if name == "bench":
            command.add_argument("--stock", type=Path, required=True, help="the unpatched kernel")
            command.add_argument(
                "--workload",
                action="append",
                default=[],
                metavar="'NAME ARG...'",
                help="what is measured; may be repeated",
            )
            command.add_argument(
                "--options", default="", metavar="'NAME=N ...'", help="parameters of the module"
            )
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    needed = {"type": Path, "required": True}
    command.add_argument("--kernel", **needed, help="built kernel tree")
    command.add_argument("--tools", **needed, help="directory with tsmark")
    command.add_argument("--out", **needed, help="where logs and reports go")
    command.add_argument("--module", type=Path, help="rust_kvm_nvmx.ko")
    command.add_argument(
        "--extra-module", type=Path, action="append", default=[], help="one that tests load"
    )
    command.add_argument("--upstream", type=Path, help="directory of upstream's tests")
    command.add_argument("--own", type=Path, help="directory of our tests")
    command.add_argument(
        "--cpus", type=int, default=None, help="processors (2; bench, linux-l1: 1)"
    )
    command.add_argument("--verbose", action="store_true", help="show the console as it runs")
    command.add_argument("--timeout", type=float, default=Limits.total, metavar="SECONDS")


def _bochs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--bochs", type=Path, required=True, help="the emulator")
    command.add_argument(
        "--debian-bochs",
        action="store_true",
        help="--bochs is Debian's own build: what needs the witness is not checked",
    )
    command.add_argument(
        "--simulate",
        default="",
        metavar="SIZES",
        help="count what a TLB of these sizes would miss: `default`, or as tlbsan/README.md says",
    )
    command.add_argument("--seed", type=int, default=0, help="another interleaving for each")
    command.add_argument("--memory", type=int, default=768, metavar="MB")


def _fuzz(command: argparse.ArgumentParser) -> None:
    command.add_argument("--minutes", type=float, default=5, help="how long it searches")
    command.add_argument(
        "--bytes", action="append", default=[], metavar="HEX", help="run this string alone"
    )
    command.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="NAME",
        help="is this found, or all that are `planted`?",
    )
    command.add_argument("--way", action="append", choices=[C, CHECK, *WAYS], help="who decides")


def _vng(command: argparse.ArgumentParser) -> None:
    command.add_argument("--vng", default="vng", metavar="PROGRAM", help="virtme-ng")
    command.add_argument("--owner", default="", help="the owner of /dev/kvm, for messages")
    if command.prog.endswith(" silicon"):
        command.add_argument("--commit", default="unknown", help="what is tested, for the report")
        command.add_argument("--costs", type=Path, help="invalidation_cost of the host's kernel")
        return
    command.add_argument(
        "--emulate", action="store_true", help="on a CPU without VMX, whatever this host has"
    )
    command.add_argument(
        "--dry-run",
        default="",
        choices=["host", "with", "without"],
        help="print what would run, on this host or one with or without VMX",
    )


def _emulator(options: argparse.Namespace, cpus: int) -> Emulator | Vng:
    if options.command in ("vng", "silicon"):
        return Vng(options.vng, cpus=cpus)
    if options.simulate and options.debian_bochs:
        raise MachineError("Debian's Bochs simulates no TLB: not with TLBSAN=0")
    return Emulator(
        options.bochs,
        cpus,
        options.memory,
        options.debian_bochs,
        simulated_tlb=options.simulate,
        # What `fuzz` does is by its seed alone.
        seed=0 if options.command == "fuzz" else options.seed,
    )


def _parts(options: argparse.Namespace) -> Parts:
    cpus = options.cpus or (1 if options.command in ("bench", "linux-l1") else 2)
    bochs = getattr(options, "bochs", None)
    for needed in (options.kernel, options.tools, bochs, options.module):
        if needed is not None and not needed.exists():
            raise MachineError(f"{needed} does not exist")
    slower = getattr(options, "slower", 1)
    if slower < 1:
        raise MachineError(f"--slower {slower}: give 1 or more")
    return Parts(
        kernel=options.kernel,
        tools=options.tools,
        emulator=_emulator(options, cpus),
        output=options.out.absolute(),
        limits=Limits(
            boot=Limits.boot * slower,
            silence=Limits.silence * slower,
            total=options.timeout * slower,
        ),
        verbose=options.verbose,
        module=options.module,
        extra_modules=tuple(options.extra_module),
        program_directories=tuple(
            directory
            for directory in (getattr(options, "given", None), options.own, options.upstream)
            if directory
        ),
        vng=_vng_beside(options),
    )


def _vng_beside(options: argparse.Namespace) -> Vng | None:
    if options.command != "test" or not options.vng:
        return None
    return Vng(options.vng)


def _fuzz_order(options: argparse.Namespace) -> FuzzOrder:
    return FuzzOrder(
        options.minutes,
        options.seed or None,
        tuple(options.way or WAYS),
        tuple(options.bytes),
        tuple(options.edit),
    )


def _run(options: argparse.Namespace, parts: Parts) -> int:
    if options.command == "test":
        parameters = parameters_of(options.kvm_intel, parts.kernel)
        selection = Selection(
            options.test,
            parameters,
            options.full,
            options.plain,
            options.slower,
            tuple(options.skipped),
            options.no_skips,
        )
        return run_suite(parts, options.upstream, bool(options.own), selection)
    if options.command == "tlbsan":
        parameters = parameters_of(options.kvm_intel, parts.kernel)
        return run_tlbsan(parts, options.program, parameters)
    if options.command == "vng":
        return run_vng(parts, options.test, options.emulate, options.owner, options.dry_run)
    if options.command == "silicon":
        order = Order(options.owner, options.commit, options.costs)
        return run_silicon(parts, options.test, order)
    if options.command == "shell":
        return run_shell(parts)
    if options.command == "mutants":
        return run_mutants(parts, options.test)
    if options.command == "fuzz":
        return run_fuzz(parts, _fuzz_order(options))
    if options.command == "soak":
        seed = options.seed or int(time.time()) // 60 % 10**6
        return run_soak(parts, SoakOrder(options.hours, seed, options.plant, options.edit))
    if options.command == "removals":
        return run_removals(parts, options.test)
    if options.command == "history":
        return run_history(parts, options.test)
    if options.module is None:
        raise MachineError(f"{options.command} needs --module")
    if options.command == "kselftest":
        return run_kselftest(parts, options.installed, (options.test or "").split())
    if options.command == "kvm-unit-tests":
        return run_kvm_unit_tests(parts, options.flat, options.test or "")
    if options.command == "linux-l1":
        return run_linux_l1(parts)
    if options.command == "trace":
        return run_trace(parts, options.tracer, options.workload.split())
    if options.command == "demo":
        return run_demo(parts, options.workload.split())
    runs = Runs(options.workload, options.options)
    return run_bench(parts, options.stock, runs)


def main() -> int:
    """Returns 0 if all is well, 1 if a test or report failed, 2 if it could not run, and of `vng`
    and `silicon` 4 if there is no VMX."""
    options = _parser().parse_args()
    unwind_on_signals()
    try:
        parts = _parts(options)
        parts.output.mkdir(parents=True, exist_ok=True)
        lock = output_lock.lock(parts.output)  # noqa: F841, held until the end
        kvm_coverage.forget(parts.output)
        status = _run(options, parts)
        kvm_coverage.report(parts.kernel, parts.output)
        return status
    except MachineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
