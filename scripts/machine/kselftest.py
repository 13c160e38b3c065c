# SPDX-License-Identifier: GPL-2.0
"""`run.py kselftest`: run_kselftest.sh in the machine, on what kselftest has installed of our
selftests, with the module loaded.

The runner's KTAP is what counts here. What the emulator counts is not compared: `run.py test`
does that, with the same programs and arguments."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from boots import Boot, Parts, run_boots
from errors import MachineError
from plan import Group, Plan, Step
from results import Status

COLLECTION = "rust_kvm_nvmx"
_RUNNER = "/kselftest/run_kselftest.sh"
# In the machine's seconds. Each test has a limit of its own.
_LIMIT = 3000
_PLAN = re.compile(r"1\.\.(\d+)")
_RESULT = re.compile(r"(ok|not ok) \d+ selftests: (.*?)(?: # (.*))?")


@dataclass(frozen=True)
class Summary:
    """How many tests there are by the plan, and how many ended how."""

    planned: int
    counts: Counter[Status]

    @property
    def is_good(self) -> bool:
        """All have run, and none failed."""
        complete = self.planned == self.counts.total() > 0
        return complete and not self.counts[Status.FAILED]

    def __str__(self) -> str:
        return ", ".join(f"{self.counts[status]} {status.value}" for status in Status)


def read_ktap(lines: list[str]) -> Summary:
    """What the runner's KTAP says."""
    planned, counts = 0, Counter[Status]()
    for line in lines:
        plan, result = _PLAN.fullmatch(line), _RESULT.fullmatch(line)
        if plan:
            planned = int(plan[1])
        elif result and result[1] == "not ok":
            counts[Status.FAILED] += 1
        elif result:
            skipped = (result[3] or "").startswith("SKIP")
            counts[Status.SKIPPED if skipped else Status.PASSED] += 1
    return Summary(planned, counts)


def run_kselftest(parts: Parts, installed: Path, tests: list[str]) -> int:
    """Run TESTS, or all that are INSTALLED; 0 if none failed."""
    listed = _read_list(installed)
    arguments = [] if tests else ["-c", COLLECTION]
    for test in tests:
        if test not in listed:
            raise MachineError(f"kselftest-list.txt has no {test}; it has: {' '.join(listed)}")
        arguments += ["-t", f"{COLLECTION}:{test}"]
    step = Step("run_kselftest.sh", (_RUNNER, *arguments), _LIMIT)
    group = Group("kselftest", "our selftests", "loaded", (step,))
    plan = Plan((group,), shown=("ok ", "not ok "))
    [finished] = run_boots([Boot("machine", plan, (), parts, installed)])
    results = finished.results()
    output = next((r.output for r in results if r.name == step.name), [])
    (parts.output / "kselftest.ktap").write_text("\n".join(output) + "\n", encoding="utf-8")
    print("\n".join(line for line in output if not line.startswith("# # ")))
    failed = False
    for result in results:
        if result.status is Status.FAILED:
            failed = True
            print(f"# {result.name}: {'; '.join(result.reasons)}")
    summary = read_ktap(output)
    if not summary.is_good:
        print(f"# {summary.planned} were planned")
    print(f"# all of the output: {parts.output}/kselftest.ktap")
    print(summary, flush=True)
    return 0 if summary.is_good and not failed else 1


def _read_list(installed: Path) -> list[str]:
    path = installed / "kselftest-list.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    prefix = f"{COLLECTION}:"
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
