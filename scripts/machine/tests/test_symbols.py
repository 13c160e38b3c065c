# SPDX-License-Identifier: GPL-2.0
"""Names of functions: out of symbol tables, and whose code an address is."""

from __future__ import annotations

import struct
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
from witness import OUTSIDE

_CODE = 6  # allocated, executable


def elf(kind: int, sections: list[tuple], symbols: list[tuple]) -> bytes:
    """An ELF file: sections of code as (name, address, size, align), symbols as
    (name, info, section, value, size)."""
    strings = b"\0"
    rows = [(0,) * 10]

    def text(value: str) -> int:
        nonlocal strings
        strings += value.encode() + b"\0"
        return len(strings) - len(value) - 1

    for name, address, size, align in sections:
        rows.append((text(name), 1, _CODE, address, 0, size, 0, 0, align, 0))
    table = b"\0" * 24
    for name, info, section, value, size in symbols:
        table += struct.pack("<IBBHQQ", text(name), info, 0, section, value, size)
    last = len(rows) + 1
    rows.append((text(".symtab"), 2, 0, 0, 64, len(table), last, 0, 8, 24))
    rows.append((text(".strtab"), 3, 0, 0, 64 + len(table), len(strings) + 9, 0, 0, 1, 0))
    strings += b"\0" * 9
    head = struct.pack(
        "<5s11xHHIQQQIHHHHHH",
        b"\x7fELF\x02",
        kind,
        62,
        1,
        0,
        0,
        64 + len(table) + len(strings),
        0,
        64,
        0,
        0,
        64,
        len(rows),
        last,
    )
    return head + table + strings + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)


FUNCTION, GLOBAL_FUNCTION, UNTYPED, OBJECT = 2, 18, 16, 1


class Symbols(unittest.TestCase):
    """Addresses become names, or nothing."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self._directory = Path(scratch.name)

    def _file(self, name: str, *content: object) -> Path:
        path = self._directory / name
        path.write_bytes(elf(*content))
        return path

    def program(self) -> Path:
        """One with functions at 0x401000, 0x401040 and an assembly label."""
        return self._file(
            "program",
            2,
            [(".text", 0x401000, 0x100, 16)],
            [
                ("second", GLOBAL_FUNCTION, 1, 0x401040, 0x20),
                ("first", FUNCTION, 1, 0x401000, 0x30),
                ("assembly", UNTYPED, 1, 0x401080, 0),
                ("local_alias", FUNCTION, 1, 0x401040, 0x20),
                ("data", OBJECT, 1, 0x401060, 8),
            ],
        )

    def module(self) -> Path:
        """One whose code is placed behind what goes after its initialisation."""
        return self._file(
            "module.ko",
            1,
            [(".init.text", 0, 0x40, 16), (".text", 0, 0x21, 16), (".noinstr.text", 0, 0x10, 64)],
            [
                ("starts", FUNCTION, 1, 0, 0x40),
                ("flushes", FUNCTION, 2, 0x10, 0x11),
                ("enters", FUNCTION, 3, 0, 0x10),
            ],
        )

    def test_a_program(self) -> None:
        table = SymbolTable(self.program())
        for address, name in (
            (0x401000, "first+0x0"),
            (0x40102F, "first+0x2f"),
            (0x401030, ""),
            (0x401041, "second+0x1"),
            (0x401060, ""),
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
        vmlinux = self._file("vmlinux", 2, [(".text", 0xF000, 16, 16)], [("boot", 2, 1, 0xF000, 8)])
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
