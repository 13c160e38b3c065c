# SPDX-License-Identifier: GPL-2.0
"""`run.py trace`: a program of Debian's records the module's tracepoints in the machine while one
of the tests runs, and reports them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace

import image
from boots import Boot, Parts, run_boots
from plan import MODULE, Group, Plan, Step
from results import Status
from session import console_tail

_DATA = "/tmp/trace.dat"
# In the machine's seconds.
_LIMIT = 300
_COUNTS = f"tracepoint:{MODULE}:nvmx_flush {{ @[args.vcpu_id, args.cause] = count(); }}"


@dataclass(frozen=True)
class Tracer:
    """A program that records: its arguments, in front of the workload's words."""

    arguments: tuple[str, ...]
    # Those with which it then reports what it recorded; none: it has done so.
    report: tuple[str, ...] = ()
    # What is in the report if the module's events were seen.
    seen: str = "nvmx_"
    # It takes the workload as one word.
    one_word: bool = False
    # The machine's memory: its libraries are in there twice while it boots.
    megabytes: int = 0

    def commands(self, name: str, workload: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """What runs in the machine, by the name of the step."""
        words = (shlex.join(workload),) if self.one_word else workload
        commands = {"record": (name, *self.arguments, *words)}
        if self.report:
            commands["report"] = (name, *self.report)
        return commands


TRACERS = {
    "trace-cmd": Tracer(
        ("record", "-q", "-o", _DATA, "-e", MODULE), report=("report", "-i", _DATA)
    ),
    "perf": Tracer(
        ("record", "-q", "-a", "-o", _DATA, "-e", f"{MODULE}:*"), report=("script", "-i", _DATA)
    ),
    "bpftrace": Tracer(("-e", _COUNTS, "-c"), seen="@[", one_word=True, megabytes=2048),
}


def run_trace(parts: Parts, name: str, workload: list[str]) -> int:
    """Record WORKLOAD by the tracer NAME, and write the report to NAME.txt; 0 if all went well."""
    tool = image.host_tool(name)
    tracer = TRACERS[name]
    megabytes = max(tracer.megabytes, parts.emulator.megabytes)
    parts = replace(parts, emulator=replace(parts.emulator, megabytes=megabytes))
    program, *arguments = workload
    commands = tracer.commands(name, (f"/tests/{program}", *arguments))
    steps = tuple(Step(step, command, _LIMIT) for step, command in commands.items())
    plan = Plan((Group("trace", name, "loaded", steps),))
    [finished] = run_boots([Boot("machine", plan, (program,), parts, host_tools=(tool,))])
    results = finished.results()
    failed = [result for result in results if result.status is not Status.PASSED]
    if failed:
        print("\n".join(console_tail(finished.outcome.directory)), file=sys.stderr)
        for result in failed:
            print(f"{result.name}: {'; '.join(result.reasons)}", *result.output, sep="\n")
        return 1
    text = "\n".join(next(r.output for r in results if r.name == steps[-1].name))
    path = parts.output / f"{name}.txt"
    path.write_text(text + "\n", encoding="utf-8")
    for command in commands.values():
        print(f"# {shlex.join(command)}")
    print(text)
    print(f"# all of it: {path}", flush=True)
    if tracer.seen not in text:
        print(f"the report has no event of {MODULE}", file=sys.stderr)
        return 1
    return 0
