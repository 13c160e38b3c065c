#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does the module still build with each edit of selftests/mutants.toml?

Edits of different lines are made in one copy of the sources, so a few builds do for all of them.
Where such a build fails, its edits are halved until it is clear which one it is."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from errors import MachineError
from module_edits import apply_edit, build_module, copy_sources, edited
from mutant_list import CHECKOUT, Mutant, read_mutants


def batches(edits: Iterable[Mutant], texts: dict[str, str]) -> list[list[Mutant]]:
    """Edits that can be made together. TEXTS has the files that are edited."""
    found: list[list[Mutant]] = []
    copies: list[dict[str, str]] = []
    for edit in edits:
        # By itself it must be possible, too.
        edited(texts[edit.file], edit)
        for batch, copy in zip(found, copies, strict=True):
            if _fits(edit, batch, copy[edit.file]):
                break
        else:
            batch, copy = [], dict(texts)
            found.append(batch)
            copies.append(copy)
        batch.append(edit)
        copy[edit.file] = edited(copy[edit.file], edit)
    return found


def _fits(edit: Mutant, batch: list[Mutant], text: str) -> bool:
    """No edit of BATCH has changed what EDIT replaces, nor is EDIT's text in what they wrote."""
    others = [other.new for other in batch if other.file == edit.file]
    return text.count(edit.old) == 1 and not any(edit.old in new for new in others)


def culprits(
    edits: list[Mutant], fails: Callable[[list[Mutant]], str]
) -> Iterator[tuple[str, str]]:
    """The names of those with which the module does not build, and what the compiler says. Edits
    that build, but not with each other, are none."""
    said = fails(edits)
    if not said:
        return
    if len(edits) == 1:
        yield edits[0].name, said
        return
    middle = len(edits) // 2
    yield from culprits(edits[:middle], fails)
    yield from culprits(edits[middle:], fails)


def fails(edits: list[Mutant], kernel: Path) -> str:
    """What the compiler says about the module with EDITS; empty if it builds."""
    with tempfile.TemporaryDirectory(prefix="edits.") as name:
        tree = Path(name)
        copy_sources(tree)
        for edit in edits:
            apply_edit(tree, edit)
        try:
            build_module(tree, tree / "edited.ko", kernel)
        except MachineError as error:
            return str(error)
    return ""


def main() -> int:
    """Build, and name the edits with which it fails."""
    parser = argparse.ArgumentParser(prog="check_edits.py", description=__doc__)
    parser.add_argument("--kernel", type=Path, required=True, help="the kernel's tree, built")
    parser.add_argument("list", type=Path, help="selftests/mutants.toml")
    options = parser.parse_args()
    edits = [edit for edit in read_mutants(options.list) if edit.file]
    sources = {edit.file: CHECKOUT / "rust_kvm_nvmx" / edit.file for edit in edits}
    wrong = []
    try:
        texts = {file: path.read_text(encoding="utf-8") for file, path in sources.items()}
        for batch in batches(edits, texts):
            wrong += culprits(batch, lambda some: fails(some, options.kernel))
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, said in wrong:
        print(f"{name}: the module does not build with this edit\n{said}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
