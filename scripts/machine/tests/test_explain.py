# SPDX-License-Identifier: GPL-2.0
"""Reports in words, and the names of functions in them."""

from __future__ import annotations

import struct
import tempfile
import unittest
from pathlib import Path

from code_names import CodeNames
from explain import explain, explain_all
from reports import GUEST_OWNED, Report
from results import Result, Status, stale_text
from symbols import SymbolTable
from tests.test_reports import line

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


NOBODY = CodeNames(Path("/nonexistent"), {}, None)


class Words(unittest.TestCase):
    """What a person has to know is in the text."""

    def _text(self, **changed: object) -> str:
        raw = line("step.1", **changed)
        return "\n".join(explain(raw, 1, {"r": 1}, NOBODY))

    def test_another_vpid12(self) -> None:
        text = self._text()
        for part in (
            "stale: other_page in L2 on CPU 0 (regions: r 1)",
            "linear 0x640000001000, guest-physical 0x162000: a page of 4 KiB",
            "VPID 2 (L2's), PCID 0, EP4TA 0x87d000",
            "may hold   guest-physical page 0x115000 at host page 0x15ac000",
            "made by  0x402956, L2 of vCPU 1, vpid12 1, no eptp12, CR3 0x110000, 392,639 inst",
            "now there  guest-physical page 0x162000 at host page 0x15ab000",
            "used by  0x402956, L2 of vCPU 1, vpid12 2, no eptp12, CR3 0x15d000, CPL 0",
            "missing    INVVPID of VPID 2, or INVEPT of EP4TA 0x87d000, on CPU 0",
            "made under another vpid12: 1, then 2",
            "no invalidation was executed on CPU 0 since",
        ):
            self.assertIn(part, text)

    def test_what_was_executed_and_promised(self) -> None:
        def operation(name: str, a: str, level: str) -> dict:
            return {"operation": name, "a": a, "b": "0x5000", "rip": "0x7000", "in": level}

        text = self._text(
            since=[
                operation("INVEPT single", "0x87d05e", "root"),
                operation("INVVPID address", "0x3", "root"),
                operation("INVLPG", "0x0", "L2"),
            ],
            promised=[operation("VM exit with VPID off in vmcs12", "0x0", "L2")],
        )
        self.assertIn("INVEPT single EP4TA 0x87d000, by 0x7000\n", text)
        self.assertIn("INVVPID address of VPID 3, 0x5000, by 0x7000\n", text)
        self.assertIn("INVLPG of 0x5000, PCID 0, by 0x7000 in L2", text)
        self.assertIn("VM exit with VPID off in vmcs12, by 0x7000 in L2\n", text)
        self.assertNotIn("no invalidation", text)

    def test_what_would_have_helped(self) -> None:
        now = line("step.1")["now"]
        vpid, ept = "INVVPID of VPID 2", "INVEPT of EP4TA 0x87d000"
        for finding, debt, helps in (
            ("page_fault", "made for another virtual CPU", f"{vpid}, or {ept}, on CPU 0"),
            ("ept_refusal", "made under another eptp12", f"{vpid}, or {ept}, on CPU 0"),
            ("ept_refusal", "its EPT lost a right, no INVEPT", f"missing    {ept} on CPU 0"),
            ("guest_physical", "its EPT changed, no INVEPT", f"missing    {ept} on CPU 0"),
            ("other_host_page", "its EPT changed, no INVEPT", f"missing    {ept} on CPU 0"),
        ):
            self.assertIn(helps, self._text(finding=finding, debt=debt), finding)
        text = self._text(now=now | {"ep4ta": "0x0"})
        self.assertIn(f"missing    {vpid} on CPU 0", text)
        self.assertIn("no EPT", text)

    def test_what_is_there_now(self) -> None:
        page = "guest-physical page 0x162000 at host page 0x15ab000"
        for finding, there in (
            ("other_page", page),
            ("other_host_page", page),
            ("guest_physical", page),
            ("page_fault", "a page fault"),
            ("other_table", "next table 0x162000"),
            ("no_table", "no next table"),
            ("dirty", "the same page, with its dirty flag clear"),
            ("ept_dirty", "the same page, with its dirty flag in EPT clear"),
            ("ept_refusal", "an EPT violation or misconfiguration"),
            ("ept_table", "next table 0x15ab000"),
        ):
            self.assertIn(f"now there  {there}\n", self._text(finding=finding), finding)
        self.assertIn("no next table\n", self._text(finding="ept_table", host="0x0"))

    def test_tables(self) -> None:
        old = line("step.1")["old"] | {"size": 1 << 39}
        text = self._text(finding="other_table", old=old)
        self.assertIn("linear 0x640000001000: a table's entry over 512 GiB", text)
        self.assertIn("may hold   next table 0x15ac000", text)
        self.assertIn("now there  next table 0x162000", text)

    def test_levels(self) -> None:
        now, old = line("step.1")["now"], line("step.1")["old"]
        other = old | {"vmcs": "0x1000", "vpid12": 0}
        self.assertIn("L1 of vCPU 1, CR3 0x110000", self._text(old=other))
        text = self._text(old=other | {"vcpu": 2})
        self.assertIn("a guest of vCPU 2", text)
        text = self._text(now=now | {"level": "L1", "vpid12": 0, "vpid": 1})
        self.assertIn("VPID 1 (L1's)", text)
        text = self._text(now=now | {"vpid12": None, "ep4ta12": None})
        self.assertIn("vpid12 and eptp12 not known", text)

    def test_the_first_five_of_each_kind(self) -> None:
        found = [Report(line("step.1", finding=f"f{n}"), {"r": 2}) for n in range(7)]
        notes = [Report(line("step.1", GUEST_OWNED), {"r": 1})]
        explain_all([*notes, *found], NOBODY)
        self.assertEqual([bool(report.text) for report in found], [True] * 5 + [False] * 2)
        self.assertTrue(notes[0].text)
        result = Result("g", "a", Status.FAILED)
        result.reports = [
            {"raw": each.raw, "regions": each.regions, "text": each.text} for each in found
        ]
        lines = stale_text(result)
        self.assertEqual(sum("stale: " in each for each in lines), 5)
        self.assertIn("and 4 more, of 2 kinds", lines[-1])


if __name__ == "__main__":
    unittest.main()
