# SPDX-License-Identifier: GPL-2.0
"""`run.py kvm-unit-tests`: the cases of kvm-unit-tests' x86/vmx.flat about VPIDs and EPT, with the
module absent, then loaded. QEMU's VM in the machine is their L1."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import image
from boots import Boot, Parts, run_boots
from plan import Group, Plan, Step
from results import Result, Status, stale_text

# By their names in vmx.c, with "_" for a blank. "*" stands at the end alone.
CASES = {
    "vpid": "VPID invvpid_test* vmx_pf_no_vpid_test vmx_pf_vpid_test vmx_pf_invvpid_test",
    "ept": "EPT* ept_access*",
}
_QEMU = "qemu-system-x86_64"
_FIRMWARE = (
    "seabios/bios-256k.bin",
    *(f"qemu/{name}.bin" for name in ("kvmvapic", "linuxboot_dma", "multiboot_dma")),
)
_SHARE = Path("/usr/share")
_CONTROL = "bin/kvm-unit-test"
C, RUST = "absent", "loaded"
# In the machine's seconds.
_LIMIT = 1800
_LINE = re.compile(r"(PASS|FAIL|XFAIL|SKIP): (.*)")


@dataclass(frozen=True)
class Summary:
    """What one run says of its checks."""

    counts: Counter[str]
    failed: frozenset[str]

    def __str__(self) -> str:
        return ", ".join(
            f"{self.counts[word]} {word}" for word in ("PASS", "FAIL", "XFAIL", "SKIP")
        )


def read_output(lines: list[str]) -> Summary:
    """The summary of a run that printed LINES."""
    checks = [match for line in lines if (match := _LINE.fullmatch(line.strip()))]
    return Summary(
        Counter(match[1] for match in checks),
        frozenset(match[2] for match in checks if match[1] == "FAIL"),
    )


def make_plan(cases: dict[str, str]) -> Plan:
    """The same steps in C and in Rust."""
    steps = tuple(
        Step(name, (f"/{_CONTROL}", *filters.split()), _LIMIT, may_skip=True)
        for name, filters in cases.items()
    )
    groups = (Group(C, "C decides", "absent", steps), Group(RUST, "Rust decides", "loaded", steps))
    return Plan(groups, shown=("FAIL: ", "SUMMARY: "))


def judge(results: list[Result], cases: dict[str, str]) -> list[str]:
    """Print what came of each case, and return what is wrong."""
    by_name = {(result.group, result.name): result for result in results}
    wrong = []
    for name in cases:
        runs = {kind: by_name.get((kind, name)) for kind in (C, RUST)}
        summaries = {kind: read_output(run.output) if run else None for kind, run in runs.items()}
        for kind, summary in summaries.items():
            if summary is None or not summary.counts:
                wrong.append(f"{name}, {kind}: no check reported")
            print(f"{name}, {kind}: {summary or 'nothing'}")
        in_c, in_rust = (each.failed if each else frozenset() for each in summaries.values())
        wrong += [f"{name}: fails in Rust alone: {check}" for check in sorted(in_rust - in_c)]
        wrong += [f"{name}: fails in C as well: {check}" for check in sorted(in_rust & in_c)]
    for result in results:
        # In C a check may fail, and is shown above.
        if result.group != C and result.status is Status.FAILED:
            wrong += [f"{result.name}, {result.group}: {reason}" for reason in result.reasons]
            wrong += [f"  {line}" for line in stale_text(result)]
    return wrong


def run_kvm_unit_tests(parts: Parts, flat: Path, filters: str) -> int:
    """0 if no check failed with the module loaded. FILTERS, if any, are in place of CASES."""
    qemu = image.host_tool(_QEMU)
    cases = {"chosen": filters} if filters else CASES
    plan = make_plan(cases)
    boot = Boot("machine", plan, (), parts, host_tools=(qemu,), files=_files(flat))
    [finished] = run_boots([boot])
    wrong = judge(finished.results(), cases)
    print("\n".join(f"WRONG: {line}" for line in wrong) or "no check failed with the module loaded")
    print(f"all of the output: {finished.outcome.directory}", flush=True)
    return 1 if wrong else 0


def _files(flat: Path) -> dict[str, bytes]:
    """What the machine needs besides QEMU."""
    paths = {f"usr/share/{name}": _SHARE / name for name in _FIRMWARE}
    paths |= {_CONTROL: image.GUEST / "kvm-unit-test", "kvm-unit-tests/vmx.flat": flat}
    return image.read_files(paths)
