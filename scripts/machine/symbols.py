# SPDX-License-Identifier: GPL-2.0
"""Names of functions by address: out of the symbol tables of the kernel, its modules and the
test programs, all of which stand at addresses that are known."""

from __future__ import annotations

import bisect
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

_CODE = SH_FLAGS.SHF_ALLOC | SH_FLAGS.SHF_EXECINSTR
_TYPES = ("STT_FUNC", "STT_NOTYPE")
_NO_NAMES = (".L", "__pfx_", "$")
# The crate's disambiguator in a Rust name, of no use to a reader.
_HASH = re.compile(r"\[[0-9a-f]{6,}\]")


@dataclass(frozen=True, order=True)
class _Function:
    start: int
    # Whether another one at the same place is the better name.
    rank: int
    end: int
    name: str


class SymbolTable:
    """The functions of one ELF file; BASE is where a module's code was loaded."""

    def __init__(self, path: Path, base: int = 0) -> None:
        self._functions: list[_Function] = []
        try:
            with open(path, "rb") as file:
                self._functions = sorted(_functions(ELFFile(file), base))
        except (OSError, ELFError):
            pass  # an address without a name is still an address
        self._starts = [function.start for function in self._functions]

    def name(self, address: int) -> str:
        """`FUNCTION+0xOFFSET`, or nothing."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return ""
        # The best-ranked of those that begin at the same place.
        at = bisect.bisect_left(self._starts, self._starts[at])
        function = self._functions[at]
        if address >= function.end:
            return ""
        return f"{_readable(function.name)}+{address - function.start:#x}"


def _functions(elf: ELFFile, base: int) -> Iterator[_Function]:
    table = elf.get_section_by_name(".symtab")
    places = _places(elf, base)
    for symbol in table.iter_symbols() if table else ():
        kind, section, name = symbol["st_info"]["type"], symbol["st_shndx"], symbol.name
        if kind not in _TYPES or section not in places or not name or name.startswith(_NO_NAMES):
            continue
        shift, limit = places[section]
        start, size = symbol["st_value"] + shift, symbol["st_size"]
        rank = 2 * _TYPES.index(kind) + (symbol["st_info"]["bind"] == "STB_LOCAL")
        # Assembly has symbols without a size: up to the next one, which is found before it.
        yield _Function(start, rank, start + size if size else limit, name)


def _places(elf: ELFFile, base: int) -> dict[int, tuple[int, int]]:
    """By section of code: what to add to a symbol's value, and where the section ends.

    A module's are where the kernel puts them: one after the other, in the file's order, but for
    those that go once it is initialised."""
    places = {}
    end = base
    for index, section in enumerate(elf.iter_sections()):
        if section["sh_flags"] & _CODE != _CODE:
            continue
        if elf["e_type"] != "ET_REL":
            places[index] = 0, section["sh_addr"] + section["sh_size"]
        elif not section.name.startswith(".init"):
            align = section["sh_addralign"] or 1
            start = -(-end // align) * align
            end = start + section["sh_size"]
            places[index] = start, end
    return places


def _readable(name: str) -> str:
    if not name.startswith("_R"):
        return name
    try:
        done = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return name
    return _HASH.sub("", done.stdout.strip())
