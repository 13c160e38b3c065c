#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Writes the initramfs of a first domain of Xen: busybox, Xen's tools with their libraries, and
what the domain does, which is to start a guest with another initramfs in it."""

from __future__ import annotations

import argparse
import lzma
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile

import image
from errors import MachineError

_TOOLS = ("xl", "xenconsoled", "xenstored", "xen-init-dom0")
# What they need in the kernel; Debian's has them as modules.
_MODULES = ("xen-evtchn", "xen-gntdev", "xen-privcmd", "xenfs")
# The C library opens it where a thread is cancelled, so that no program names it.
_OPENED = "libgcc_s.so.1"
_LOADER = Path("lib64/ld-linux-x86-64.so.2")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")


def needed(program: Path) -> Iterator[str]:
    """The libraries that an ELF file names."""
    with open(program, "rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        for tag in dynamic.iter_tags("DT_NEEDED") if dynamic else ():
            yield tag.needed


def libraries(programs: list[Path], directories: list[Path]) -> dict[str, Path]:
    """All that PROGRAMS need, by name, each from the first of DIRECTORIES that has it."""
    found: dict[str, Path] = {}
    waiting = list(programs)
    while waiting:
        for name in needed(waiting.pop()):
            if name in found:
                continue
            places = [directory / name for directory in directories]
            place = next((place for place in places if place.is_file()), None)
            if place is None:
                raise MachineError(f"no {name} for Xen's tools: the list of packages lacks one")
            found[name] = place
            waiting.append(place)
    return found


def module(packages: Path, name: str) -> bytes:
    """A module of the kernel in PACKAGES."""
    places = sorted(packages.glob(f"usr/lib/modules/*/kernel/**/{name}.ko*"))
    if not places:
        raise MachineError(f"the kernel's package has no module {name}")
    data = places[0].read_bytes()
    return lzma.decompress(data) if places[0].suffix == ".xz" else data


def _busybox(root: Path, init: str) -> None:
    for directory in ("proc", "sys", "dev", "tmp"):
        (root / directory).mkdir()
    image.add(root, "bin/busybox", image.BUSYBOX.read_bytes())
    image.add(root, "init", (image.GUEST / init).read_bytes())


def _guest() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _busybox(root, "xen-guest")
        return image.archive(root)


def write(packages: Path, kernel: Path, output: Path) -> None:
    """Make OUTPUT of what Debian's PACKAGES were unpacked to. The guest runs KERNEL, too."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _busybox(root, "xen-dom0")
        tools = [next(packages.glob(f"usr/lib/xen-*/bin/{name}")) for name in _TOOLS]
        for tool in tools:
            image.add(root, str(tool.relative_to(packages)), tool.read_bytes())
        here = Path("/") / _LIBRARIES
        found = libraries(tools, [packages / _LIBRARIES, here]) | {_OPENED: here / _OPENED}
        for name, place in found.items():
            image.add(root, f"lib/{name}", place.read_bytes())
        image.add(root, str(_LOADER), (Path("/") / _LOADER).read_bytes())
        for name in _MODULES:
            image.add(root, f"modules/{name}.ko", module(packages, name), 0o644)
        image.add(root, "guest/vmlinuz", kernel.read_bytes(), 0o644)
        image.add(root, "guest/initrd", _guest(), 0o644)
        image.add(root, "guest/config", (image.GUEST / "xen-guest.cfg").read_bytes(), 0o644)
        output.write_bytes(image.archive(root))


def main() -> int:
    """1 if something is missing."""
    parser = argparse.ArgumentParser(prog="xen_initrd.py", description=__doc__)
    for name in ("packages", "kernel", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    try:
        write(options.packages, options.kernel, options.out)
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
