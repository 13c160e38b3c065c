# SPDX-License-Identifier: GPL-2.0
"""What a suite leaves: KTAP on stdout, the same in a file, and JUnit and JSON for tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import results
from boots import Finished
from junit import write_junit
from results import Result
from session import console_tail


def publish(
    output: Path,
    name: str,
    settings: Mapping[str, object],
    finished: list[Finished],
    groups: list[tuple[str, str]],
    everything: list[Result],
) -> None:
    """Print the results, write them to OUTPUT as the suite NAME, and show what explains a failure.

    SETTINGS is what it takes to run the like again."""
    with open(output / "results.ktap", "w", encoding="utf-8") as file:
        results.write_ktap(groups, everything, file)
    results.write_ktap(groups, everything, sys.stdout)
    write_junit(output / "results.xml", name, groups, everything)
    _write_json(output / "results.json", settings, finished, everything)
    if results.any_failed(everything):
        _show_tails(finished)


def _write_json(
    path: Path,
    settings: Mapping[str, object],
    finished: list[Finished],
    everything: list[Result],
) -> None:
    """Write all that is known to PATH."""
    report = {
        "summary": results.summary(everything),
        "settings": settings,
        "machines": [
            {
                "name": each.boot.name,
                "kernel": each.outcome.console.kernel,
                "seconds": round(each.outcome.seconds, 1),
                "boot_seconds": round(each.outcome.boot_seconds, 1),
                "cpu_seconds": round(each.outcome.cpu_seconds, 1),
                "peak_kib": each.outcome.peak_kib,
                "races": each.outcome.console.races,
                "logs": str(each.outcome.directory),
            }
            for each in finished
        ],
        "results": [asdict(result) for result in everything],
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _show_tails(finished: list[Finished]) -> None:
    """The console's end of each machine that something went wrong in."""
    for each in finished:
        if not results.any_failed(each.results()):
            continue
        print(f"--- {each.boot.name}: the console's last lines", file=sys.stderr)
        print("\n".join(console_tail(each.outcome.directory)), file=sys.stderr)
        print(f"--- all of it: {each.outcome.directory}/console.log", file=sys.stderr)
