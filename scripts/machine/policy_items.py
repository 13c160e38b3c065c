# SPDX-License-Identifier: GPL-2.0
"""The functions and constants of rust_kvm_nvmx/policy, and which rules each implements: those that
its comment begins with ("T2, T4, T5: the flush that ..."), and those whose section in docs/rules.md
names it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

_RULES = re.compile(r"((?:[A-Z]\d+(?:, | and | to |: ))+)")
_ITEM = re.compile(r"\s*(?:pub(?:\([a-z]+\))? )?(?:(?:const )?fn (\w+)|const (\w+):)")


@dataclass(frozen=True)
class Item:
    """One function or constant. What follows up to the next one is counted as its own."""

    file: str
    name: str
    line: int
    rules: tuple[str, ...]
    # The values of constants are not changed by cargo-mutants.
    is_function: bool


def rules_of(text: str) -> list[str]:
    """ "T1 to T5" is five rules, "H4 H15" two."""
    found = []
    for first, letter, last in re.findall(r"([A-Z]\d+)(?: to ([A-Z])(\d+))?", text):
        end = int(last) if letter else int(first[1:])
        found += [f"{first[0]}{number}" for number in range(int(first[1:]), end + 1)]
    return found


def read_items(directory: Path, named: dict[str, list[str]]) -> list[Item]:
    """Those of all files in DIRECTORY, in their order. NAMED has, by rule, what its section in
    docs/rules.md names, such as policy::hv_call::Shape::parse."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for rule, paths in named.items():
        for path in paths:
            words = path.split("::")
            if words[0] == "policy" and len(words) > 2:
                by_place.setdefault((f"{words[1]}.rs", words[-1]), []).append(rule)
    items = []
    for item in _items(directory):
        more = by_place.get((item.file, item.name), [])
        items.append(replace(item, rules=tuple(dict.fromkeys((*item.rules, *more)))))
    return items


def _items(directory: Path) -> list[Item]:
    """With the rules of their comments."""
    found = []
    for path in sorted(directory.glob("*.rs")):
        comment: list[str] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            text = line.strip()
            item = _ITEM.match(line)
            if item:
                rules = _RULES.match(comment[0]) if comment else None
                named = tuple(rules_of(rules[1])) if rules and rules[1].endswith(": ") else ()
                function, constant = item.groups()
                name = function or constant
                found.append(Item(path.name, name, number, named, bool(function)))
            if text.startswith("///"):
                comment.append(text.removeprefix("///").strip())
            elif not text.startswith("#["):
                comment = []
    return found


def item_at(items: list[Item], file: str, line: int) -> Item | None:
    """The one that LINE of FILE belongs to."""
    before = [item for item in items if item.file == file and item.line <= line]
    return before[-1] if before else None
