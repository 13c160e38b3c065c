# SPDX-License-Identifier: GPL-2.0
"""ELF files for tests, made by the assembler and the linker."""

from __future__ import annotations

import subprocess
from pathlib import Path


def assemble(path: Path, text: str) -> Path:
    """Make the object PATH, as a kernel module is one, of TEXT."""
    command = ["gcc", "-c", "-x", "assembler", "-o", str(path), "-"]
    subprocess.run(command, input=text + "\n", text=True, check=True)
    return path


def link(path: Path, text: str, address: int) -> Path:
    """Make the program PATH of TEXT, with its code at ADDRESS."""
    command = ["ld", f"-Ttext={address:#x}", "-e", f"{address:#x}", "-o", str(path)]
    subprocess.run([*command, str(assemble(path.with_suffix(".o"), text))], check=True)
    return path
