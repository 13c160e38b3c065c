# SPDX-License-Identifier: GPL-2.0
"""Relocatable ELF files, placed in one address space and linked as the kernel's loader of modules
does it."""

from __future__ import annotations

import bisect
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS, SHN_INDICES
from elftools.elf.elffile import ELFFile

from errors import MachineError

# Below 2 GB, since relocations of 32 bits are sign-extended.
BASE = 0x1000_0000
_PAGE = 0x1000
# What a symbol that nobody defines gets, as a function or as a variable of zeroes.
EXTERNAL_SIZE = _PAGE
_LOCAL = 0  # symbol binding
_FUNCTION, _SECTION, _FILE = 2, 3, 4  # symbol types
# By type, of the x86-64 psABI: how it is stored, and whether it is relative to its place.
_RELOCATIONS = {
    1: ("<Q", False),  # R_X86_64_64
    2: ("<i", True),  # R_X86_64_PC32
    4: ("<i", True),  # R_X86_64_PLT32
    10: ("<I", False),  # R_X86_64_32
    11: ("<i", False),  # R_X86_64_32S
    24: ("<q", True),  # R_X86_64_PC64
}


@dataclass(frozen=True)
class _Symbol:
    name: str
    local: bool
    # None: it is defined elsewhere, or in a section that is not loaded.
    address: int | None
    undefined: bool


@dataclass
class _File:
    name: str
    elf: ELFFile
    places: dict[int, int] = field(default_factory=dict)
    symbols: list[_Symbol] = field(default_factory=list)
    defined: dict[str, int] = field(default_factory=dict)
    extent: tuple[int, int] = (0, 0)


@dataclass(frozen=True, order=True)
class _Function:
    start: int
    end: int
    name: str


