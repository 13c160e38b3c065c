# SPDX-License-Identifier: GPL-2.0
"""The commands of run.py: what each is for, which options it takes, and what it calls."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import Runs, run_bench
from boots import Parts
from demo import run_demo
from fuzz import Order as FuzzOrder
from fuzz import run_fuzz
from fuzz_run import C, CHECK, WAYS
from history import run_history
from kselftest import run_kselftest
from kvm_unit_tests import run_kvm_unit_tests
from linux_l1 import run_linux_l1
from mutants import run_mutants
from removals import run_removals
from session import Limits
from shell import run_shell
from silicon import Order, run_silicon
from soak import PLANTS, run_soak
from soak import Order as SoakOrder
from suite import Selection, parameters_of, run_suite
from tlbsan import run_tlbsan
from tracers import TRACERS, run_trace
from vng_suite import run_vng

Options = Callable[[ArgumentParser], None]


@dataclass(frozen=True)
class Command:
    """One command of run.py."""

    about: str
    run: Callable[[Namespace, Parts], int]
    # Its options, beyond those of all commands.
    options: tuple[Options, ...]
    needs_module: bool = False
    # The machine is virtme-ng's, not Bochs.
    is_vng: bool = False
    cpus: int = 2


def _bochs(command: ArgumentParser) -> None:
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


def _vng(command: ArgumentParser) -> None:
    command.add_argument("--vng", default="vng", metavar="PROGRAM", help="virtme-ng")
    command.add_argument("--owner", default="", help="the owner of /dev/kvm, for messages")


def _vng_host(command: ArgumentParser) -> None:
    command.add_argument(
        "--emulate", action="store_true", help="on a CPU without VMX, whatever this host has"
    )
    command.add_argument(
        "--dry-run",
        default="",
        choices=["host", "with", "without"],
        help="print what would run, on this host or one with or without VMX",
    )


def _silicon(command: ArgumentParser) -> None:
    command.add_argument("--commit", default="unknown", help="what is tested, for the report")
    command.add_argument("--costs", type=Path, help="invalidation_cost of the host's kernel")


def _choose(command: ArgumentParser) -> None:
    command.add_argument("--test", metavar="NAME", help="this alone")


def _kvm_intel(command: ArgumentParser) -> None:
    command.add_argument(
        "--kvm-intel", default="", metavar="'NAME=VALUE...'", help="its parameters"
    )


def _suite(command: ArgumentParser) -> None:
    command.add_argument("--full", action="store_true", help="the long tests, too")
    command.add_argument(
        "--skipped",
        action="append",
        default=[],
        help="NAME: REASON of tests without a machine that did not run",
    )
    command.add_argument("--vng", metavar="PROGRAM", help="virtme-ng: without VMX, too")
    command.add_argument(
        "--no-skips", action="store_true", help="of upstream's: this kernel has all they want"
    )
    command.add_argument(
        "--plain", action="store_true", help="only what runs without such parameters"
    )
    command.add_argument(
        "--slower", type=int, default=1, metavar="N", help="for a kernel with checkers"
    )


def _programs(command: ArgumentParser) -> None:
    command.add_argument("--program", action="append", default=[], metavar="NAME", help="what runs")
    command.add_argument("--given", type=Path, help="directory of the user's programs")


def _workload(command: ArgumentParser) -> None:
    command.add_argument(
        "--workload", default="nested_workload", metavar="'NAME ARG...'", help="what runs"
    )


def _tracer(command: ArgumentParser) -> None:
    command.add_argument("--tracer", choices=TRACERS, default="trace-cmd", help="what records")


def _bench(command: ArgumentParser) -> None:
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


def _fuzz(command: ArgumentParser) -> None:
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


def _soak(command: ArgumentParser) -> None:
    command.add_argument("--hours", type=float, default=1, help="how long")
    command.add_argument("--plant", choices=PLANTS, default="", help="do this wrong on purpose")
    command.add_argument("--edit", default="", metavar="NAME", help="of mutants.toml")


def _installed(command: ArgumentParser) -> None:
    command.add_argument("--installed", type=Path, required=True, help="what it has installed")


def _flat(command: ArgumentParser) -> None:
    command.add_argument("--flat", type=Path, required=True, help="its x86/vmx.flat")


def _run_suite(options: Namespace, parts: Parts) -> int:
    selection = Selection(
        options.test,
        parameters_of(options.kvm_intel, parts.kernel),
        options.full,
        options.plain,
        options.slower,
        tuple(options.skipped),
        options.no_skips,
    )
    return run_suite(parts, options.upstream, bool(options.own), selection)


def _run_tlbsan(options: Namespace, parts: Parts) -> int:
    parameters = parameters_of(options.kvm_intel, parts.kernel)
    return run_tlbsan(parts, options.program, parameters)


def _run_vng(options: Namespace, parts: Parts) -> int:
    return run_vng(parts, options.test, options.emulate, options.owner, options.dry_run)


def _run_silicon(options: Namespace, parts: Parts) -> int:
    return run_silicon(parts, options.test, Order(options.owner, options.commit, options.costs))


def _run_fuzz(options: Namespace, parts: Parts) -> int:
    order = FuzzOrder(
        options.minutes,
        options.seed or None,
        tuple(options.way or WAYS),
        tuple(options.bytes),
        tuple(options.edit),
    )
    return run_fuzz(parts, order)


def _run_soak(options: Namespace, parts: Parts) -> int:
    seed = options.seed or int(time.time()) // 60 % 10**6
    return run_soak(parts, SoakOrder(options.hours, seed, options.plant, options.edit))


COMMANDS = {
    "test": Command(
        "run the tests: KTAP, and `N passed, N failed, N skipped`",
        _run_suite,
        (_bochs, _choose, _kvm_intel, _suite),
    ),
    "demo": Command(
        "one nested workload in C and in Rust, and a report",
        lambda options, parts: run_demo(parts, options.workload.split()),
        (_bochs, _workload),
        needs_module=True,
    ),
    "shell": Command(
        "a console in the machine, everything loaded",
        lambda _options, parts: run_shell(parts),
        (_bochs,),
    ),
    "trace": Command(
        "what is recorded of the module's tracepoints while a test runs",
        lambda options, parts: run_trace(parts, options.tracer, options.workload.split()),
        (_bochs, _workload, _tracer),
        needs_module=True,
    ),
    "linux-l1": Command(
        "a Linux with KVM as L1, in C and in Rust",
        lambda _options, parts: run_linux_l1(parts),
        (_bochs,),
        needs_module=True,
        cpus=1,
    ),
    "bench": Command(
        "instructions per nested round trip: stock, patched, Rust",
        lambda options, parts: run_bench(
            parts, options.stock, Runs(options.workload, options.options)
        ),
        (_bochs, _bench),
        needs_module=True,
        cpus=1,
    ),
    "mutants": Command(
        "break each rule in Rust once: which test notices?",
        lambda options, parts: run_mutants(parts, options.test),
        (_bochs, _choose),
    ),
    "fuzz": Command(
        "nested_fuzz with one seed after another; the least that fails is printed",
        _run_fuzz,
        (_bochs, _fuzz),
    ),
    "soak": Command(
        "guests for hours, while the module comes and goes and memory is scarce",
        _run_soak,
        (_bochs, _soak),
    ),
    "tlbsan": Command(
        "the oracle alone, on any kernel and any test program",
        _run_tlbsan,
        (_bochs, _programs, _kvm_intel),
    ),
    "kselftest": Command(
        "our selftests by kselftest's own runner, with the module loaded",
        lambda options, parts: run_kselftest(
            parts, options.installed, (options.test or "").split()
        ),
        (_bochs, _choose, _installed),
        needs_module=True,
    ),
    "kvm-unit-tests": Command(
        "kvm-unit-tests' cases about VPIDs and EPT, in C and in Rust",
        lambda options, parts: run_kvm_unit_tests(parts, options.flat, options.test or ""),
        (_bochs, _choose, _flat),
        needs_module=True,
    ),
    "vng": Command(
        "the tests in virtme-ng's guests: KTAP, JUnit; exit code 4 without VMX",
        _run_vng,
        (_vng, _choose, _vng_host),
        is_vng=True,
    ),
    "silicon": Command(
        "the tests where there is VMX, and the cost of INVVPID and INVEPT",
        _run_silicon,
        (_vng, _choose, _silicon),
        is_vng=True,
    ),
    "removals": Command(
        "leave out each TLB flush once: which program's run is reported?",
        lambda options, parts: run_removals(parts, options.test),
        (_bochs, _choose),
    ),
    "history": Command(
        "undo each fix of a TLB flush that KVM has had: which program's run shows it?",
        lambda options, parts: run_history(parts, options.test),
        (_bochs, _choose),
    ),
}


def parser(about: str) -> ArgumentParser:
    """Of run.py's arguments."""
    result = ArgumentParser(prog="run.py", description=about)
    subparsers = result.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = subparsers.add_parser(name, help=command.about, description=command.about)
        _common(one)
        for options in command.options:
            options(one)
    return result


def _common(command: ArgumentParser) -> None:
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
