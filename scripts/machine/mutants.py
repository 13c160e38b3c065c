# SPDX-License-Identifier: GPL-2.0
"""`run.py mutants`: break each rule in Rust once, alone, and see which test notices.

A mutant is one edit of the module (selftests/mutants.toml). All are built, and each runs its
tests. So do C, with no module loaded, and the module as it is, which must pass everything. What
breaks the rules in the policy, on the host, is policy_mutants.py.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from boots import Boot, Finished, Parts, run_boots
from errors import MachineError
from markdown import wrap
from module_edits import build_edited, module_path
from mutant_list import CHECKOUT, LIST, Mutant, read_mutants
from plan import STOCK, Group, Plan, Step
from results import Status
from testlist import Entry, read_own_plan
from verdict import NEVER_RAN

C = "c"
INTACT = "intact"
# What a test takes is some seconds; one that a broken module has led astray must not hold up
# the rest.
_LIMIT = 12
# Rules of what is left out, and tests that expect it to be.
_NOT_STOCK = ("V", "X12")
# One boot is for this many at most: a mutant may take the machine with it.
_PER_BOOT = 10


@dataclass(frozen=True)
class Trial:
    """The tests of one mutant that want the same parameters of kvm_intel."""

    mutant: Mutant
    parameters: str
    steps: tuple[Step, ...]
    programs: tuple[str, ...]


def choose(mutants: list[Mutant], only: str | None) -> list[Mutant]:
    """Those whose name or rule is in ONLY, or all."""
    if only is None:
        return mutants
    wanted = set(only.split())
    chosen = [mutant for mutant in mutants if wanted & {mutant.name, mutant.rule}]
    if missing := wanted - {word for mutant in chosen for word in (mutant.name, mutant.rule)}:
        raise MachineError(f"no mutant, and no rule, {' '.join(sorted(missing))} in {LIST}")
    return chosen


def run_mutants(parts: Parts, only: str | None) -> int:
    """Build, run, report; 0 if every mutant was caught and C and the intact module passed."""
    mutants = choose(read_mutants(), only)
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    c, intact = Mutant(C, "-", tests=tests), Mutant(INTACT, "-", tests=tests)
    _build_all([intact, *mutants], parts)
    _run_all([c, intact, *mutants], parts)
    report = _list(c, intact, mutants)
    print(report)
    (parts.output / "mutants.md").write_text(report + "\n", encoding="utf-8")
    records = [asdict(mutant) for mutant in (c, intact, *mutants)]
    (parts.output / "mutants.json").write_text(json.dumps(records, indent=1) + "\n")
    for unbroken, what in ((c, "C"), (intact, "the intact module")):
        for test in unbroken.caught_by:
            print(f"{what} fails {test}", file=sys.stderr)
    survivors = [mutant for mutant in mutants if mutant.survived()]
    print(f"{len(mutants) - len(survivors)} caught, {len(survivors)} not caught")
    return 1 if survivors or intact.caught_by or c.caught_by else 0


def _build_all(mutants: list[Mutant], parts: Parts) -> None:
    shutil.rmtree(parts.output / "mutants", ignore_errors=True)

    def build(number: int, mutant: Mutant) -> None:
        print(f"[{number}/{len(mutants)}] {mutant.name}", file=sys.stderr, flush=True)
        build_edited(mutant.name, [mutant] if mutant.file else [], parts)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(build, range(1, len(mutants) + 1), mutants))


def _run_all(mutants: list[Mutant], parts: Parts) -> None:
    """Run every mutant's tests; fill in what caught it. A mutant that breaks the machine is
    caught by the test it did it in; those behind it get another machine."""
    pending = _trials(mutants)
    attempt = 0
    while pending:
        attempt += 1
        boots = []
        shares = list(_share(pending))
        for number, share in enumerate(shares, start=1):
            boots.append(_boot(f"mutants-{attempt}-{number}", share, parts))
        pending = []
        for finished, share in zip(run_boots(boots), shares, strict=True):
            left = _collect(finished, share)
            if len(left) == len(share):
                raise MachineError(f"{finished.boot.name}: no test of it ran")
            pending += left


def _trials(mutants: list[Mutant]) -> list[Trial]:
    entries = [e for e in read_own_plan(CHECKOUT / "selftests/plan.txt").entries if _fits(e)]
    known = {entry.program for entry in entries} | {"insmod"}
    missing = {test for mutant in mutants for test in mutant.tests} - known
    if missing:
        raise MachineError(f"{LIST} names tests that are not in the plan: {sorted(missing)}")
    trials = []
    for mutant in mutants:
        for parameters in dict.fromkeys(entry.parameters for entry in entries):
            own = [e for e in entries if e.parameters == parameters and e.program in mutant.tests]
            steps = tuple(replace(e.step, limit=min(_LIMIT, e.step.limit)) for e in own)
            if steps or (mutant.tests == ["insmod"] and not parameters):
                programs = tuple(dict.fromkeys(entry.program for entry in own))
                trials.append(Trial(mutant, parameters, steps, programs))
    return trials


def _fits(entry: Entry) -> bool:
    return "loaded" in entry.groups and not entry.long


def _share(trials: list[Trial]) -> Iterator[list[Trial]]:
    """Boots of one set of parameters each."""
    for parameters in dict.fromkeys(trial.parameters for trial in trials):
        kind = [trial for trial in trials if trial.parameters == parameters]
        for start in range(0, len(kind), _PER_BOOT):
            yield kind[start : start + _PER_BOOT]


def _boot(name: str, share: list[Trial], parts: Parts) -> Boot:
    groups = []
    for trial in share:
        mutant = trial.mutant
        if mutant.name == C:
            groups.append(Group(C, mutant.rule, "absent", trial.steps))
            continue
        # The rules of C are broken where nothing is left out.
        options = "" if mutant.rule.startswith(_NOT_STOCK) or mutant.name == INTACT else STOCK
        groups.append(Group(mutant.name, mutant.rule, "loaded", trial.steps, mutant.name, options))
        groups.append(Group(f"after-{mutant.name}", "", "absent", ()))
    parameters = share[0].parameters
    plan = Plan(tuple(groups), kvm_options={"kvm-intel": parameters} if parameters else {})
    files = tuple(
        module_path(trial.mutant.name, parts) for trial in share if trial.mutant.name != C
    )
    programs = tuple(dict.fromkeys(name for trial in share for name in trial.programs))
    return Boot(
        name,
        plan,
        programs,
        replace(parts, module=None, extra_modules=parts.extra_modules + files),
    )


def _collect(finished: Finished, share: list[Trial]) -> list[Trial]:
    """Fill in what was seen; returns the trials that the machine did not come to."""
    began = {name.split("/")[0] for name in finished.outcome.console.steps}
    mutants = {trial.mutant.name: trial.mutant for trial in share if trial.mutant.name in began}
    for result in finished.results():
        # A test that another one left no machine for has noticed nothing.
        if result.group not in mutants or result.failures == [NEVER_RAN]:
            continue
        if result.status is Status.FAILED:
            mutants[result.group].caught_by.append(result.name)
        elif result.proof:
            mutants[result.group].fails_in_c.append(result.name)
    return [trial for trial in share if trial.mutant.name not in began]


def _list(c: Mutant, intact: Mutant, mutants: list[Mutant]) -> str:
    lines = []
    for mutant in mutants:
        ends = without_edit(_passed(c, mutant), _passed(intact, mutant))
        lines += entry(mutant, ends)
    return "\n".join(lines)


def entry(mutant: Mutant, ends: str) -> list[str]:
    """The lines about one edit, in Markdown; ENDS is how its tests end without it."""
    said = [ends] if ends else []
    if mutant.tests:
        said.append(f"noticed by {by_program(mutant.caught_by) or 'NO TEST'}")
    return wrap(f"- **{mutant.rule}** {mutant.name}: {'; '.join(said) or 'no test'}", "  ")


def without_edit(in_c: str, in_rust: str) -> str:
    """How the tests end on C and on the intact module, if they do not all pass."""
    ends = [f"{end} in {side}" for end, side in ((in_c, "C"), (in_rust, "Rust")) if end != "pass"]
    return ", ".join(ends)


def by_program(runs: list[str]) -> str:
    """The programs of RUNS, and of how many runs each if it is more than one."""
    count = Counter(run.split("[")[0] for run in dict.fromkeys(runs))
    return ", ".join(name if n == 1 else f"{name} x{n}" for name, n in count.items())


def _passed(unbroken: Mutant, mutant: Mutant) -> str:
    """How the tests of MUTANT ended on C or the intact module."""

    def own(names: list[str]) -> list[str]:
        return [name for name in names if name.split("[")[0] in mutant.tests]

    if own(unbroken.caught_by):
        return "FAIL: " + ", ".join(own(unbroken.caught_by))
    return "XFAIL" if own(unbroken.fails_in_c) else "pass"
