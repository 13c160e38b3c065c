# SPDX-License-Identifier: GPL-2.0
"""A machine that virtme-ng boots: by KVM where it gives guests VMX, else emulated by QEMU.

Its guest has the root file system that this program sees, which holds the tools that virtme-ng
needs. What is run is in a directory of its own, the same that the emulated machine boots from.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from errors import MachineError
from process_group import ProcessGroup
from session import KERNEL_LOG, TESTS_LOG, read_lines

FRAGMENT = Path(__file__).resolve().parents[1] / "kernel" / "virtme-ng.config"
ENTER = Path(__file__).resolve().parent / "guest" / "vng-enter"
# As in the emulated machine (image.py). virtme-ng itself adds that a panic ends the guest. It
# gives the root no name, which a kernel without block devices needs to find it.
_KERNEL_ARGUMENTS = ("root=/dev/root", "oops=panic", "printk.devkmsg=on", "nokaslr")
# QEMU's plainest CPU has no SSE4.2, which the selftests are built for.
_EMULATED_CPU = "max,vendor=GenuineIntel"


@dataclass(frozen=True)
class Vng:
    """How virtme-ng makes its machines."""

    # The program; the tests have one of their own.
    binary: str = "vng"
    # By KVM, whose guests have VMX then.
    accelerated: bool = False
    cpus: int = 2
    # The guest has a user space of its own besides the tests.
    megabytes: int = 1536
    seed: int = 0
    # Nothing here counts INVVPID and INVEPT: what tests expect of the counts is left out.
    has_witness: bool = False
    leaves_out: bool = True
    debian: bool = False

    def command(self, kernel: Path, root: Path) -> list[str]:
        """The words that boot KERNEL and run ROOT's plan."""
        accelerator = (
            [] if self.accelerated else ["--disable-kvm", f"--qemu-opts=-cpu {_EMULATED_CPU}"]
        )
        return [
            self.binary,
            "--run",
            str(kernel / "arch/x86/boot/bzImage"),
            # The plan loads what it needs. virtme-ng would look for modules in the guest's root,
            # or write into the kernel's tree.
            "--skip-modules",
            # The guest has no use for QEMU's smaller machine, nor for virtiofsd beside 9p.
            "--disable-microvm",
            "--force-9p",
            "--verbose",
            "--user",
            "root",
            "--cpus",
            str(self.cpus),
            "--memory",
            f"{self.megabytes}M",
            *(word for argument in _KERNEL_ARGUMENTS for word in ("--append", argument)),
            *accelerator,
            "--exec",
            shlex.join(["sh", str(ENTER), str(root)]),
        ]


def lacks(kernel: Path) -> list[str]:
    """What virtme-ng needs built into KERNEL, and is not. Modules would need an initramfs."""
    wanted = [line for line in FRAGMENT.read_text(encoding="utf-8").splitlines() if "=y" in line]
    try:
        has = set((kernel / ".config").read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise MachineError(f"{kernel}/.config: {error.strerror}") from error
    return [line for line in wanted if line not in has]


class Process(ProcessGroup):
    """A running virtme-ng. Leaving the `with` block kills its whole process group."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self.peak_kib = 0
        self.cpu_seconds = 0.0
        environment = dict(os.environ)
        # virtme-ng keeps its settings below HOME.
        environment["HOME"] = str(directory)
        try:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                # QEMU opens these anew for each of its ports, and would write over what is
                # there in a file.
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=directory,
                start_new_session=True,
            )
        except OSError as error:
            raise MachineError(f"cannot start {command[0]}: {error}") from error
        self._copies = [
            threading.Thread(target=_copy, args=(source, directory / name), daemon=True)
            for source, name in (
                (self._process.stdout, TESTS_LOG),
                (self._process.stderr, KERNEL_LOG),
            )
        ]
        for copy in self._copies:
            copy.start()

    def ended(self) -> bool:
        """Whether it is gone, and all that it wrote is in the files."""
        return self._process.poll() is not None and not any(c.is_alive() for c in self._copies)


def _copy(source: BinaryIO, path: Path) -> None:
    """Write what comes from SOURCE to PATH, as it comes."""
    with open(path, "wb", buffering=0) as file:
        while data := os.read(source.fileno(), 65536):
            file.write(data)


@dataclass(frozen=True)
class VngMachine:
    """A boot of KERNEL, with ROOT as what the plan runs in."""

    vng: Vng
    kernel: Path
    root: Path

    def start(self, directory: Path, verbose: bool) -> Process:  # noqa: ARG002
        """Start it; its files go to DIRECTORY."""
        return Process(self.vng.command(self.kernel, self.root), directory)

    def why_it_ended(self, directory: Path) -> str:
        """The last line of QEMU's or virtme-ng's own, which come where the kernel's do."""
        lines = [
            line.strip()
            for line in read_lines(directory / KERNEL_LOG)
            if line.startswith(("qemu-system", "vng", "virtme", "Error", "error", "E:"))
        ]
        return lines[-1] if lines else ""
