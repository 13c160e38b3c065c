# SPDX-License-Identifier: GPL-2.0
"""A file that somebody else made, for the machine to boot: what it is, and what it boots from."""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import image
from errors import MachineError

_MBOOT = image.LDLINUX.with_name("mboot.c32")
_LIBCOM = image.LDLINUX.with_name("libcom32.c32")
# Where each kind has its mark.
_ISO_MARK, _ISO_AT = b"CD001", 0x8001
_EL_TORITO, _EL_TORITO_AT = b"EL TORITO SPECIFICATION", 0x8807
_LINUX_MARK, _LINUX_AT = b"HdrS", 0x202
_MBR_MARK, _MBR_AT = b"\x55\xaa", 510
_GZIP_MARK = b"\x1f\x8b"
_ELF_MARK = b"\x7fELF"
# The Multiboot Specification: a header within so many bytes, that sums up to 0.
_MULTIBOOT, _MULTIBOOT_WITHIN = 0x1BADB002, 8192
_MULTIBOOT2, _MULTIBOOT2_WITHIN = 0xE85250D6, 32768
_SECTOR = 512
_ENOUGH = 65536
# Disks and archives that Bochs cannot read, and what to do.
_TO_RAW = "convert it: `qemu-img convert -O raw FILE disk.raw`"
_OTHERS = (
    (b"QFI\xfb", f"a qcow2 image: {_TO_RAW}"),
    (b"KDMV", f"a VMDK image: {_TO_RAW}"),
    (b"vhdxfile", f"a VHDX image: {_TO_RAW}"),
    (b"\xfd7zXZ", "compressed: unpack it with xz -d"),
    (b"\x28\xb5\x2f\xfd", "compressed: unpack it with zstd -d"),
    (b"BZh", "compressed: unpack it with bunzip2"),
)
# What isolinux takes of a line.
_LONGEST = 2000


class Kind(StrEnum):
    """What the machine can boot."""

    ISO = "an ISO image"
    DISK = "a disk image"
    LINUX = "a Linux kernel"
    MULTIBOOT = "a multiboot kernel"


@dataclass(frozen=True)
class Order:
    """What is to be booted: FILE, and with a kernel the rest."""

    file: Path
    initrd: Path | None = None
    # The kernel's command line, without it the default for its kind.
    arguments: str | None = None
    # A hypervisor that loads FILE as its first domain.
    xen: Path | None = None
    xen_arguments: str | None = None

    @property
    def command_line(self) -> str:
        """What FILE is told."""
        if self.arguments is not None:
            return self.arguments
        if self.xen:
            return "console=hvc0"
        # As in our own machines: the emulator's timers are exact.
        return "console=ttyS0,115200 tsc=reliable no_timer_check"

    @property
    def xen_command_line(self) -> str:
        """What the hypervisor is told; noreboot: a panic ends it."""
        if self.xen_arguments is not None:
            return self.xen_arguments
        return "com1=115200,8n1 console=com1 loglvl=all noreboot"


def kind_of(file: Path) -> Kind:
    """What FILE is, by its contents."""
    try:
        size = file.stat().st_size
        with open(file, "rb") as opened:
            start = opened.read(_ENOUGH)
    except OSError as error:
        raise MachineError(f"{file.name}: {error.strerror}") from error
    if not size:
        raise MachineError(f"{file.name} is empty")
    # An ISO may have a boot sector, too, and a Linux kernel always does.
    if _has(start, _ISO_AT, _ISO_MARK):
        if not _has(start, _EL_TORITO_AT, _EL_TORITO):
            raise MachineError(f"{file.name} is an ISO image that cannot boot: no El Torito record")
        return Kind.ISO
    if _has(start, _LINUX_AT, _LINUX_MARK):
        return Kind.LINUX
    unpacked = _unzip(start)
    if _has_multiboot_header(unpacked):
        return Kind.MULTIBOOT
    for mark, what in _OTHERS:
        if start.startswith(mark):
            raise MachineError(f"{file.name} is {what}")
    if start.startswith(_GZIP_MARK):
        raise MachineError(f"{file.name} is compressed, and no multiboot kernel: gunzip it")
    if start.startswith(_ELF_MARK):
        raise MachineError(_elf(file, start))
    if _has(start, _MBR_AT, _MBR_MARK):
        if size % _SECTOR:
            raise MachineError(f"{file.name}: a disk of {size} bytes: no multiple of {_SECTOR}")
        return Kind.DISK
    raise MachineError(
        f"{file.name}: no ISO image, no disk with a boot sector (BIOS, not UEFI), no bzImage and"
        " no multiboot kernel"
    )


