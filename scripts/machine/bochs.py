# SPDX-License-Identifier: GPL-2.0
"""The emulator: its configuration, its process and its end."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from errors import MachineError
from process_group import ProcessGroup
from session import KERNEL_LOG, TESTS_LOG, read_lines

BIOS = Path("/usr/share/bochs/BIOS-bochs-latest")
VGA_BIOS = Path("/usr/share/vgabios/vgabios-stdvga.bin")
# What the machine boots: an ISO, or a disk, which stays as it is.
CDROM, DISK = "cdrom", "disk"
_INSERTED = {CDROM: "status=inserted", DISK: "mode=volatile"}
# The newest model whose VM entries Debian's Bochs 3.0 gets right.
CPU_MODEL = "corei7_haswell_4770"
# The oldest with posted interrupts, without which KVM uses no APIC virtualization. Bochs's
# own bugs in that fail what sends interrupts to guests: for what asks KVM for it alone.
APICV = "enable_apicv=1"
APICV_MODEL = "corei7_skylake_x"
# Emulated instructions per emulated second: close to what a host does in one
# real second, so that the machine's clock is not far from the wall's.
_INSTRUCTIONS_PER_SECOND = 50_000_000

# What the oracle's default is (tlbsan/README.md).
_PATIENCE = 200_000
# The most instructions that a processor runs before it is the next one's turn:
# Bochs's own figure and the highest it takes. It can do 1, in five times the time.
_QUANTUM, _SHORTEST_QUANTUM, _LONGEST_QUANTUM = 16, 4, 32
# What the machine's clock shows at its start: the tests seed their random numbers
# with it.
_DATE = 1_700_000_000
# Seconds in which it writes the last region.
_LAST_REGION = 30


@dataclass(frozen=True)
class Interleaving:
    """What decides in which order things happen. The same seed is nearly the same run: the
    emulator's devices still vary by microseconds from one to the next."""

    quantum: int
    instructions_per_second: int
    date: int

    @classmethod
    def of(cls, seed: int) -> Self:
        """By SEED; 0 is the plain one."""
        if seed == 0:
            return cls(_QUANTUM, _INSTRUCTIONS_PER_SECOND, _DATE)
        choice = random.Random(seed)
        # Where there is one processor, timer ticks at other instructions are all there is.
        speed = _INSTRUCTIONS_PER_SECOND * choice.randint(80, 120) // 100
        return cls(
            choice.randint(_SHORTEST_QUANTUM, _LONGEST_QUANTUM),
            speed,
            _DATE + choice.randint(1, 10**8),
        )


@dataclass(frozen=True)
class Emulator:
    """Which Bochs, and how the machine it emulates is made."""

    binary: Path
    cpus: int = 2
    megabytes: int = 768
    # Debian's own build: with its debugger, without the witness.
    debian: bool = False
    # Without the witness, a test that expects counts of it is skipped.
    leaves_out: bool = False
    # Sizes of a TLB that it simulates, in the words of TLBSAN_SIM; nothing: none.
    simulated_tlb: str = ""
    # On a kernel that is so many times as slow, a flush may come so much later.
    slower: int = 1
    seed: int = 0
    # Whether KVM is to have APIC virtualization, which Debian's build can't do.
    apicv: bool = False

    @property
    def model(self) -> str:
        """The processor, in Bochs's words."""
        return APICV_MODEL if self.apicv and not self.debian else CPU_MODEL

    @property
    def has_witness(self) -> bool:
        """Whether it counts INVVPID and INVEPT for us."""
        return not self.debian


