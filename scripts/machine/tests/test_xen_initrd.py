# SPDX-License-Identifier: GPL-2.0
"""The first domain's initramfs: which libraries and modules are in it."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

import xen_initrd
from errors import MachineError
from tests.test_boot_file import Files

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


class Libraries(Files):
    """Of this Python, which every test runs in."""

    def test_all_of_them(self) -> None:
        python = Path(sys.executable).resolve()
        found = xen_initrd.libraries([python], [self.directory, LIBRARIES])
        self.assertIn("libc.so.6", found)
        for library in found.values():
            self.assertLessEqual(set(xen_initrd.needed(library)), set(found))

    def test_one_is_missing(self) -> None:
        python = Path(sys.executable).resolve()
        with self.assertRaisesRegex(MachineError, "no lib"):
            xen_initrd.libraries([python], [self.directory])


class Modules(Files):
    """Of the kernel's package."""

    def test_packed_or_not(self) -> None:
        place = self.directory / "usr/lib/modules/6.12/kernel/drivers/xen"
        place.mkdir(parents=True)
        (place / "xen-evtchn.ko.xz").write_bytes(lzma.compress(b"packed"))
        (place / "xenfs.ko").write_bytes(b"plain")
        self.assertEqual(xen_initrd.module(self.directory, "xen-evtchn"), b"packed")
        self.assertEqual(xen_initrd.module(self.directory, "xenfs"), b"plain")
        with self.assertRaisesRegex(MachineError, "no module xen-privcmd"):
            xen_initrd.module(self.directory, "xen-privcmd")
