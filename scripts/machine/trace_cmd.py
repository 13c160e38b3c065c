# SPDX-License-Identifier: GPL-2.0
"""`run.py trace`: trace-cmd records all of the module's tracepoints in the machine while one of
the tests runs, and reports them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from boots import Boot, Parts, run_boots
from errors import MachineError
from plan import MODULE, Group, Plan, Step
from results import Status
from session import console_tail

_TRACE_CMD = "trace-cmd"
_DATA = "/tmp/trace.dat"
# In the machine's seconds.
_LIMIT = 300


def run_trace(parts: Parts, workload: list[str]) -> int:
    """Record WORKLOAD, and write the report to trace.txt; 0 if all went well."""
    tool = shutil.which(_TRACE_CMD)
    if tool is None:
        raise MachineError(f"{_TRACE_CMD} is not installed in the toolchain")
    name, *arguments = workload
    program = (f"/tests/{name}", *arguments)
    record = (_TRACE_CMD, "record", "-q", "-o", _DATA, "-e", MODULE, *program)
    report = (_TRACE_CMD, "report", "-i", _DATA)
    steps = (Step("record", record, _LIMIT), Step("report", report, _LIMIT))
    plan = Plan((Group("trace", "trace-cmd", "loaded", steps),))
    [finished] = run_boots([Boot("machine", plan, (name,), parts, host_tools=(Path(tool),))])
    results = finished.results()
    failed = [result for result in results if result.status is not Status.PASSED]
    if failed:
        print("\n".join(console_tail(finished.outcome.directory)), file=sys.stderr)
        for result in failed:
            print(f"{result.name}: {'; '.join(result.reasons)}", *result.output, sep="\n")
        return 1
    text = "\n".join(next(r.output for r in results if r.name == "report"))
    path = parts.output / "trace.txt"
    path.write_text(text + "\n", encoding="utf-8")
    for command in (record, report):
        print(f"# {' '.join(command)}")
    print(text)
    print(f"# all of it: {path}", flush=True)
    if "nvmx_" not in text:
        print(f"the report has no event of {MODULE}", file=sys.stderr)
        return 1
    return 0