def configuration(
    emulator: Emulator,
    medium: Path,
    serial: dict[str, str],
    log: Path,
    verbose: bool,
    kind: str = CDROM,
) -> str:
    """The text of the configuration file; MEDIUM is what it boots, a CDROM or a DISK; SERIAL maps
    com1, com2 to their settings."""
    for needed in (BIOS, VGA_BIOS):
        if not needed.exists():
            raise MachineError(f"{needed} is missing: install bochsbios and vgabios")
    display = 'rfb, options="timeout=0"' if emulator.debian else "nogui"
    interleaving = Interleaving.of(emulator.seed)
    pace = f"ips={interleaving.instructions_per_second}, quantum={interleaving.quantum}"
    lines = [
        f"romimage: file={BIOS}",
        f"vgaromimage: file={VGA_BIOS}",
        f"display_library: {display}",
        f"cpu: model={emulator.model}, count={emulator.cpus}, {pace}",
        "cpu: reset_on_triple_fault=0, ignore_bad_msrs=1",
        f"memory: guest={emulator.megabytes}, host={emulator.megabytes}",
        f"clock: sync=none, time0={interleaving.date}",
        f"ata0-master: type={kind}, path={medium}, {_INSERTED[kind]}",
        f"boot: {kind}",
        *(f"{port}: enabled=1, {how}" for port, how in serial.items()),
        f"log: {log}",
        "panic: action=fatal",
        # Mostly MSRs that it does not know: some 100,000 lines a run.
        f"error: action={'report' if verbose else 'ignore'}",
        # Not "report": Bochs logs its speed from a signal handler, and deadlocks
        # when the signal comes while it is logging something else.
        "info: action=ignore",
        "debug: action=ignore",
    ]
    return "\n".join(lines) + "\n"


class Process(ProcessGroup):
    """A running Bochs. Leaving the `with` block kills its whole process group."""

    def __init__(self, emulator: Emulator, config: Path, witness: Path) -> None:
        # Even a SIGKILL of this program must not leave an emulator behind.
        command = ["setpriv", "--pdeathsig", "KILL", "--"]
        command += [str(emulator.binary), "-q", "-f", str(config)]
        environment = dict(os.environ)
        for variable in ("TLBSAN_OUT", "TLBSAN_REPORTS", "TLBSAN_SIM", "TLBSAN_PATIENCE"):
            environment.pop(variable, None)
        if emulator.has_witness:
            environment["TLBSAN_OUT"] = str(witness)
            environment["TLBSAN_REPORTS"] = str(witness.with_name("reports.jsonl"))
            environment["TLBSAN_SIM"] = emulator.simulated_tlb
            environment["TLBSAN_PATIENCE"] = str(_PATIENCE * emulator.slower)
        if emulator.debian:
            # Its debugger waits for a command before the first instruction.
            commands = config.with_suffix(".rc")
            commands.write_text("c\n")
            command += ["-rc", str(commands)]
        self.peak_kib = 0
        # Of processors' time, not of the wall clock's: hosts have other work.
        self.cpu_seconds = 0.0
        with open(config.with_suffix(".out"), "wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise MachineError(f"cannot start {emulator.binary}: {error}") from error

    def finish(self) -> None:
        """End it so that it writes what it has counted."""
        self._process.terminate()
        try:
            self._process.wait(_LAST_REGION)
        except subprocess.TimeoutExpired:
            pass

    def ended(self) -> bool:
        """Whether it is gone; keeps the memory and time it has used."""
        directory = Path(f"/proc/{self._process.pid}")
        try:
            # Behind the name in parentheses, fields 14 and 15 of proc(5).
            times = (directory / "stat").read_text().rpartition(")")[2].split()[11:13]
            self.cpu_seconds = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            for line in (directory / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_kib = max(self.peak_kib, int(line.split()[1]))
        except OSError:
            pass
        return self._process.poll() is not None


@dataclass(frozen=True)
class BochsMachine:
    """A machine that Bochs emulates, booted from MEDIUM."""

    emulator: Emulator
    medium: Path
    kind: str = CDROM

    def start(self, directory: Path, verbose: bool) -> Process:
        """Start it; its files go to DIRECTORY."""
        for name in ("witness.jsonl", "reports.jsonl", "bochs.log"):
            (directory / name).unlink(missing_ok=True)
        config = directory / "bochs.conf"
        serial = {
            "com1": f"mode=file, dev={directory}/{KERNEL_LOG}",
            "com2": f"mode=file, dev={directory}/{TESTS_LOG}",
        }
        log = directory / "bochs.log"
        text = configuration(self.emulator, self.medium, serial, log, verbose, self.kind)
        config.write_text(text)
        return Process(self.emulator, config, directory / "witness.jsonl")

    def why_it_ended(self, directory: Path) -> str:
        """Bochs's own reason, or what tlbsan says when it ends the emulator."""
        reasons = [
            line.split(mark, 1)[1].strip()
            for name, mark in (
                ("bochs.out", "tlbsan: "),
                ("bochs.out", ">>PANIC<<"),
                ("bochs.log", ">>PANIC<<"),
            )
            for line in read_lines(directory / name)
            if mark in line
        ]
        return reasons[-1] if reasons else ""
