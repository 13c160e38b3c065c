#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Break the module's rules in every small way that cargo-mutants knows, one at a time: do the tests
on this host fail?

A mutant that survives must be in selftests/policy/survivors.toml, with the reason. Each rule that
the policy implements must have a mutant that does not survive."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from check_rules import read_sections
from errors import MachineError
from mutant_list import read_mutants
from policy_items import Item, item_at, read_items, rules_of

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "rust_kvm_nvmx/policy"
TESTS = CHECKOUT / "rust_kvm_nvmx/policy_tests"
PACKAGE = CHECKOUT / "selftests/policy"
SURVIVORS = PACKAGE / "survivors.toml"
# What makes lib.rs a place for tests of files that are somewhere else; here they are in it.
_ELSEWHERE = (
    "#![cfg(test)]\n",
    '#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]\n',
    '#[path = "../../../rust_kvm_nvmx/policy_tests/mod.rs"]\n',
)
# A test takes some tenths of a second. One that is led into a loop without end is noticed too.
_TIMEOUT = 60
_MUTANT = re.compile(r"src/policy/(\w+\.rs):(\d+):\d+: (.*)")
# cargo-mutants: all noticed, some survive, some take too long.
_DONE = (0, 2, 3)


@dataclass(frozen=True)
class Mutant:
    """One change, and the item that it is in."""

    file: str
    line: int
    what: str
    item: Item | None

    def key(self) -> tuple[str, str]:
        """What it is called in the list of survivors: without its line, which moves."""
        where = f" in {self.item.name}" if self.item and " in " not in self.what else ""
        return self.file, self.what + where


@dataclass(frozen=True)
class Outcome:
    """All mutants, by what became of them."""

    noticed: list[Mutant]
    survived: list[Mutant]
    unviable: list[Mutant]


@dataclass(frozen=True)
class Survivor:
    """An entry of the list."""

    file: str
    mutant: str
    reason: str
    count: int = 1

    def key(self) -> tuple[str, str]:
        """As Mutant's."""
        return self.file, self.mutant


