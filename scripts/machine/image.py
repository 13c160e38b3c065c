# SPDX-License-Identifier: GPL-2.0
"""The boot medium: an ISO with isolinux, the kernel and the initramfs."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from errors import MachineError
from initramfs import Initramfs

GUEST = Path(__file__).resolve().parent / "guest"
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
BUSYBOX = Path("/bin/busybox")
# no_timer_check and tsc=reliable: the emulator's timers are exact, and the
# kernel's own checks of them take seconds there. oops=panic: the first fault
# ends the run, before what follows from it. printk.devkmsg: the step marks and
# signs of life must not fall to the rate limit. nokaslr: functions are named by
# their addresses in vmlinux.
KERNEL_ARGUMENTS = (
    "console=ttyS0,115200 tsc=reliable no_timer_check oops=panic printk.devkmsg=on nokaslr"
)
_INTERPRETER = 3  # p_type
_KERNEL_MODULES = {
    "irqbypass": "virt/lib/irqbypass.ko",
    "kvm": "arch/x86/kvm/kvm.ko",
    "kvm-intel": "arch/x86/kvm/kvm-intel.ko",
}


def build_initramfs(kernel: Path, modules: tuple[Path, ...], tools: Path) -> Initramfs:
    """A root file system with busybox, KVM's modules, MODULES and the guest's own scripts."""
    root = Initramfs()
    root.add("/bin/busybox", _read(BUSYBOX, "package busybox-static"))
    root.add("/bin/tsmark", _read(tools / "tsmark", "guest tools"))
    root.add("/bin/without", _read(GUEST / "without", "the checkout"))
    root.add("/init", _read(GUEST / "init", "the checkout"))
    root.add("/machine.sh", _read(GUEST / "machine.sh", "the checkout"), 0o644)
    for name, path in module_files(kernel).items():
        root.add(f"/modules/{name}.ko", _read(path, "kernel build"), 0o644)
    for module in modules:
        root.add(f"/modules/{module.name}", _read(module, "module build"), 0o644)
    return root


def module_files(kernel: Path) -> dict[str, Path]:
    """KVM's modules in a kernel's build, by name."""
    files = {name: kernel / where for name, where in _KERNEL_MODULES.items()}
    for name, option in (("kvm", "KVM"), ("kvm-intel", "KVM_INTEL"), ("irqbypass", "")):
        # irqbypass is a module only where something else asked for one.
        if not files[name].exists() and (not option or _built_in(kernel, option)):
            del files[name]
    return files


def _built_in(kernel: Path, option: str) -> bool:
    try:
        lines = (kernel / ".config").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return f"CONFIG_{option}=y" in lines


def needs_libraries(program: Path) -> bool:
    """Whether an ELF file names a program that is to load its libraries."""
    data = program.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return False
    (offset,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    return any(
        struct.unpack_from("<I", data, offset + number * size)[0] == _INTERPRETER
        for number in range(count)
    )


def add_program(root: Initramfs, program: Path) -> None:
    """Put PROGRAM under /tests, without its symbols: they would triple what is booted."""
    _read(program, "test build")
    with tempfile.TemporaryDirectory() as scratch:
        stripped = Path(scratch) / program.name
        _run(["strip", "-o", str(stripped), str(program)])
        root.add(f"/tests/{program.name}", stripped.read_bytes())


def build_iso(kernel: Path, root: Initramfs, arguments: str, iso: Path) -> None:
    """Write the ISO that boots KERNEL with ROOT."""
    tree = iso.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    (tree / "bzimage").write_bytes(_read(kernel / "arch/x86/boot/bzImage", "kernel build"))
    (tree / "initrd").write_bytes(root.render())
    (tree / "isolinux.bin").write_bytes(_read(ISOLINUX, "package isolinux"))
    (tree / "ldlinux.c32").write_bytes(_read(LDLINUX, "package syslinux-common"))
    (tree / "isolinux.cfg").write_text(
        "default machine\nprompt 0\nlabel machine\n kernel /bzimage\n"
        f" append initrd=/initrd {KERNEL_ARGUMENTS} {arguments}\n"
    )
    boot = "-b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table"
    _run(["xorriso", "-as", "mkisofs", "-quiet", "-o", str(iso), *boot.split(), str(tree)])
    shutil.rmtree(tree)


def _read(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror} (comes from: {source})") from error


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MachineError(f"{command[0]} is not installed in the toolchain") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MachineError(f"{command[0]} failed: {last}")
