# SPDX-License-Identifier: GPL-2.0
"""Names of functions: out of symbol tables, and whose code an address is."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from bochs import Emulator
from boots import Boot, Parts
from code_names import CodeNames
from console import Console
from plan import MODULE, Group, Plan, Step
from session import Limits
from symbols import SymbolTable
from tests.assembly import assemble, link
from witness import OUTSIDE

PROGRAM = """
.type first, @function; first: .zero 0x30; .size first, . - first
.org 0x40
.globl second; .type second, @function; second:
.type local_alias, @function; local_alias: .zero 0x20
.size second, . - second; .size local_alias, . - local_alias
.type data, @object; data: .zero 8; .size data, . - data
.org 0x70
.globl label; label:
.org 0x80
.globl assembly; assembly:
.org 0x100
"""
# Its code is loaded without what goes after its initialisation.
MODULE_CODE = """
.text
.p2align 4; .zero 0x10
.type flushes, @function; flushes: .zero 0x11; .size flushes, . - flushes
.section .init.text, "ax"
.p2align 4
.type starts, @function; starts: .zero 0x40; .size starts, . - starts
.section .noinstr.text, "ax"
.p2align 6
.type enters, @function; enters: .zero 0x10; .size enters, . - enters
"""
KERNEL = ".type boot, @function; boot: .zero 8; .size boot, . - boot; .zero 8"


class Symbols(unittest.TestCase):
    """Addresses become names, or nothing."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self._directory = Path(scratch.name)

    def program(self) -> Path:
        """One with functions at 0x401000, 0x401040 and an assembly label."""
        return link(self._directory / "program", PROGRAM, 0x401000)

    def module(self) -> Path:
        """One of which a part goes after its initialisation."""
        return assemble(self._directory / "module.ko", MODULE_CODE)

    def test_a_program(self) -> None:
        table = SymbolTable(self.program())
        for address, name in (
            (0x401000, "first+0x0"),
            (0x40102F, "first+0x2f"),
            (0x401030, ""),
            (0x401041, "second+0x1"),
            (0x401060, ""),
            (0x40107F, "label+0xf"),
            (0x401080, "assembly+0x0"),
            (0x4010FF, "assembly+0x7f"),
            (0x401100, ""),
            (0x400FFF, ""),
        ):
            self.assertEqual(table.name(address), name, hex(address))

    def test_a_module(self) -> None:
        table = SymbolTable(self.module(), 0xA000)
        self.assertEqual(table.name(0xA010), "flushes+0x0")
        self.assertEqual(table.name(0xA044), "enters+0x4")
        self.assertEqual(table.name(0xA000), "")

    def test_what_is_no_program(self) -> None:
        path = self._directory / "text"
        path.write_text("#!/bin/sh\n")
        for each in (path, self._directory / "none"):
            self.assertEqual(SymbolTable(each).name(0x401000), "")

    def test_whose_code(self) -> None:
        names = CodeNames(self.program(), {"m": (self.module(), 0xA000)}, self.program())
        self.assertEqual(names.hypervisor(0xA012), "flushes+0x2 [m] (0xa012)")
        self.assertEqual(names.hypervisor(0x401002), "first+0x2 (0x401002)")
        self.assertEqual(names.hypervisor(0xB000), "0xb000")
        self.assertEqual(names.guest(0x401042), "second+0x2 (0x401042)")
        self.assertEqual(CodeNames(self.program(), {}, None).guest(0x401042), "0x401042")

    def test_whose_code_in_a_step(self) -> None:
        here = self._directory
        module = self.module()
        vmlinux = link(here / "vmlinux", KERNEL, 0xF000)
        steps = (Step("program", ("/tests/program",)), Step("sh", ("sh", "-c", ":")))
        parts = Parts(
            vmlinux.parent,
            here,
            Emulator(here),
            here,
            Limits(),
            False,
            extra_modules=(module,),
            program_directories=(here,),
        )
        # The file of the module under test may have another name: a mutant's.
        plan = Plan((Group("g", "", "loaded", steps, file="module"),))
        self.program()
        boot = Boot("b", plan, ("program",), parts)
        console = Console()
        for text in (
            "begin g/program",
            f"modules {MODULE} 0xa000",
            "end g/program 0 1.0 2.0",
            "begin g/sh",
            "modules other 0xb000 hidden 0x0",
            "end g/sh 0 1.0 2.0",
        ):
            console.tests_line(f"@machine {text}")
        names = boot.code_names(console, "g/program")
        self.assertEqual(names.hypervisor(0xA010), f"flushes+0x0 [{MODULE}] (0xa010)")
        self.assertEqual(names.hypervisor(0xF000), "boot+0x0 (0xf000)")
        self.assertEqual(names.guest(0x401000), "first+0x0 (0x401000)")
        # It was there when the next step began, and the shell is no test program.
        names = boot.code_names(console, "g/sh")
        self.assertEqual(names.hypervisor(0xA010), f"flushes+0x0 [{MODULE}] (0xa010)")
        self.assertEqual(names.guest(0x401000), "0x401000")
        self.assertEqual(boot.code_names(console, OUTSIDE).hypervisor(0xA010), "0xa010")


if __name__ == "__main__":
    unittest.main()
