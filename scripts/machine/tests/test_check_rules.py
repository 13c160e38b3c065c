# SPDX-License-Identifier: GPL-2.0
"""docs/rules.md is true, and the check of it sees what is not."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path

from check_rules import CHECKOUT, problems


class Rules(unittest.TestCase):
    """A copy of what the check reads, changed in one place."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.copy = Path(holder.name)
        shutil.copytree(CHECKOUT / "rust_kvm_nvmx", self.copy / "rust_kvm_nvmx")
        lists = ("plan.txt", "mutants.toml", "nets.toml")
        for name in ("docs/rules.md", *(f"selftests/{name}" for name in lists)):
            (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, self.copy / name)

    def changed(self, name: str, old: str, new: str) -> list[str]:
        """The problems with OLD in the file replaced by NEW."""
        path = self.copy / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new), encoding="utf-8")
        return problems(self.copy)

    def test_as_it_is(self) -> None:
        self.assertEqual(problems(self.copy), [])

    def test_a_section_that_is_missing(self) -> None:
        found = self.changed("docs/rules.md", "### E9: ", "### ")
        self.assertEqual(found, ["E9: it has no section"])

    def test_a_rule_with_two_sections(self) -> None:
        found = self.changed("docs/rules.md", "### E9: ", "### E8: ")
        self.assertEqual(found, ["E9: it has no section", "E8: it has 2 sections"])

    def test_a_rule_nobody_knows(self) -> None:
        found = self.changed("docs/rules.md", "### E9: ", "### E99: ")
        self.assertIn("E99: no rule of that name is known", found)

    def test_a_field_nobody_knows(self) -> None:
        found = self.changed("docs/rules.md", "- Rust: `policy::flush::all`", "- Rusty: `all`")
        self.assertEqual(found, ["H1: no field is called Rusty"])

    def test_a_field_of_two_lines(self) -> None:
        where = "rust_kvm_nvmx/policy/invalidate.rs"
        found = self.changed(where, "fn where_vpid02_is(", "fn where_(")
        self.assertIn("T6: there is no policy::invalidate::where_vpid02_is in rust_kvm_nvmx", found)

    def test_a_function_that_is_gone(self) -> None:
        found = self.changed("rust_kvm_nvmx/policy/roles.rs", "fn cr0_request(", "fn cr0_(")
        self.assertIn("R1: there is no policy::roles::cr0_request in rust_kvm_nvmx", found)

    def test_a_machine_test_that_is_gone(self) -> None:
        found = self.changed("selftests/plan.txt", "tlb_vmfunc ", "tlb_vmfunk ")
        self.assertIn("T11: tlb_vmfunc is not in selftests/plan.txt", found)

    def test_a_host_test_that_is_gone(self) -> None:
        found = self.changed("rust_kvm_nvmx/policy_tests/transition.rs", "fn t11_", "fn u11_")
        self.assertEqual(found, ["T11: no test in rust_kvm_nvmx/policy_tests is called t11_*"])

    def test_a_rule_without_a_test(self) -> None:
        tests = "- Machine test: `tlb_vmfunc`\n- Host test: `t11_*`\n"
        found = self.changed("docs/rules.md", tests, "")
        self.assertEqual(found, ["T11: it is decided in Rust and has no test"])

    def test_a_rule_that_is_never_broken(self) -> None:
        found = self.changed("selftests/mutants.toml", 'rule = "A1"', 'rule = "A99"')
        self.assertEqual(
            found, ["A1: no edit in selftests/mutants.toml and no mutant of the policy breaks it"]
        )

    def test_a_rule_that_mutants_of_the_policy_break(self) -> None:
        self.assertEqual(self.changed("selftests/mutants.toml", 'rule = "T11"', 'rule = "T99"'), [])

    def test_an_edit_that_cannot_be_made(self) -> None:
        where = "rust_kvm_nvmx/nested_tlb/hv_drain.rs"
        found = self.changed(where, "entries.len() > 1 && vcpu.options()", "vcpu.options()")
        self.assertEqual(
            found, ["V24: ranges-of-several-senders-are-not-joined finds its line 0 times"]
        )

    def test_an_edit_of_another_list_that_cannot_be_made(self) -> None:
        file = self.copy / "selftests/nets.toml"
        with file.open("a", encoding="utf-8") as rows:
            rows.write('[[row]]\nname = "gone"\nrule = "E9"\nfile = "gone.rs"\nold = "x"\n')
        self.assertEqual(problems(self.copy), ["E9: gone finds its line 0 times"])


if __name__ == "__main__":
    unittest.main()
