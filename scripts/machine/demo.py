# SPDX-License-Identifier: GPL-2.0
"""`run.py demo`: one nested workload in C and in Rust, in one boot, and a report of both."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import hooks
import reports
from boots import Boot, Finished, Parts, run_boots
from call_sites import Hook, read_hooks
from chart import Row, Section, draw
from plan import Group, Plan, Step
from results import Status, stale_text
from session import console_tail

_LIMIT = 120
# Hooks that the workload must have hit, with their names in the rules.
_SHOWN = {
    "flush_tlb_all": "H1",
    "flush_tlb_current": "H2",
    "flush_tlb_guest": "H4",
    "enter_tlb_flush": "T1-T5",
    "exit_tlb_flush": "T1, T2, T5",
}
_EXECUTED = [
    ("INVVPID one address", "invvpid.addr"),
    ("INVVPID one VPID", "invvpid.single"),
    ("INVVPID all VPIDs", "invvpid.all"),
    ("INVEPT one EPT", "invept.single"),
    ("INVEPT all EPTs", "invept.all"),
]
_FINDINGS = [
    ("used though stale", reports.STALE),
    ("used, the guest's own affair", reports.GUEST_OWNED),
]


def run_demo(parts: Parts, workload: list[str]) -> int:
    """Run it, print the report, write report.json; 0 if all is well."""
    name, *arguments = workload
    watched = read_hooks(parts.kernel)
    step = Step("workload", (f"/tests/{name}", *arguments), _LIMIT)
    plan = Plan(
        (
            Group("c", "the module is absent: C", "absent", (step,)),
            Group("rust", "the module is loaded: Rust", "loaded", (step,)),
        ),
        probes=tuple(site for hook in watched for site in hook.sites),
    )
    (finished,) = run_boots([Boot("demo", plan, (name,), parts)])
    report = make_report(finished, watched, _module_build(parts.module))
    report["workload"] = " ".join(workload)
    path = parts.output / "report.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(render(report))
    print(f"  as JSON: {path}")
    picture = parts.output / "flushes.svg"
    picture.write_text(draw_report(report), encoding="utf-8")
    print(f"  as a picture: {picture}", flush=True)
    if report["problems"]:
        print("\n".join(console_tail(finished.outcome.directory)), file=sys.stderr)
        print(f"all of it: {finished.outcome.directory}/console.log", file=sys.stderr)
        return 1
    return 0


def make_report(finished: Finished, watched: list[Hook], module: str) -> dict:
    """All figures, and under "problems" everything that is not as it must be."""
    console = finished.outcome.console
    results = finished.results()
    problems = [
        f"{result.group}/{result.name}: {reason}"
        for result in results
        if result.status is Status.FAILED
        for reason in result.reasons
    ]
    runs = {}
    for run in ("c", "rust"):
        record = console.steps.get(f"{run}/workload")
        seen = (finished.witness or {}).get(f"{run}/workload", {"": Counter()})[""]
        counters = Counter(record.counters if record else {})
        probes = Counter(record.probes if record else {})
        runs[run] = {
            "hooks_in_c": {hook.name: hook.in_c(probes) for hook in watched},
            "hooks_in_rust": {hook.name: hook.in_rust(counters) for hook in watched},
            "module_counted": {key: counters[key] for _, key in _EXECUTED},
            "requests": {k: v for k, v in counters.items() if k.startswith("request.")},
            "emulator_counted": {key: seen[key] for _, key in _EXECUTED},
            "findings": {kind: seen[f"tlbsan.{kind}"] for _, kind in _FINDINGS},
            "entries": {level: seen[f"vmentry.{level}"] for level in ("L1", "L2")},
        }
    witness = finished.witness is not None
    not_watched = [
        f"{hook.name}: {reason}"
        for hook in watched
        for reason in hooks.not_watched(hook, [console])
    ]
    problems += _problems(runs, not_watched, witness)
    stale = [line for result in results for line in stale_text(result)]
    return {
        "kernel": console.kernel,
        "module": module,
        "witness": witness,
        "runs": runs,
        "problems": problems,
        "stale": stale,
        "emulator_peak_kib": finished.outcome.peak_kib,
        "seconds": round(finished.outcome.seconds, 1),
    }


def _problems(runs: dict, not_watched: list[str], witness: bool) -> list[str]:
    c, rust = runs["c"], runs["rust"]
    found = list(not_watched)
    for hook in _SHOWN:
        if not rust["hooks_in_rust"][hook]:
            found.append(f"{hook}: Rust never handled it")
        if not c["hooks_in_c"][hook]:
            found.append(f"{hook}: C never handled it while the module was absent")
    found += [
        f"{hook}: C handled it {hits} times while the module was loaded"
        for hook, hits in rust["hooks_in_c"].items()
        if hits
    ]
    if not witness:
        return found
    for key, count in rust["module_counted"].items():
        if count != rust["emulator_counted"][key]:
            found.append(
                f"{key}: the module counted {count}, the emulator {rust['emulator_counted'][key]}"
            )
    if not sum(rust["module_counted"].values()):
        found.append("no INVVPID and no INVEPT were executed by Rust")
    for run, figures in runs.items():
        found += [f"{level} never ran ({run})" for level, n in figures["entries"].items() if not n]
    return found


def render(report: dict) -> str:
    """The report as text for a person."""
    c, rust = report["runs"]["c"], report["runs"]["rust"]
    lines = [
        f"kernel    Linux {report['kernel']}, in an emulated machine with VMX",
        f"module    rust_kvm_nvmx, built for {report['module']}",
        f"workload  {report['workload']}, twice in one boot",
        "",
        _row("", "C (module absent)", "Rust (module loaded)"),
    ]
    if report["witness"]:
        for level in ("L1", "L2"):
            lines.append(_row(f"{level} was entered", c["entries"][level], rust["entries"][level]))
    lines += ["decisions"]
    for hook, rule in _SHOWN.items():
        lines.append(_row(f"  {hook} ({rule})", c["hooks_in_c"][hook], rust["hooks_in_rust"][hook]))
    lines += ["executed, counted by the emulator" if report["witness"] else "executed"]
    for title, key in _EXECUTED:
        own = rust["module_counted"][key]
        if not report["witness"]:
            lines.append(_row(f"  {title}", "-", own))
            continue
        seen = rust["emulator_counted"][key]
        agrees = "module: same" if own == seen else f"module: {own} - DIFFERS"
        lines.append(_row(f"  {title}", c["emulator_counted"][key], f"{seen}  {agrees}"))
    if report["witness"]:
        lines.append("translations that a TLB may still have held")
        for title, kind in _FINDINGS:
            lines.append(_row(f"  {title}", c["findings"][kind], rust["findings"][kind]))
    handled = sum(rust["hooks_in_c"].values())
    lines += [f"decisions of C while the module was loaded: {handled}", ""]
    if not report["witness"]:
        lines.append("The witness is off (TLBSAN=0): nobody checked the module's own counting.")
    elif not report["problems"]:
        lines.append("The emulator and the module agree on every INVVPID and INVEPT.")
    lines += [f"WRONG: {problem}" for problem in report["problems"]]
    lines += [f"  {line}" for line in report["stale"]]
    return "\n".join(lines)


def draw_report(report: dict) -> str:
    """The figures of the report as a picture."""
    c, rust = report["runs"]["c"], report["runs"]["rust"]
    decisions = [
        Row(f"{hook} ({rule})", c["hooks_in_c"][hook], rust["hooks_in_rust"][hook])
        for hook, rule in _SHOWN.items()
    ]
    if report["witness"]:
        executed = [
            Row(title, c["emulator_counted"][key], rust["emulator_counted"][key])
            for title, key in _EXECUTED
        ]
    else:
        executed = [Row(title, None, rust["module_counted"][key]) for title, key in _EXECUTED]
    return draw(
        f"Who flushed what: {report['workload']}",
        [Section("decisions", decisions), Section("executed", executed)],
    )


def _row(title: str, left: object, right: object) -> str:
    return f"{title:<34}{left!s:>20}   {right}".rstrip()


def _module_build(module: Path | None) -> str:
    """`vermagic` out of the module's .modinfo section; a Rust module has no version there."""
    found = re.search(rb"\0vermagic=([^\0]+)\0", module.read_bytes()) if module else None
    return found.group(1).decode().strip() if found else "unknown"
