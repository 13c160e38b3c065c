# SPDX-License-Identifier: GPL-2.0
"""Which files the machine can boot, and how."""

from __future__ import annotations

import gzip
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import boot_file
import image
from boot_file import Kind, Order
from errors import MachineError


def at(place: int, mark: bytes, size: int = 40960) -> bytes:
    """A file of zeroes with MARK at PLACE."""
    data = bytearray(size)
    data[place : place + len(mark)] = mark
    return bytes(data)


def multiboot(checksum: int | None = None) -> bytes:
    """A kernel with a multiboot header, or one with a wrong CHECKSUM."""
    magic, flags = 0x1BADB002, 3
    if checksum is None:
        checksum = -(magic + flags) & 0xFFFFFFFF
    return at(64, struct.pack("<III", magic, flags, checksum))


LINUX = at(0x202, b"HdrS")
DISK = at(510, b"\x55\xaa")
BOOTABLE = boot_file._EL_TORITO
ISO = bytes(a | b for a, b in zip(at(0x8001, b"CD001"), at(0x8807, BOOTABLE), strict=True))


class Files(unittest.TestCase):
    """With a directory of its own."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def file(self, data: bytes, name: str = "file") -> Path:
        """Write one."""
        path = self.directory / name
        path.write_bytes(data)
        return path

    def refused(self, order: Order, why: str) -> None:
        """See that ORDER is, with words that have WHY."""
        with self.assertRaisesRegex(MachineError, why):
            boot_file.check(order)


class Kinds(Files):
    """What a file is, by its contents."""

    def test_known(self) -> None:
        hybrid = bytes(a | b for a, b in zip(ISO, DISK, strict=True))
        for data, kind in (
            (ISO, Kind.ISO),
            (hybrid, Kind.ISO),
            (DISK, Kind.DISK),
            (LINUX, Kind.LINUX),
            (bytes(a | b for a, b in zip(LINUX, DISK, strict=True)), Kind.LINUX),
            (multiboot(), Kind.MULTIBOOT),
            (gzip.compress(multiboot()), Kind.MULTIBOOT),
        ):
            self.assertIs(boot_file.kind_of(self.file(data)), kind)

    def test_unknown(self) -> None:
        for data, why in (
            (b"", "is empty"),
            (bytes(1024), "no ISO image, no disk"),
            (at(0x8001, b"CD001"), "no El Torito"),
            (multiboot(7), "no multiboot kernel"),
            (DISK + b"1", "no multiple of 512"),
            (b"QFI\xfb" + DISK[4:], "qemu-img convert"),
            (gzip.compress(DISK), "gunzip"),
            (b"\xfd7zXZ" + bytes(99), "xz -d"),
            (b"\x7fELF" + bytes(9999), "bzImage"),
            (b"\x7fELF" + struct.pack("<I", 0xE85250D6) + bytes(9999), "multiboot2"),
        ):
            self.refused(Order(self.file(data)), why)
        self.refused(Order(self.directory / "nothing"), "No such file")


class Orders(Files):
    """What goes with what."""

    def test_refused(self) -> None:
        linux, xen = self.file(LINUX, "linux"), self.file(multiboot(), "xen")
        disk, empty = self.file(DISK, "disk"), self.file(b"", "empty")
        self.refused(Order(disk, arguments="quiet"), "brings its own kernel")
        self.refused(Order(disk, xen=xen), "brings its own kernel")
        self.refused(Order(xen, xen=xen), "starts a bzImage")
        self.refused(Order(linux, xen=linux), "no multiboot kernel")
        self.refused(Order(linux, xen_arguments="x"), "without XEN")
        self.refused(Order(linux, initrd=empty), "empty")
        for text in ("a\nb", "a --- b", "a" * 3000):
            self.refused(Order(linux, arguments=text), "at most")
        self.assertIs(boot_file.check(Order(linux, arguments="a---b")), Kind.LINUX)

    def _packed(self, order: Order) -> tuple[str, set[str]]:
        """The label and the files that the ISO would have."""
        made = []

        def write(tree: Path, label: str, _: Path) -> None:
            made.append((label, {path.name for path in tree.iterdir()}))

        modules = {"_MBOOT": self.file(b"m", "mboot.c32"), "_LIBCOM": self.file(b"l", "lib.c32")}
        with (
            mock.patch.multiple(boot_file, **modules),
            mock.patch.object(image, "write_iso", write),
        ):
            boot_file.pack(order, boot_file.check(order), self.directory / "machine.iso")
        self.assertFalse((self.directory / "machine.tree").exists())
        return made[0]

    def test_labels(self) -> None:
        linux, initrd = self.file(LINUX, "linux"), self.file(b"1", "initrd")
        xen = self.file(multiboot(), "xen")
        label, files = self._packed(Order(linux, arguments="quiet"))
        self.assertEqual(label, " kernel /kernel\n append quiet\n")
        self.assertEqual(files, {"kernel"})
        label, files = self._packed(Order(linux, initrd, "quiet"))
        self.assertEqual(label, " kernel /kernel\n append initrd=/initrd quiet\n")
        self.assertEqual(files, {"kernel", "initrd"})
        label, files = self._packed(Order(linux, initrd, "quiet", xen, "dom0=pvh"))
        self.assertEqual(
            label, " kernel /mboot.c32\n append /xen dom0=pvh --- /kernel quiet --- /initrd\n"
        )
        self.assertEqual(files, {"kernel", "initrd", "xen", "mboot.c32", "lib.c32"})
        label, files = self._packed(Order(xen, arguments="noreboot"))
        self.assertEqual(label, " kernel /mboot.c32\n append /kernel noreboot\n")

    def test_defaults(self) -> None:
        linux = self.file(LINUX)
        self.assertIn("console=ttyS0", Order(linux).command_line)
        self.assertEqual(Order(linux, xen=linux).command_line, "console=hvc0")
        self.assertIn("console=com1", Order(linux, xen=linux).xen_command_line)
        self.assertEqual(Order(linux, arguments="").command_line, "")
