# SPDX-License-Identifier: GPL-2.0
"""Reports in words."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

import explain as explain_module
from code_names import CodeNames
from explain import explain, explain_all
from reports import GUEST_OWNED, Report
from results import Result, Status, stale_text
from tests.test_reports import line

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

    def test_the_words_do_not_matter(self) -> None:
        text = self._text(debt="reworded", cause="other_vcpu")
        self.assertIn("because  reworded: vCPU 1, then vCPU 1", text)

    def test_the_oracle_has_the_words(self) -> None:
        source = Path(__file__).resolve().parents[3] / "tlbsan/instrument/words.cc"
        known = re.findall(r'return \{ "(\w+)", ', source.read_text(encoding="utf-8"))
        used = {*explain_module._CHANGED, explain_module._EPT_LOST_RIGHT, *explain_module._OPERANDS}
        self.assertEqual(used - set(known), set())

    def test_what_was_executed_and_promised(self) -> None:
        def operation(name: str, action: str, a: str, level: str) -> dict:
            place = {"b": "0x5000", "rip": "0x7000", "in": level}
            return {"operation": name, "action": action, "a": a, **place}

        text = self._text(
            since=[
                operation("INVEPT single", "invept_single", "0x87d05e", "root"),
                operation("INVVPID address", "invvpid_address", "0x3", "root"),
                operation("INVLPG", "invlpg", "0x0", "L2"),
            ],
            promised=[
                operation("VM exit with VPID off in vmcs12", "l1_exit_without_vpid", "0x0", "L2")
            ],
        )
        self.assertIn("INVEPT single EP4TA 0x87d000, by 0x7000\n", text)
        self.assertIn("INVVPID address of VPID 3, 0x5000, by 0x7000\n", text)
        self.assertIn("INVLPG of 0x5000, PCID 0, by 0x7000 in L2", text)
        self.assertIn("VM exit with VPID off in vmcs12, by 0x7000 in L2\n", text)
        self.assertNotIn("no invalidation", text)

    def test_what_would_have_helped(self) -> None:
        now = line("step.1")["now"]
        vpid, ept = "INVVPID of VPID 2", "INVEPT of EP4TA 0x87d000"
        for finding, cause, helps in (
            ("page_fault", "other_vcpu", f"{vpid}, or {ept}, on CPU 0"),
            ("ept_refusal", "other_eptp12", f"{vpid}, or {ept}, on CPU 0"),
            ("ept_refusal", "ept_right", f"missing    {ept} on CPU 0"),
            ("guest_physical", "ept_page", f"missing    {ept} on CPU 0"),
            ("other_host_page", "ept_page", f"missing    {ept} on CPU 0"),
        ):
            self.assertIn(helps, self._text(finding=finding, cause=cause), finding)
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
