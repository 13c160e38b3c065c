#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs a machine with VMX, mostly an emulated one: tests, the demo, a console, measurements.

Everything comes by option; nothing here knows how it was built.
"""

from __future__ import annotations

import argparse
import sys

import kvm_coverage
import output_lock
from bochs import Emulator
from boots import Parts
from commands import COMMANDS, Command, parser
from errors import MachineError
from process_group import unwind_on_signals
from session import Limits
from vng import Vng


def _slower(options: argparse.Namespace) -> int:
    slower: int = getattr(options, "slower", 1)
    if slower < 1:
        raise MachineError(f"--slower {slower}: give 1 or more")
    return slower


def _emulator(options: argparse.Namespace, command: Command) -> Emulator | Vng:
    cpus = options.cpus or command.cpus
    if command.is_vng:
        return Vng(options.vng, cpus=cpus)
    if options.simulate and options.debian_bochs:
        raise MachineError("Debian's Bochs simulates no TLB: not with TLBSAN=0")
    return Emulator(
        options.bochs,
        cpus,
        options.memory,
        options.debian_bochs,
        simulated_tlb=options.simulate,
        slower=_slower(options),
        # What `fuzz` does is by its seed alone.
        seed=0 if options.command == "fuzz" else options.seed,
    )


def _parts(options: argparse.Namespace, command: Command) -> Parts:
    bochs = getattr(options, "bochs", None)
    for needed in (options.kernel, options.tools, bochs, options.module):
        if needed is not None and not needed.exists():
            raise MachineError(f"{needed} does not exist")
    if command.needs_module and options.module is None:
        raise MachineError(f"{options.command} needs --module")
    slower = _slower(options)
    return Parts(
        kernel=options.kernel,
        tools=options.tools,
        emulator=_emulator(options, command),
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


def main() -> int:
    """Returns 0 if all is well, 1 if a test or report failed, 2 if it could not run, and of `vng`
    and `silicon` 4 if there is no VMX."""
    options = parser(__doc__).parse_args()
    command = COMMANDS[options.command]
    unwind_on_signals()
    try:
        parts = _parts(options, command)
        parts.output.mkdir(parents=True, exist_ok=True)
        lock = output_lock.lock(parts.output)  # noqa: F841, held until the end
        kvm_coverage.forget(parts.output)
        status = command.run(options, parts)
        kvm_coverage.report(parts.kernel, parts.output)
        return status
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
