# SPDX-License-Identifier: GPL-2.0
"""selftests/removals/rules.toml: what can be taken out, where, and what is to come of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from errors import MachineError

CHECKOUT = Path(__file__).resolve().parents[2]
LIST = CHECKOUT / "selftests" / "removals" / "rules.toml"


@dataclass(frozen=True)
class Rule:
    """One flush: a name that the test kernel's removed_flushes knows."""

    name: str
    # In words: what is left out.
    removes: str
    # Parameters of kvm_intel to try it with; "" are none.
    boots: tuple[str, ...] = ("",)
    # The edit of selftests/mutants.toml that takes it out of the module; "": still in C.
    rust: str = ""
    # Other rules whose flush comes as well, so that only all of them removed are seen.
    masked: tuple[str, ...] = ()
    # Why the oracle can't see it; a program must fail by what it reads itself. With `masked`, only
    # without that as well.
    values: str = ""
    # Why nothing can see it.
    unseen: str = ""

    def names(self) -> tuple[str, ...]:
        """What has to be taken out for a report."""
        return (self.name, *self.masked)


def read_rules(path: Path = LIST) -> dict[str, Rule]:
    """All of the list, by name."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MachineError(f"{path}: {error}") from error
    rules = {}
    for name, record in table.items():
        try:
            rule = Rule(name, **record)
        except TypeError as error:
            raise MachineError(f"{path}: {name}: {error}") from error
        if rule.unseen and (rule.masked or rule.values):
            raise MachineError(f"{path}: {name} is unseen, and masked or values")
        rules[name] = replace(rule, boots=tuple(rule.boots), masked=tuple(rule.masked))
    for rule in rules.values():
        for other in rule.masked:
            if other not in rules:
                raise MachineError(f"{path}: {rule.name} is masked by {other}, which is no rule")
    return rules


def choose(rules: dict[str, Rule], only: str | None) -> list[Rule]:
    """All rules, or ONLY: one by its name, or those of a row ("H1" for H1_ept and H1_vpid)."""
    if only is None:
        return list(rules.values())
    chosen = [r for r in rules.values() if r.name == only or r.name.startswith(only + "_")]
    if not chosen:
        raise MachineError(f"no rule {only}; there are: {' '.join(rules)}")
    return chosen
