# SPDX-License-Identifier: GPL-2.0
"""The hooks of the kernel that is booted, and where C handles each.

kvm_nvmx_call() is a branch on the hook's static key. As long as the key is off, the CPU goes on
after the branch, to C. A kprobe there counts how often. It needs no name of a C function, most
of which the compiler inlines. Where C's function is empty there is no code of C's to count: what
comes after the branch is executed on every way, with gcc and lockdep the function's end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import image
from errors import MachineError
from plan import Probe

# One line for each hook, in the order of their keys.
HEADER = "arch/x86/kvm/nvmx-hooks.h"
_HOOK = re.compile(r"^KVM_NVMX_HOOK\(\s*[^,()]+,\s*(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# A call, C's functions that do nothing, and those that do. One that does nothing in another
# configuration is both.
_CALL = re.compile(r"\bkvm_nvmx_call\(\s*(\w+),\s*(\w+)")
_EMPTY = re.compile(r"\b(\w+)\([^()]*\)\s*\{\s*\}")
_NOT_EMPTY = re.compile(r"\b(\w+)\([^()]*\)\s*\{\s*[^}\s]")
_KEYS = "kvm_nvmx_keys"
# struct static_key.
_KEY_SIZE = 16
# An object with this symbol is built with KASAN, which makes each array larger.
_PADS = "__asan_register_globals"
# struct jump_entry: code and target, 4 bytes each, and the key, 8 bytes.
_CODE, _KEY, _ENTRY = 0, 8, 16
# The key's address has flags in it; this one: the branch is a jump as long as the key is off.
_FLAGS, _JUMPS = 3, 1
# How long the branch is, by its first byte: a jump, or the NOP that objtool makes of it.
_LENGTHS = {0xEB: 2, 0x66: 2, 0xE9: 5, 0x0F: 5}


@dataclass(frozen=True)
class Hook:
    """One hook, and its call sites."""

    name: str
    sites: tuple[Probe, ...]
    # C's function is empty: C is not counted.
    empty_in_c: bool = False

    def in_rust(self, counters: Mapping[str, int]) -> int:
        """How often Rust handled it, by the module's counters."""
        return counters.get(f"hook.{self.name}.rust", 0)

    def in_c(self, probes: Mapping[str, int]) -> int:
        """How often C handled it, by what the probes counted."""
        return sum(probes.get(site.event, 0) for site in self.sites)


def read_hooks(kernel: Path) -> list[Hook]:
    """All hooks of a built kernel."""
    names = read_names(kernel / HEADER)
    empty = read_empty(kernel / HEADER)
    sites: dict[str, list[Probe]] = {name: [] for name in names}
    files = image.module_files(kernel)
    # What is built in is in the kernel, whose last object still has its relocations.
    objects = {
        files.get(module, kernel / "vmlinux.o"): f"{module.replace('-', '_')}:"
        if module in files
        else ""
        for module in ("kvm", "kvm-intel")
    }
    for number, (path, module) in enumerate(objects.items()):
        try:
            with open(path, "rb") as file:
                code = _Object(ELFFile(file), path)
                if number == 0:
                    code.check_keys(len(names))
                for index, place in code.call_sites(len(names)):
                    own = sites[names[index]]
                    event = f"{names[index]}_{len(own)}"
                    own.append(Probe(event, f"{module}{place}"))
        except OSError as error:
            raise MachineError(f"{path}: {error.strerror}") from error
    return [
        Hook(name, (), True) if name in empty else Hook(name, tuple(places))
        for name, places in sites.items()
    ]


def read_names(header: Path) -> list[str]:
    """The hooks' names, in the order of their keys."""
    try:
        text = header.read_text(encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{header}: {error.strerror}: is this kernel patched?") from error
    names = _HOOK.findall(_COMMENT.sub("", text))
    if not names:
        raise MachineError(f"{header}: it names no hook")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MachineError(f"{header}: {twice[0]} is there twice")
    return names


def read_empty(header: Path) -> set[str]:
    """The hooks whose function in C is empty, by the source around HEADER."""
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(header.parent.rglob("*.[ch]"))
    ]
    empty = {name for text in texts for name in _EMPTY.findall(text)}
    empty -= {name for text in texts for name in _NOT_EMPTY.findall(text)}
    calls = [call for text in texts for call in _CALL.findall(text)]
    return {hook for hook, _ in calls} - {hook for hook, c in calls if c not in empty}


class _Object:
    """One of KVM's modules, as it was built, or the kernel that has it."""

    def __init__(self, elf: ELFFile, path: Path) -> None:
        self._elf = elf
        self._path = path
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise MachineError(f"{path}: no symbols: was it stripped?")
        self._symbols = list(table.iter_symbols())

    def _other_keys(self, count: int) -> MachineError:
        what = f"{_KEYS} is not for the {count} hooks of {HEADER}: build the kernel again"
        return MachineError(f"{self._path}: {what}")

    def check_keys(self, count: int) -> None:
        """An error if there are not COUNT keys, as far as the object shows it."""
        padded = any(symbol.name == _PADS for symbol in self._symbols)
        for symbol in self._symbols:
            if symbol.name == _KEYS and symbol["st_shndx"] != "SHN_UNDEF":
                rest = symbol["st_size"] - count * _KEY_SIZE
                if rest < 0 or rest > 0 and not padded:
                    raise self._other_keys(count)
                return
        raise MachineError(f"{self._path}: no {_KEYS}: is this kernel patched?")

    def call_sites(self, count: int) -> Iterator[tuple[int, str]]:
        """The key's index and FUNCTION+OFFSET of C's side, of each branch on one of COUNT keys."""
        table = self._elf.get_section_by_name(".rela__jump_table")
        relocations = {r["r_offset"]: r for r in table.iter_relocations()} if table else {}
        for offset, key in relocations.items():
            if offset % _ENTRY != _KEY or self._symbols[key["r_info_sym"]].name != _KEYS:
                continue
            code = relocations[offset - _KEY + _CODE]
            symbol = self._symbols[code["r_info_sym"]]
            place = symbol["st_value"] + code["r_addend"]
            after = self._after(symbol["st_shndx"], place)
            if key["r_addend"] & _JUMPS:
                raise MachineError(f"{self._path}: {after}: C's side is not after the branch")
            index = (key["r_addend"] & ~_FLAGS) // _KEY_SIZE
            if index >= count:
                raise self._other_keys(count)
            yield index, after

    def _after(self, section: int, place: int) -> str:
        """The place after the branch at PLACE."""
        first = self._elf.get_section(section).data()[place]
        name, start = self._function(section, place)
        if first not in _LENGTHS:
            raise MachineError(f"{self._path}: {name}+{place - start:#x} is no branch")
        return f"{name}+{place - start + _LENGTHS[first]:#x}"

    def _function(self, section: int, place: int) -> tuple[str, int]:
        for symbol in self._symbols:
            if symbol["st_shndx"] == section and symbol["st_info"]["type"] == "STT_FUNC":
                start = symbol["st_value"]
                if start <= place < start + symbol["st_size"]:
                    return symbol.name, start
        raise MachineError(f"{self._path}: no function at {place:#x} of section {section}")