class Program:
    """Files, linked in order. A global symbol that several files define is the first one's for
    all of them: what is compiled a second time shares the variables of the first."""

    def __init__(self, paths: list[Path]) -> None:
        self.image = bytearray()
        # Sections of code: name, address, size.
        self.code: list[tuple[str, int, int]] = []
        self.externals: dict[int, str] = {}
        self._files: list[_File] = []
        self._globals: dict[str, int] = {}
        self._external_of: dict[str, int] = {}
        self._functions: list[_Function] = []
        for path in paths:
            try:
                self._add(path)
            except (OSError, ELFError, struct.error, UnicodeDecodeError) as error:
                raise MachineError(f"{path}: cannot be read: {error}") from error
        self._functions.sort()
        self._align(_PAGE)
        self.externals_start = BASE + len(self.image)
        for file in self._files:
            self._relocate(file)

    def find(self, name: str, file: str | None = None) -> int | None:
        """The address of NAME, global or not, in FILE or in the first file that defines it."""
        for each in self._files:
            if file in (None, each.name) and name in each.defined:
                return each.defined[name]
        return None

    def address(self, name: str, file: str | None = None) -> int:
        """The same, of what must be there."""
        found = self.find(name, file)
        if found is None:
            raise MachineError(f"{file or 'none of the files'} defines no {name}")
        return found

    def file_of(self, name: str) -> str | None:
        """The first file that defines NAME."""
        return next((file.name for file in self._files if name in file.defined), None)

    def symbols(self, file: str) -> dict[str, int]:
        """All that FILE defines."""
        return next(dict(each.defined) for each in self._files if each.name == file)

    def extent(self, file: str) -> tuple[int, int]:
        """Where FILE begins and ends."""
        return next(each.extent for each in self._files if each.name == file)

    def with_prefix(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The symbols that begin with PREFIX, and where they are."""
        for file in self._files:
            for name, address in file.defined.items():
                if name.startswith(prefix):
                    yield name, address

    def named(self, name: str) -> int | None:
        """Where NAME is for its callers, whether or not a file defines it."""
        found = self.find(name)
        return self._external_of.get(name) if found is None else found

    def function_at(self, address: int) -> str:
        """The function that ADDRESS is in."""
        at = bisect.bisect_right(self._functions, address, key=lambda each: each.start) - 1
        if at >= 0 and address < self._functions[at].end:
            return self._functions[at].name
        for section, start, size in self.code:
            if start <= address < start + size:
                return section
        return self.externals.get(address, f"{address:#x}")

    def _add(self, path: Path) -> None:
        elf = ELFFile(io.BytesIO(path.read_bytes()))
        if elf["e_type"] != "ET_REL" or elf["e_machine"] != "EM_X86_64":
            raise MachineError(f"{path}: this is no relocatable file for x86-64")
        file = _File(path.name, elf)
        self._files.append(file)
        start = BASE + len(self.image)
        for number, section in enumerate(elf.iter_sections()):
            flags, size = section["sh_flags"], section["sh_size"]
            if not flags & SH_FLAGS.SHF_ALLOC:
                continue
            self._align(section["sh_addralign"])
            file.places[number] = BASE + len(self.image)
            # A NOBITS section has no data in the file.
            data = bytes(size) if section["sh_type"] == "SHT_NOBITS" else section.data()
            if flags & SH_FLAGS.SHF_EXECINSTR:
                self.code.append((section.name, BASE + len(self.image), size))
            self.image += data
        file.extent = (start, BASE + len(self.image))
        self._read_symbols(file)

    def _align(self, to: int) -> None:
        self.image += bytes(-len(self.image) % max(to, 1))

    def _read_symbols(self, file: _File) -> None:
        table = file.elf.get_section_by_name(".symtab")
        if table is None:
            raise MachineError(f"{file.name}: it has no symbol table")
        names = file.elf.get_section(table["sh_link"])
        for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data()):
            text = names.get_string(name)
            kind, local = info & 15, info >> 4 == _LOCAL
            if section == SHN_INDICES.SHN_ABS:
                address = value
            elif section in file.places:
                address = file.places[section] + value
            else:
                address = None
            undefined = section == SHN_INDICES.SHN_UNDEF
            file.symbols.append(_Symbol(text, local, address, undefined))
            if address is None or not text or kind in (_SECTION, _FILE):
                continue
            file.defined.setdefault(text, address)
            if not local:
                self._globals.setdefault(text, address)
            if kind == _FUNCTION:
                self._functions.append(_Function(address, address + size, text))

    def _relocate(self, file: _File) -> None:
        for section in file.elf.iter_sections():
            place = file.places.get(section["sh_info"])
            if section["sh_type"] != "SHT_RELA" or place is None:
                continue
            for offset, info, addend in struct.iter_unpack("<QQq", section.data()):
                at = place + offset
                self._apply(file, at, info & 0xFFFF_FFFF, file.symbols[info >> 32], addend)

    def _apply(self, file: _File, at: int, kind: int, symbol: _Symbol, addend: int) -> None:
        if kind not in _RELOCATIONS:
            raise MachineError(f"{file.name}: relocations of type {kind} are not known")
        form, relative = _RELOCATIONS[kind]
        value = self._value(symbol) + addend - (at if relative else 0)
        if form == "<Q":
            value &= (1 << 64) - 1
        try:
            struct.pack_into(form, self.image, at - BASE, value)
        except struct.error as error:
            raise MachineError(f"{file.name}: {symbol.name} is out of reach: {error}") from error

    def _value(self, symbol: _Symbol) -> int:
        if symbol.local:
            # Of a section that is not loaded: as in the kernel, nobody follows this.
            return symbol.address or 0
        if symbol.name in self._globals:
            return self._globals[symbol.name]
        if not symbol.undefined:
            return symbol.address or 0
        if symbol.name not in self._external_of:
            self._external_of[symbol.name] = BASE + len(self.image)
            self.externals[BASE + len(self.image)] = symbol.name
            self.image += bytes(EXTERNAL_SIZE)
        return self._external_of[symbol.name]
