#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Is docs/rules.md true? Every rule has one section, every function and test it names exists, and
every rule that Rust decides has a test, and is broken: by an edit in selftests/mutants.toml, or in
a function of the policy by cargo-mutants, which policy_mutants.py sees to. Each edit, and each of
selftests/nets.toml, can be made.

A section begins with "### X1: What the rule says" and ends at the next heading. What it names is in
a list of fields, such as "- Machine test: `bug_hv_calls`, `hv_forms`". A field may continue in
lines that are indented.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from policy_items import read_items, rules_of
from testlist import read_own_plan

CHECKOUT = Path(__file__).resolve().parents[2]
# The rules, by what they are about: hooks and what they rest on, nested transitions, Hyper-V,
# the APIC-access page, roles, KVM bugs; and the translations of several vpid12s.
RULES = [
    f"{letter}{number}"
    for letter, last in (("H", 17), ("T", 15), ("E", 17), ("A", 5), ("R", 7), ("X", 14))
    for number in range(1, last + 1)
] + [f"V{number}" for number in (*range(1, 17), *range(18, 21), *range(22, 26))]
# Not a decision; the section says why.
_NO_MUTANT = {"H7"}
_FIELDS = ("Source", "C", "Rust", "Machine test", "Host test")
_SECTION = re.compile(r"### ([A-Z]\d+): +\S")
_FIELD = re.compile(r"- ([A-Z][A-Za-z]*(?: test)?): *(.*)")


@dataclass(frozen=True)
class Section:
    """What is written about one rule: its fields, by their names."""

    rule: str
    fields: dict[str, str] = field(default_factory=dict)

    def names(self, name: str) -> list[str]:
        """What a field has in backquotes."""
        return re.findall(r"`([^`]+)`", self.fields.get(name, ""))


def read_sections(text: str) -> list[Section]:
    """The sections of all rules, in their order."""
    sections: list[Section] = []
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            section = _SECTION.match(line)
            fields = {}
            if section:
                sections.append(Section(section[1], fields))
        new = _FIELD.match(line)
        if new:
            name = new[1]
            fields[name] = new[2]
        elif name and line.startswith("  "):
            fields[name] += " " + line.strip()
        else:
            name = ""
    return sections


def problems(checkout: Path) -> list[str]:
    """What is wrong with the sections, a line each."""
    sections = read_sections((checkout / "docs/rules.md").read_text(encoding="utf-8"))
    plan = {entry.program for entry in read_own_plan(checkout / "selftests/plan.txt").entries}
    host = _host_tests(checkout / "rust_kvm_nvmx/policy_tests")
    mutants = _edits(checkout / "selftests/mutants.toml")
    broken = {rule for mutant in mutants for rule in rules_of(mutant["rule"])}
    named = {section.rule: section.names("Rust") for section in sections}
    for item in read_items(checkout / "rust_kvm_nvmx/policy", named):
        if item.is_function:
            broken |= set(item.rules)
    count = Counter(section.rule for section in sections)
    found = [f"{rule}: it has no section" for rule in RULES if rule not in count]
    found += [f"{rule}: it has {n} sections" for rule, n in count.items() if n > 1]
    for section in sections:
        rule = section.rule
        if rule not in RULES:
            found.append(f"{rule}: no rule of that name is known")
        for name in section.fields:
            if name not in _FIELDS:
                found.append(f"{rule}: no field is called {name}")
        for name in section.names("Rust"):
            if not _is_function(checkout / "rust_kvm_nvmx", name):
                found.append(f"{rule}: there is no {name} in rust_kvm_nvmx")
        tests = section.names("Machine test")
        found += [f"{rule}: {t} is not in selftests/plan.txt" for t in tests if t not in plan]
        patterns = section.names("Host test")
        for pattern in patterns:
            if not any(test.startswith(pattern.rstrip("*")) for test in host):
                found.append(f"{rule}: no test in rust_kvm_nvmx/policy_tests is called {pattern}")
        if not section.names("Rust"):
            continue
        if not tests and not patterns:
            found.append(f"{rule}: it is decided in Rust and has no test")
        if rule not in broken | _NO_MUTANT:
            found.append(
                f"{rule}: no edit in selftests/mutants.toml and no mutant of the policy breaks it"
            )
    for edit in mutants + _edits(checkout / "selftests/nets.toml"):
        path = checkout / "rust_kvm_nvmx" / edit["file"]
        number = path.read_text(encoding="utf-8").count(edit["old"]) if path.is_file() else 0
        if number != 1:
            found.append(f"{edit['rule']}: {edit['name']} finds its line {number} times")
    return found


def _edits(path: Path) -> list[dict[str, str]]:
    """The edits of the module that a list has in full."""
    (rows,) = tomllib.loads(path.read_text(encoding="utf-8")).values()
    return [row for row in rows if "old" in row]


def _host_tests(directory: Path) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in directory.glob("*.rs"))
    return re.findall(r"#\[test\]\s+fn (\w+)", text)


def _is_function(directory: Path, name: str) -> bool:
    """Whether a::b::c, or a::b::Type::c, is a function, constant or type c in a/b.rs, or a file."""
    modules = [word for word in name.split("::") if not word[0].isupper() or word.isupper()]
    types = [word for word in name.split("::") if word not in modules]
    path = directory.joinpath(*modules)
    if not types and len(modules) > 1 and path.with_suffix(".rs").is_file():
        return True
    last = None if name.split("::")[-1] in types else modules.pop()
    file = directory.joinpath(*modules).with_suffix(".rs")
    if not modules or not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    found = [rf"\b(struct|enum|impl(<.*>)?) {kind}\b" for kind in types]
    found += [rf"\b(fn|const) {last}\b"] if last else []
    return all(re.search(pattern, text) for pattern in found)


def main() -> int:
    """Print what is wrong; 0 if nothing is."""
    found = problems(CHECKOUT)
    for problem in found:
        print(f"docs/rules.md: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
