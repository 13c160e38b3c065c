# SPDX-License-Identifier: GPL-2.0
"""The committed lists: which tests run, for how long, and which do not and why.

Upstream's tests, one a line:
  run NAME SECONDS [ARGUMENT...]
  long NAME SECONDS [ARGUMENT...]
  omit NAME REASON...
  may-fail NAME PARAMETER FAILURES: REASON...
  since NAME RELEASE
where a long one runs in `make test-full`, or if it is named, and a KVM bug may let one fail if C
handles the hooks and kvm_intel has this parameter. Kernels before RELEASE have no such test.
Our own runs, one a line:
  NAME | kvm_intel parameters | SECONDS | ARGUMENTS | mark
where "-" is none, and MODULES/ in an argument the modules' directory in the machine.
The mark is "long" if it runs in `make test-full`, or if the run itself is named; "may-warn
FUNCTION" if the faults that it injects may make this function of Linux's warn; or "fails:C BUG" if
it shows a bug of KVM. It must fail where C handles the hooks then, and one more field has the
FAILURES, which expected.py names.
SECONDS are the machine's own. A line that is neither is an error, never a test less.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import expected
from errors import MachineError
from plan import CHECKED, MODULE, TRACED, Step

_FAILS = "fails:C"
_LONG = "long"
_MAY_WARN = "may-warn "


@dataclass(frozen=True)
class Entry:
    """A run of a test."""

    program: str
    step: Step
    groups: tuple[str, ...]
    parameters: str = ""
    # Loads our module by itself.
    needs_module: bool = False
    # Parameters of kvm_intel with which it may fail in C, how, and why.
    may_fail: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    # The first kernel that has it, as (7, 3).
    since: tuple[int, ...] = ()
    # Takes too long for every run of all tests, or needs more memory than others.
    long: bool = False


@dataclass(frozen=True)
class TestList:
    """One list file."""

    entries: list[Entry]
    omitted: dict[str, str]


def read_upstream_list(path: Path) -> TestList:
    """Upstream's tests: in every group, and proof of who runs the hooks there."""
    entries: list[Entry] = []
    omitted: dict[str, str] = {}
    for where, line in _lines(path):
        words = line.split()
        if len(words) < 3 or words[0] not in ("run", "long", "omit", "may-fail", "since"):
            raise MachineError(f"{where}: expected `run NAME SECONDS` or `omit NAME REASON`")
        kind, name, *rest = words
        if kind in ("may-fail", "since"):
            entries = (_may_fail if kind == "may-fail" else _since)(entries, name, rest, where)
            continue
        if name in omitted or any(entry.program == name for entry in entries):
            raise MachineError(f"{where}: {name} is there twice")
        if kind == "omit":
            omitted[name] = " ".join(rest)
            continue
        seconds, *arguments = rest
        command = (f"/tests/{name}", *arguments)
        step = Step(name, command, _seconds(seconds, where), takeover=True, may_skip=True)
        entries.append(Entry(name, step, ("absent", "loaded", "after"), long=kind == "long"))
    return TestList(entries, omitted)


def _may_fail(entries: list[Entry], name: str, words: list[str], where: str) -> list[Entry]:
    parameter, *rest = words
    failures, _, reason = " ".join(rest).partition(": ")
    if "=" not in parameter or not reason:
        raise MachineError(f"{where}: expected `may-fail NAME PARAMETER=VALUE FAILURES: REASON`")
    _expect_run(entries, name, where)
    added = ((parameter, expected.read(failures, where), reason),)
    return [
        replace(entry, may_fail=entry.may_fail + added) if entry.program == name else entry
        for entry in entries
    ]


def _since(entries: list[Entry], name: str, words: list[str], where: str) -> list[Entry]:
    if len(words) != 1 or not re.fullmatch(r"\d+\.\d+", words[0]):
        raise MachineError(f"{where}: expected `since NAME RELEASE`, the release as 7.3")
    _expect_run(entries, name, where)
    release = tuple(map(int, words[0].split(".")))
    return [replace(entry, since=release) if entry.program == name else entry for entry in entries]


def _expect_run(entries: list[Entry], name: str, where: str) -> None:
    if not any(entry.program == name for entry in entries):
        raise MachineError(f"{where}: {name} has no `run` line before this one")


def read_own_plan(path: Path) -> TestList:
    """Our runs: the same in C and in Rust; one that loads the module itself, without it."""
    entries: list[Entry] = []
    for where, line in _lines(path):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) not in (5, 6) or not all(fields):
            raise MachineError(f"{where}: expected `NAME|parameters|SECONDS|ARGUMENTS|mark`")
        program, parameters, seconds, arguments, mark, *failures = fields
        parameters = "" if parameters == "-" else parameters
        words = [] if arguments == "-" else arguments.split()
        name = _run_name(program, parameters, words)
        if any(entry.step.name == name for entry in entries):
            raise MachineError(f"{where}: {name} is there twice")
        needs_module = f"MODULES/{MODULE}.ko" in words
        long = mark == _LONG
        words = [word.replace("MODULES/", "/modules/") for word in words]
        step = Step(
            name,
            (f"/tests/{program}", *words),
            _seconds(seconds, where),
            # What loads the module itself runs both C and Rust.
            takeover=not needs_module,
            fails_in_c=_fails_in_c(mark, failures, where),
            may_warn=mark[len(_MAY_WARN) :].strip() if mark.startswith(_MAY_WARN) else "",
        )
        groups = ("absent",) if needs_module else ("absent", "loaded")
        if not (needs_module or parameters or step.fails_in_c or long):
            # Code of its own runs while tracepoints are on, or while the module compares.
            groups += (TRACED, CHECKED)
        entries.append(Entry(program, step, groups, parameters, needs_module, long=long))
    return TestList(entries, {})


def check_names(lists: list[TestList]) -> None:
    """Of two tests with one name, only one would have a result."""
    names = Counter(entry.step.name for each in lists for entry in each.entries)
    for name, number in names.items():
        if number > 1:
            raise MachineError(f"{name} is in two of the lists")


def unlisted(lists: list[TestList], directory: Path) -> list[str]:
    """The programs in DIRECTORY that no line is about: nobody would miss them."""
    known = {entry.program for each in lists for entry in each.entries}
    known = known.union(*(each.omitted for each in lists))
    return sorted({path.name for path in directory.rglob("*") if path.is_file()} - known)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not empty or comments, each with where it stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.split("#", 1)[0].strip()
        if content:
            yield f"{path}:{number}", content


def _run_name(program: str, parameters: str, arguments: list[str]) -> str:
    """NAME, or NAME[ept=0,contexts=8]: without blanks, the machine's reports are words."""
    shown = parameters.split()
    for before, word in zip(["", *arguments], arguments, strict=False):
        if word.startswith("--"):
            shown.append(word[2:])
        elif before.startswith("--"):
            shown[-1] += f"={word}"
    return f"{program}[{','.join(shown)}]" if shown else program


def _fails_in_c(mark: str, failures: list[str], where: str) -> tuple[str, ...]:
    """What a run must fail with where C handles the hooks."""
    if (mark in ("-", _LONG) or mark.startswith(_MAY_WARN)) and not failures:
        return ()
    fails, *bugs = mark.split()
    if fails != _FAILS or not bugs or not failures:
        raise MachineError(f"{where}: expected `{_FAILS} BUG | FAILURES`, not `{mark}`")
    return expected.read(failures[0], where)


def _seconds(word: str, where: str) -> int:
    if not word.isdigit() or word == "0":
        raise MachineError(f"{where}: {word} is not a number of seconds")
    return int(word)