def make_package(directory: Path) -> None:
    """The package of the host's tests with the files of the policy and of its tests in it:
    cargo-mutants changes copies of a package, and no file outside of it."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(PACKAGE / "src", directory / "src")
    shutil.copytree(POLICY, directory / "src/policy")
    shutil.copytree(TESTS, directory / "src/policy_tests")
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(PACKAGE / name, directory / name)
    path = directory / "src/lib.rs"
    text = path.read_text(encoding="utf-8")
    for line in _ELSEWHERE:
        if text.count(line) != 1:
            raise MachineError(f"selftests/policy/src/lib.rs has not one line {line.strip()}")
        text = text.replace(line, "")
    path.write_text(text, encoding="utf-8")


def run(cargo_mutants: Path, package: Path, output: Path, jobs: int) -> Outcome:
    """Run cargo-mutants."""
    command = [str(cargo_mutants), "mutants", "--dir", str(package), "--output", str(output)]
    command += ["--file", "src/policy/**", "--jobs", str(jobs), "--timeout", str(_TIMEOUT)]
    command += ["--no-shuffle", "--colors", "never", "--cargo-arg", "--offline"]
    status = subprocess.run(command, check=False).returncode
    if status not in _DONE:
        raise MachineError(f"cargo-mutants: status {status}, see above")
    return read_outcome(output / "mutants.out", policy_items())


def policy_items() -> list[Item]:
    """Of the checkout."""
    sections = read_sections((CHECKOUT / "docs/rules.md").read_text(encoding="utf-8"))
    return read_items(POLICY, {section.rule: section.names("Rust") for section in sections})


def read_outcome(directory: Path, items: list[Item]) -> Outcome:
    """What cargo-mutants has written."""

    def read(*names: str) -> list[Mutant]:
        mutants = []
        for name in names:
            for line in (directory / f"{name}.txt").read_text(encoding="utf-8").splitlines():
                match = _MUTANT.fullmatch(line)
                if not match:
                    raise MachineError(f"{directory}/{name}.txt: what is this mutant? {line}")
                at = int(match[2])
                mutants.append(Mutant(match[1], at, match[3], item_at(items, match[1], at)))
        return mutants

    return Outcome(read("caught", "timeout"), read("missed"), read("unviable"))


def read_survivors(path: Path = SURVIVORS) -> list[Survivor]:
    """The list."""
    try:
        records = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
        survivors = [Survivor(**record) for record in records]
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise MachineError(f"{path}: {error}") from error
    for key, count in Counter(survivor.key() for survivor in survivors).items():
        if count > 1:
            raise MachineError(f"{path}: {key[0]}: {key[1]} stands there {count} times")
    return survivors


def problems(
    outcome: Outcome, survivors: list[Survivor], items: list[Item], edited: set[str]
) -> list[str]:
    """What is wrong, a line each. EDITED are the rules that selftests/mutants.toml breaks."""
    found = []
    explained = {survivor.key(): survivor.count for survivor in survivors}
    seen = Counter(mutant.key() for mutant in outcome.survived)
    for mutant in outcome.survived:
        if seen[mutant.key()] > explained.get(mutant.key(), 0):
            file, what = mutant.key()
            found.append(f"policy/{file}:{mutant.line}: no test fails: {what}")
    for (file, what), count in explained.items():
        if seen[(file, what)] < count:
            number = f"{seen[(file, what)]} of {count}" if count > 1 else "it"
            text = "survive" if count > 1 else "does not survive"
            found.append(f"survivors.toml: {file}: {what}: {number} {text}: correct the entry")
    noticed = {rule for mutant in outcome.noticed if mutant.item for rule in mutant.item.rules}
    for rule in dict.fromkeys(rule for item in items for rule in item.rules):
        if rule not in noticed | edited:
            found.append(f"{rule}: no mutant of it is noticed")
    return found


def report(outcome: Outcome, survivors: list[Survivor]) -> str:
    """In Markdown: the rules, and what survives."""
    rules: dict[str, Counter[str]] = {}
    for name, mutants in vars(outcome).items():
        for mutant in mutants:
            for rule in mutant.item.rules if mutant.item and mutant.item.rules else ("none",):
                rules.setdefault(rule, Counter())[name] += 1
    lines = ["| rule | noticed | survive | do not build |", "|---|---:|---:|---:|"]
    for rule, counts in sorted(rules.items()):
        numbers = [str(counts[name]) for name in ("noticed", "survived", "unviable")]
        lines.append(f"| {rule} | {' | '.join(numbers)} |")
    reasons = {survivor.key(): survivor.reason for survivor in survivors}
    lines.append("")
    for mutant in outcome.survived:
        reason = reasons.get(mutant.key(), "NOT EXPLAINED")
        lines.append(f"- `{mutant.file}:{mutant.line}`: `{mutant.key()[1]}`: {reason}")
    return "\n".join(lines)


def main() -> int:
    """Run everything; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(prog="policy_mutants.py", description=__doc__)
    parser.add_argument("--cargo-mutants", type=Path, required=True, help="the program")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    options = parser.parse_args()
    try:
        survivors = read_survivors()
        edited = {rule for mutant in read_mutants() for rule in rules_of(mutant.rule)}
        package = options.out / "package"
        make_package(package)
        outcome = run(options.cargo_mutants, package, options.out, options.jobs)
        found = problems(outcome, survivors, policy_items(), edited)
        text = report(outcome, survivors)
        (options.out / "policy-mutants.md").write_text(text + "\n", encoding="utf-8")
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for problem in found:
        print(problem, file=sys.stderr)
    print(
        f"policy mutants: {len(outcome.noticed)} noticed,"
        f" {len(outcome.survived)} survive, {len(outcome.unviable)} do not build"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
