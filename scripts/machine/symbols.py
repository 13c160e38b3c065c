# SPDX-License-Identifier: GPL-2.0
"""Names of functions by address: out of the symbol tables of the kernel, its modules and the
test programs, all of which stand at addresses that are known."""

from __future__ import annotations

import bisect
import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_RELOCATABLE = 1  # e_type: a module, placed when it is loaded
_SYMBOL_TABLE = 2  # sh_type
_ALLOCATED, _EXECUTABLE = 2, 4  # sh_flags
_UNTYPED, _FUNCTION = 0, 2  # symbol types
_LOCAL = 0  # symbol binding
_NO_SECTION, _RESERVED = 0, 0xFF00
# The crate's disambiguator in a Rust name, of no use to a reader.
_HASH = re.compile(r"\[[0-9a-f]{6,}\]")


@dataclass(frozen=True)
class _Section:
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    align: int


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
            data = path.read_bytes()
            if data[:5] == b"\x7fELF\x02":
                self._functions = sorted(_functions(data, base))
        except (OSError, struct.error, IndexError, ValueError):
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


def _functions(data: bytes, base: int) -> Iterator[_Function]:
    (kind,) = struct.unpack_from("<H", data, 16)
    sections = _sections(data)
    bases = _places(sections, base) if kind == _RELOCATABLE else {}
    for table in sections:
        if table.type != _SYMBOL_TABLE:
            continue
        names = sections[table.link].offset
        symbols = struct.iter_unpack("<IBBHQQ", data[table.offset : table.offset + table.size])
        found = []
        for name, info, _, index, value, size in symbols:
            if info & 15 not in (_UNTYPED, _FUNCTION) or not _NO_SECTION < index < _RESERVED:
                continue
            section = sections[index]
            if not section.flags & _EXECUTABLE or (kind == _RELOCATABLE and index not in bases):
                continue
            start = value + bases.get(index, 0)
            limit = bases.get(index, section.address) + section.size
            rank = 2 * (info & 15 != _FUNCTION) + (info >> 4 == _LOCAL)
            found.append((start, rank, size, limit, names + name))
        yield from _with_ends(data, sorted(found))


def _with_ends(data: bytes, found: list[tuple[int, int, int, int, int]]) -> Iterator[_Function]:
    """Assembly has symbols without a size: they reach to the next one."""
    starts = sorted({start for start, *_ in found})
    following = dict(zip(starts, starts[1:], strict=False))
    for start, rank, size, limit, at in found:
        name = data[at : data.index(b"\0", at)].decode(errors="replace")
        end = start + size if size else min(following.get(start, limit), limit)
        if name and not name.startswith((".L", "__pfx_", "$")):
            yield _Function(start, rank, end, name)


def _sections(data: bytes) -> list[_Section]:
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    raw = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
    names = raw[names_index][4]

    def text(at: int) -> str:
        return data[names + at : data.index(b"\0", names + at)].decode(errors="replace")

    return [
        _Section(text(name), kind, flags, address, at, length, link, align)
        for name, kind, flags, address, at, length, link, _, align, _ in raw
    ]


def _places(sections: list[_Section], base: int) -> dict[int, int]:
    """Where the kernel puts a module's code: section after section, in the file's order,
    but for those that go once it is initialised."""
    places = {}
    end = base
    for index, section in enumerate(sections):
        code = section.flags & _ALLOCATED and section.flags & _EXECUTABLE
        if not code or section.name.startswith(".init"):
            continue
        align = section.align or 1
        places[index] = -(-end // align) * align
        end = places[index] + section.size
    return places


def _readable(name: str) -> str:
    if not name.startswith("_R"):
        return name
    try:
        done = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return name
    return _HASH.sub("", done.stdout.strip())
