# SPDX-License-Identifier: GPL-2.0
"""Which lines and branches of KVM's nested code a machine has reached: with a kernel that counts
them (row gcov), every machine ends with a step that prints the counts.

The kernel has them in debugfs, in gcov's own format. gcov itself reads them, beside the notes that
the compiler left in the kernel's tree.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import image
from console import Console
from errors import MachineError
from plan import Group, Step

GROUP = "gcov"
_STEP = "counts"
_WHERE = "/sys/kernel/debug/gcov"
_FILE = re.compile(r"^# gcov (\S+)$")
_KVM = "arch/x86/kvm/"
_PRINT = f"""
for file in $(find {_WHERE} -name '*.gcda'); do
	echo "# gcov $file" && gzip -c "$file" | base64 || exit 1
done"""
_LIMIT = 120


@dataclass
class Reached:
    """What was reached of one source file: lines and branches, by all there are."""

    lines: dict[int, bool] = field(default_factory=dict)
    # By line and number.
    branches: dict[tuple[int, int], bool] = field(default_factory=dict)

    def add(self, lines: Iterable[dict]) -> None:
        """Take what gcov has counted in one machine."""
        for line in lines:
            number = line["line_number"]
            self.lines[number] = self.lines.get(number, False) or line["count"] > 0
            for index, branch in enumerate(line["branches"]):
                if not branch["throw"]:
                    key = (number, index)
                    self.branches[key] = self.branches.get(key, False) or branch["count"] > 0


def group(kernel: Path) -> Group | None:
    """The step that prints the counts; None if KERNEL does not count."""
    if not image.configured(kernel, "GCOV_KERNEL", "y"):
        return None
    step = Step(_STEP, ("sh", "-c", _PRINT), _LIMIT)
    return Group(GROUP, "what was reached of KVM", "absent", (step,))


def forget(output: Path) -> None:
    """Drop what earlier runs have left in OUTPUT."""
    for directory in output.glob(f"*/{GROUP}"):
        shutil.rmtree(directory)


def save(console: Console, directory: Path) -> None:
    """Write what the step has printed into DIRECTORY, as gcov wants it. It is taken out of the
    step's output, which people read."""
    record = console.steps.get(f"{GROUP}/{_STEP}")
    if record is None:
        return
    directory.mkdir(exist_ok=True)
    for name, data in _files(record.output):
        (directory / name.replace("/", "#")).write_bytes(data)
    record.output.clear()


def _files(output: list[str]) -> Iterable[tuple[str, bytes]]:
    """By its path in the kernel's tree: each file that OUTPUT has."""
    name, text = "", ""
    for line in [*output, "# gcov end"]:
        match = _FILE.match(line)
        if not match:
            text += line
            continue
        if name:
            try:
                yield name, gzip.decompress(base64.b64decode(text, validate=True))
            except (binascii.Error, OSError, EOFError, zlib.error) as error:
                raise MachineError(f"the counts of {name} did not come over whole") from error
        _, found, rest = match[1].partition(_KVM)
        name, text = found + rest, ""


def read(kernel: Path, directories: Iterable[Path]) -> dict[str, Reached]:
    """What all machines together have reached, by source file."""
    reached: dict[str, Reached] = {}
    for directory in directories:
        for counts in sorted(directory.glob("*.gcda")):
            # What it includes is left out.
            name = counts.stem.replace("#", "/").partition(_KVM)[2] + ".c"
            for source, lines in _run_gcov(kernel, counts):
                if source.endswith(f"/{name}") or source == name:
                    reached.setdefault(name, Reached()).add(lines)
    return reached


def _run_gcov(kernel: Path, counts: Path) -> Iterable[tuple[str, list[dict]]]:
    built = Path(counts.name.replace("#", "/"))
    notes = (kernel / built).with_suffix(".gcno")
    if not notes.is_file():
        raise MachineError(f"{kernel} has no {built.with_suffix('.gcno')}")
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / built.name).write_bytes(counts.read_bytes())
        (Path(scratch) / notes.name).write_bytes(notes.read_bytes())
        command = ["gcov", "--branch-probabilities", "--json-format", "--stdout", built.name]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"gcov: {done.stderr.strip()}")
    for each in json.loads(done.stdout)["files"]:
        yield each["file"], each["lines"]


def render(reached: dict[str, Reached]) -> str:
    """A table, a line for each source file."""
    rows = ["| file | lines | branches |", "|---|---|---|"]
    for name, each in sorted(reached.items()):
        rows.append(f"| {name} | {_share(each.lines)} | {_share(each.branches)} |")
    return "\n".join(rows)


def _share(seen: dict) -> str:
    count = sum(seen.values())
    return f"{100 * count / len(seen):.1f} % of {len(seen):,}" if seen else "-"


def report(kernel: Path, output: Path) -> None:
    """Print the table of all machines whose counts are in OUTPUT, and what was not reached to
    OUTPUT/not-reached.txt, if KERNEL counts."""
    if group(kernel) is None:
        return
    reached = read(kernel, sorted(output.glob(f"*/{GROUP}")))
    print(render(reached))
    path = output / "not-reached.txt"
    lines = [
        f"{name}:{number}"
        for name, each in sorted(reached.items())
        for number, seen in sorted(each.lines.items())
        if not seen
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"lines that were not reached: {path}", flush=True)