def _elf(file: Path, start: bytes) -> str:
    if struct.pack("<I", _MULTIBOOT2) in start[:_MULTIBOOT2_WITHIN]:
        return f"{file.name} has a multiboot2 header alone: give an ISO that GRUB boots it from"
    return f"{file.name} is an ELF file without a multiboot header: of Linux, give the bzImage"


def _has(start: bytes, at: int, mark: bytes) -> bool:
    return start[at : at + len(mark)] == mark


def _unzip(start: bytes) -> bytes:
    """The beginning of what a gzip file has in it; of any other, the beginning."""
    if not start.startswith(_GZIP_MARK):
        return start
    try:
        return zlib.decompressobj(wbits=31).decompress(start, _ENOUGH)
    except zlib.error:
        return start


def _has_multiboot_header(start: bytes) -> bool:
    start = start[:_MULTIBOOT_WITHIN]
    for at in range(0, len(start) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", start, at)
        if magic == _MULTIBOOT and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return True
    return False


def check(order: Order) -> Kind:
    """See that ORDER makes sense; what its file is."""
    kind = kind_of(order.file)
    if kind in (Kind.ISO, Kind.DISK):
        for name in ("initrd", "arguments", "xen", "xen_arguments"):
            if getattr(order, name) is not None:
                raise MachineError(
                    f"{order.file.name} is {kind}, which brings its own kernel:"
                    " INITRD, CMDLINE and XEN go with a kernel"
                )
    if order.xen:
        if kind is not Kind.LINUX:
            raise MachineError(f"XEN= starts a bzImage, and {order.file.name} is {kind}")
        if kind_of(order.xen) is not Kind.MULTIBOOT:
            raise MachineError(f"XEN={order.xen.name} is no multiboot kernel")
    elif order.xen_arguments is not None:
        raise MachineError("XEN_CMDLINE without XEN")
    if order.initrd and not order.initrd.stat().st_size:
        raise MachineError(f"{order.initrd.name} is empty")
    for line in (order.command_line, order.xen_command_line):
        if "\n" in line or "---" in line.split() or len(line) > _LONGEST:
            raise MachineError(
                f"a command line has no line end, no word `---` and at most {_LONGEST} characters"
            )
    return kind


def pack(order: Order, kind: Kind, iso: Path) -> None:
    """Write the ISO that boots the kernel of ORDER, by isolinux."""
    tree = iso.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    try:
        shutil.copy(order.file, tree / "kernel")
        if order.initrd:
            shutil.copy(order.initrd, tree / "initrd")
        if order.xen:
            shutil.copy(order.xen, tree / "xen")
        if kind is Kind.MULTIBOOT or order.xen:
            for module in (_MBOOT, _LIBCOM):
                shutil.copy(module, tree)
        image.write_iso(tree, _label(order, kind), iso)
    except OSError as error:
        raise MachineError(f"{error.filename}: {error.strerror}") from error
    finally:
        shutil.rmtree(tree)


def _label(order: Order, kind: Kind) -> str:
    """The lines of isolinux.cfg that load it."""
    files = [f"/kernel {order.command_line}"] + ["/initrd"] * bool(order.initrd)
    if order.xen:
        files = [f"/xen {order.xen_command_line}", *files]
    elif kind is Kind.LINUX:
        initrd = "initrd=/initrd " * bool(order.initrd)
        return f" kernel /kernel\n append {initrd}{order.command_line}\n"
    return f" kernel /mboot.c32\n append {' --- '.join(files)}\n"
