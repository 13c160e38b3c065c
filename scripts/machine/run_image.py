#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots an image or a kernel that somebody else made in the emulated machine, with the oracle."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import output_lock
from bochs import Emulator
from boot_file import Order
from errors import MachineError
from process_group import unwind_on_signals
from tlbsan_image import Run, run_image


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run_image.py", description=__doc__)
    needed = {"type": Path, "required": True}
    parser.add_argument("--image", **needed, help="what is booted")
    parser.add_argument("--bochs", **needed, help="the emulator")
    parser.add_argument("--out", **needed, help="where logs and reports go")
    parser.add_argument("--initrd", type=Path, help="of a kernel")
    parser.add_argument("--command-line", help="of a kernel")
    parser.add_argument("--xen", type=Path, help="what the kernel runs on")
    parser.add_argument("--xen-command-line", help="of Xen")
    parser.add_argument("--symbols", type=Path, help="ELF file with the hypervisor's functions")
    parser.add_argument("--done", help="regular expression of the line that ends the run")
    parser.add_argument("--seconds", type=float, default=600, help="the longest run")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=1024, metavar="MB")
    parser.add_argument("--seed", type=int, default=0, help="another interleaving")
    return parser


def _run(options: argparse.Namespace) -> Run:
    files = (options.image, options.initrd, options.xen, options.symbols)
    for file in files:
        if file is not None and not file.is_file():
            raise MachineError(f"there is no file {file}")
    try:
        done = re.compile(options.done) if options.done else None
    except re.error as error:
        raise MachineError(f"DONE={options.done}: {error}") from error
    order = Order(
        options.image,
        options.initrd,
        options.command_line,
        options.xen,
        options.xen_command_line,
    )
    emulator = Emulator(options.bochs, options.cpus, options.memory, seed=options.seed)
    output = options.out.absolute()
    return Run(order, emulator, output, options.seconds, done, options.symbols)


def main() -> int:
    """The status of run_image(); 2, too, if it could not run."""
    options = _parser().parse_args()
    unwind_on_signals()
    try:
        run = _run(options)
        run.output.mkdir(parents=True, exist_ok=True)
        lock = output_lock.lock(run.output)  # noqa: F841, held until the end
        return run_image(run)
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
