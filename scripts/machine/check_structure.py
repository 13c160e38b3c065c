#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Is the module layered as docs/design.md says, and is each `unsafe` argued for?

check_structure.py FILE...: all Rust files of the module, by their path in the checkout.

- The folders and files at the top of rust_kvm_nvmx/ import each other in no circle.
- Only kvm/ has `unsafe`. Each block and each `unsafe impl` has a SAFETY comment above it. No two
  are the same, and none refers to another one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

MODULE = "rust_kvm_nvmx"
_MAIN = f"{MODULE}_main"
_UNSAFE_IN = "kvm"
# Comments, strings and characters; a lifetime is no character.
_NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?c?r(?P<hash>\#*)".*?"(?P=hash)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\\n])'""",
    re.DOTALL,
)
_PATH = re.compile(r"\b(?P<start>crate|super(?:\s*::\s*super)*)\s*::\s*(?P<next>\w+|\{)")
_DECLARED = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.MULTILINE)
_NEEDS_SAFETY = re.compile(r"\bunsafe\s*(\{|impl\b)")
_SAFETY = "// SAFETY:"
_ENDS_STATEMENT = (";", "{", "}")


@dataclass(frozen=True)
class Source:
    """One file: its path below the module's folder, and its text."""

    path: Path
    text: str

    @property
    def top(self) -> str:
        """The folder or file at the top that it belongs to."""
        return self.modules[0] if self.modules else _MAIN

    @property
    def modules(self) -> tuple[str, ...]:
        """Its Rust path below the crate."""
        parts = self.path.with_suffix("").parts
        if parts == (_MAIN,):
            return ()
        return parts[:-1] if parts[-1] == "mod" else parts

    @property
    def code(self) -> str:
        """The text with all that is no code made blank; lines stay where they are."""
        return _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.text)


def problems(sources: list[Source]) -> list[str]:
    """What is wrong, a line each."""
    if _MAIN not in {source.top for source in sources}:
        return [f"there is no {_MAIN}.rs"]
    return [*_circle(sources), *_unsafe_elsewhere(sources), *_safety(sources)]


def unsafe_blocks(sources: list[Source]) -> int:
    """How many there are."""
    return sum(len(re.findall(r"\bunsafe\s*\{", source.code)) for source in sources)


def _circle(sources: list[Source]) -> list[str]:
    """The imports between the tops, if they are a circle: one that there is."""
    tops = {source.top for source in sources}
    # By importer and imported: the first place.
    edges: dict[tuple[str, str], str] = {}
    for source in sources:
        for name, offset in _imports(source, tops):
            if name != source.top:
                edges.setdefault((source.top, name), _place(source, offset))
    graph: dict[str, list[str]] = {top: [] for top in sorted(tops)}
    for importer, imported in sorted(edges):
        graph[importer].append(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Each is imported by the next.
        names = error.args[1][::-1]
        steps = zip(names, names[1:], strict=False)
        return ["circle: " + ", ".join(f"{edges[a, b]}: {a} imports {b}" for a, b in steps)]
    return []


def _imports(source: Source, tops: set[str]) -> Iterator[tuple[str, int]]:
    """The tops that a file names by their path, and where."""
    code = source.code
    for found in _PATH.finditer(code):
        supers = found["start"].count("super")
        if supers and supers != len(source.modules):
            continue
        names = [found["next"]]
        if found["next"] == "{":
            names = list(_first_names(code, found.end()))
        for name in names:
            if name in tops:
                yield name, found.start()
            elif not supers:
                # Not a file: it is in the main one. `super` may be of a module within a file.
                yield _MAIN, found.start()
    if source.top == _MAIN:
        for found in _DECLARED.finditer(code):
            if found[1] in tops:
                yield found[1], found.start(1)


def _first_names(code: str, start: int) -> Iterator[str]:
    """Of `{a::b, c::{d, e}}` from after its brace on: a and c."""
    depth, expected = 1, True
    for token in re.finditer(r"\w+|[{},]", code[start:]):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if not depth:
                return
        elif token[0] == ",":
            expected = True
        elif expected and depth == 1:
            yield token[0]
            expected = False


def _unsafe_elsewhere(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if source.top != _UNSAFE_IN:
            for found in re.finditer(r"\bunsafe\b", source.code):
                yield f"{_place(source, found.start())}: `unsafe` outside of {_UNSAFE_IN}/"


def _safety(sources: list[Source]) -> Iterator[str]:
    """SAFETY comments that are missing, and those that stand more than once."""
    texts: dict[str, list[str]] = {}
    for source in sources:
        lines, code = source.text.splitlines(), source.code.splitlines()
        for number, line in enumerate(code):
            if _NEEDS_SAFETY.search(line) and not _has_safety(lines, code, number):
                yield f"{MODULE}/{source.path}:{number + 1}: no SAFETY comment above"
        for number, line in enumerate(lines):
            if line.strip().startswith(_SAFETY):
                place = f"{source.path}:{number + 1}"
                text = _comment(lines, number)
                texts.setdefault(text, []).append(place)
                if re.match(r"As (in|above)\b", text):
                    yield f"{MODULE}/{place}: a SAFETY comment that refers to another one"
    for text, places in texts.items():
        if len(places) > 1:
            yield f"{MODULE}/{', '.join(places)}: the same SAFETY comment: {text}"


def _has_safety(lines: list[str], code: list[str], number: int) -> bool:
    """Whether a SAFETY comment is above the statement of a line, and is not another's."""
    for above in range(number - 1, -1, -1):
        if lines[above].strip().startswith(_SAFETY):
            return True
        if code[above].rstrip().endswith(_ENDS_STATEMENT) or _NEEDS_SAFETY.search(code[above]):
            return False
    return False


def _comment(lines: list[str], number: int) -> str:
    """The text of the SAFETY comment that begins in a line."""
    words = lines[number].strip()[len(_SAFETY) :].split()
    for line in lines[number + 1 :]:
        if not re.match(r"\s*//(?![/!])", line):
            break
        words += line.strip()[2:].split()
    return " ".join(words)


def _place(source: Source, offset: int) -> str:
    return f"{MODULE}/{source.path}:{source.text.count(chr(10), 0, offset) + 1}"


def main() -> int:
    """Print what is wrong with the files that are given, all of the module; 0 if nothing is."""
    sources = [
        Source(Path(name).relative_to(MODULE), Path(name).read_text(encoding="utf-8"))
        for name in sys.argv[1:]
    ]
    found = problems(sources)
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{unsafe_blocks(sources)} unsafe blocks", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
