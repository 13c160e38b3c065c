# SPDX-License-Identifier: GPL-2.0
"""`run.py mutants`: break each rule in Rust once, alone, and see which test notices.

A mutant is one edit of the module (selftests/mutants.toml). All are built, and those whose
tests need the same parameters of kvm_intel run one after the other in one boot, behind the
module as it is, which must pass everything.
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from boots import Boot, Parts, run_boots
from errors import MachineError
from module_edits import apply_edit, build_module, copy_sources, run_command
from plan import Group, Plan
from results import Status
from testlist import Entry, read_own_plan

CHECKOUT = Path(__file__).resolve().parents[2]
LIST = CHECKOUT / "selftests" / "mutants.toml"
INTACT = "intact"


@dataclass
class Mutant:
    """One broken rule, and what noticed."""

    name: str
    rule: str
    file: str = ""
    old: str = ""
    new: str = ""
    tests: list[str] = field(default_factory=list)
    host: bool = False
    caught_by: list[str] = field(default_factory=list)
    caught_on_host: bool | None = None

    def survived(self) -> bool:
        """Whether a test that should have noticed did not."""
        return bool(self.tests and not self.caught_by) or self.caught_on_host is False


def run_mutants(parts: Parts, only: str | None) -> int:
    """Build, run, report; 0 if every mutant was caught and the intact module passed."""
    mutants = [m for m in read_mutants() if only in (None, m.name, m.rule)]
    if not mutants:
        raise MachineError(f"no mutant {only} in {LIST}")
    intact = Mutant(INTACT, "-", tests=sorted({t for m in mutants for t in m.tests}))
    shutil.rmtree(parts.output / "mutants", ignore_errors=True)
    for number, mutant in enumerate([intact, *mutants], start=1):
        print(f"[{number}/{len(mutants) + 1}] {mutant.name}", file=sys.stderr, flush=True)
        _build(mutant, parts)
    _run(intact, mutants, parts)
    report = _table(mutants)
    print(report)
    (parts.output / "mutants.md").write_text(report + "\n", encoding="utf-8")
    records = [mutant.__dict__ for mutant in mutants]
    (parts.output / "mutants.json").write_text(json.dumps(records, indent=1) + "\n")
    for test in intact.caught_by:
        print(f"the intact module fails {test}", file=sys.stderr)
    survivors = [mutant for mutant in mutants if mutant.survived()]
    print(f"{len(mutants) - len(survivors)} caught, {len(survivors)} not caught")
    return 1 if survivors or intact.caught_by else 0


def read_mutants() -> list[Mutant]:
    """All of the list."""
    with open(LIST, "rb") as file:
        return [Mutant(**record) for record in tomllib.load(file)["mutant"]]


def _build(mutant: Mutant, parts: Parts) -> None:
    """Make the mutant's module, and run the host's tests on it."""
    tree = copy_sources(mutant.name, parts)
    if mutant.file:
        apply_edit(tree, mutant)
    if mutant.host:
        target = {"CARGO_TARGET_DIR": str(parts.output / "mutants" / "cargo")}
        command = ["cargo", "test", "--quiet", "--offline"]
        command += ["--manifest-path", str(tree / "selftests/policy/Cargo.toml")]
        done = run_command(command, target)
        if "test result:" not in done.stdout:
            raise MachineError(f"{mutant.name}: the host's tests do not build:\n{done.stderr}")
        mutant.caught_on_host = done.returncode != 0
    build_module(tree, _file(mutant, parts), parts)


def _file(mutant: Mutant, parts: Parts) -> Path:
    return parts.output / "mutants" / f"{mutant.name}.ko"


def _run(intact: Mutant, mutants: list[Mutant], parts: Parts) -> None:
    """Run every mutant's tests; fill in what caught it."""
    everyone = {mutant.name: mutant for mutant in (intact, *mutants)}
    entries = [e for e in read_own_plan(CHECKOUT / "selftests/plan.txt").entries if e.groups]
    missing = set(intact.tests) - {entry.program for entry in entries} - {"insmod"}
    if missing:
        raise MachineError(f"{LIST} names tests that are not in the plan: {sorted(missing)}")
    boots = []
    for parameters in dict.fromkeys(entry.parameters for entry in entries):
        share = [e for e in entries if e.parameters == parameters and "loaded" in e.groups]
        boots.append(_boot(parameters, share, list(everyone.values()), parts))
    for finished in run_boots([boot for boot in boots if boot]):
        for result in finished.results():
            if result.group not in everyone or result.status is not Status.FAILED:
                continue
            everyone[result.group].caught_by.append(result.name)


def _boot(parameters: str, share: list[Entry], mutants: list[Mutant], parts: Parts) -> Boot | None:
    groups = []
    for mutant in mutants:
        steps = tuple(entry.step for entry in share if entry.program in mutant.tests)
        if not steps and not (mutant.tests == ["insmod"] and not parameters):
            continue
        groups.append(Group(mutant.name, mutant.rule, "loaded", steps, file=mutant.name))
        groups.append(Group(f"after-{mutant.name}", "", "absent", ()))
    if not groups:
        return None
    plan = Plan(tuple(groups), kvm_options={"kvm-intel": parameters} if parameters else {})
    files = tuple(
        _file(mutant, parts)
        for mutant in mutants
        if f"after-{mutant.name}" in {group.name for group in groups}
    )
    name = "mutants-" + (parameters.replace("=", "").replace(" ", "-") or "plain")
    programs = tuple(dict.fromkeys(entry.program for entry in share))
    return Boot(
        name, plan, programs, replace(parts, module=None, extra_modules=parts.extra_modules + files)
    )


def _table(mutants: list[Mutant]) -> str:
    lines = ["| rule | broken how | noticed in the machine by | on the host |", "|---|---|---|---|"]
    for mutant in mutants:
        host = {True: "noticed", False: "NOT NOTICED", None: "-"}[mutant.caught_on_host]
        machine = ", ".join(mutant.caught_by) or ("NOT NOTICED" if mutant.tests else "-")
        lines.append(f"| {mutant.rule} | {mutant.name} | {machine} | {host} |")
    return "\n".join(lines)
