# SPDX-License-Identifier: GPL-2.0
"""Our module, built from a copy of the checkout's sources with lines replaced."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from boots import Parts
from errors import MachineError
from mutant_list import CHECKOUT, Mutant
from plan import MODULE

# What the module is built from.
SOURCES = ("Kbuild", "rust_kvm_nvmx")


def module_path(name: str, parts: Parts) -> Path:
    """Where the edited module NAME is put."""
    return parts.output / "mutants" / f"{name}.ko"


def build_edited(name: str, edits: Iterable[Mutant], parts: Parts) -> Path:
    """Build the module with EDITS made, as NAME; returns where it is."""
    tree = parts.output / "mutants" / name
    shutil.rmtree(tree, ignore_errors=True)
    copy_sources(tree)
    for edit in edits:
        apply_edit(tree, edit)
    path = module_path(name, parts)
    build_module(tree, path, parts.kernel)
    return path


def copy_sources(tree: Path) -> None:
    """Put a copy of the sources at TREE, to be edited."""
    for source in SOURCES:
        origin, copy = CHECKOUT / source, tree / source
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("*.o"))
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, copy)


def apply_edit(tree: Path, edit: Mutant) -> None:
    """Make EDIT in the sources at TREE."""
    path = tree / "rust_kvm_nvmx" / edit.file
    path.write_text(edited(path.read_text(encoding="utf-8"), edit), encoding="utf-8")


def edited(text: str, edit: Mutant) -> str:
    """The TEXT of EDIT's file with EDIT made: its `old` must stand there exactly once."""
    if text.count(edit.old) != 1:
        raise MachineError(
            f"{edit.name}: its `old` stands {text.count(edit.old)} times in {edit.file}"
        )
    return text.replace(edit.old, edit.new)


def build_module(tree: Path, to: Path, kernel: Path) -> None:
    """Build the sources at TREE for KERNEL and copy the module to TO."""
    out = tree / "out"
    make = ["make", "-s", "-C", str(kernel), f"M={tree}", f"MO={out}", "modules"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{tree.name} does not build:\n{done.stderr}")
    shutil.copy(out / "rust_kvm_nvmx" / f"{MODULE}.ko", to)
