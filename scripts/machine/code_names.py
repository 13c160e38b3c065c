# SPDX-License-Identifier: GPL-2.0
"""Whose code an address in the machine is: the kernel's and its modules', or the test's.

A test and the guests that it runs are one program: guests run at its own addresses.
"""

from __future__ import annotations

import functools
from pathlib import Path

from symbols import SymbolTable


@functools.cache
def _table(path: Path, base: int = 0) -> SymbolTable:
    return SymbolTable(path, base)


class CodeNames:
    """Names for the addresses of one step. MODULES has each module's file and address."""

    def __init__(
        self, kernel: Path, modules: dict[str, tuple[Path, int]], program: Path | None
    ) -> None:
        self._kernel = kernel
        self._modules = modules
        self._program = program

    def hypervisor(self, address: int) -> str:
        """`FUNCTION+0x12 [MODULE] (0xADDRESS)`, or the address alone."""
        for module, (path, base) in self._modules.items():
            name = _table(path, base).name(address)
            if name:
                return f"{name} [{module}] ({address:#x})"
        return _with_address(_table(self._kernel).name(address), address)

    def guest(self, address: int) -> str:
        """`FUNCTION+0x12 (0xADDRESS)`, or the address alone."""
        return _with_address(_table(self._program).name(address) if self._program else "", address)

    def guest_function(self, address: int) -> str:
        """`FUNCTION`, or the address."""
        name = _table(self._program).name(address) if self._program else ""
        return name.partition("+")[0] or f"{address:#x}"


def _with_address(name: str, address: int) -> str:
    return f"{name} ({address:#x})" if name else f"{address:#x}"
