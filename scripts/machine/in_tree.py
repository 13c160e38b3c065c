#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The module, its KUnit suites and its selftests as one patch to a kernel tree that has
the patches: new files, and the lines of the kernel's own that lead to them.

Nothing is written to the tree. If it has all of this already, the patch is empty."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import MachineError

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = "arch/x86/kvm/rust_kvm_nvmx"
SELFTESTS = "tools/testing/selftests/rust_kvm_nvmx"
_AUTHOR = "rust_kvm_nvmx developers <rust-kvm-nvmx@example.org>"
_SERIES = re.compile(r"^VERSION = (\d+)\nPATCHLEVEL = (\d+)$", re.MULTILINE)
_VERSION = re.compile(r"#define KVM_NVMX_HOOKS_VERSION\s+(\d+)")
_MODULE_FILES = ("*.rs", "*.c", "*.h", "Kbuild", "Kconfig*", ".kunitconfig")
_SELFTEST_FILES = (
    *("*.c", "lib/*", "include/*", "module/*.c", "module/Kbuild", "module/Makefile"),
    *("Makefile", "*.mk", "*.awk", "config", "settings", "plan.txt", ".gitignore"),
)
_MESSAGE = f"""\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: {_AUTHOR}
Date: Sun, 29 Nov 2026 08:01:00 +0000
Subject: [PATCH] KVM: nVMX: Add TLB flushes in Rust

Add rust_kvm_nvmx, a client of the nVMX hooks. While it is loaded, it
decides which TLB flushes KVM must do for nested VMX, and executes them,
in place of KVM's C code.

Its rules need nothing of KVM. Their KUnit suites also run in User-Mode
Linux. Its selftests are a target of their own: they link with the
library of the KVM selftests.

Signed-off-by: {_AUTHOR}
---
"""
_MAINTAINERS = f"""\
KVM NESTED VMX TLB FLUSHES IN RUST
M:	{_AUTHOR}
L:	kvm@vger.kernel.org
L:	rust-for-linux@vger.kernel.org
S:	Maintained
F:	{MODULE}/
F:	{SELFTESTS}/

"""


@dataclass(frozen=True)
class Line:
    """What is put into a file of the kernel's."""

    file: str
    added: str
    # The line that it is put before.
    before: Callable[[str], bool]


def _sorted_after(pattern: str, new: str) -> Callable[[str], bool]:
    """The first line that has PATTERN, and in it what comes after NEW in the alphabet."""

    def found(line: str) -> bool:
        match = re.match(pattern, line)
        return bool(match) and match[1].casefold() > new.casefold()

    return found


LINES = (
    Line(
        "arch/x86/kvm/Kconfig",
        f'source "{MODULE}/Kconfig"\n\n',
        lambda line: line.startswith("endif # VIRTUALIZATION"),
    ),
    # After kvm-intel.o: if all are built in, they are initialized in this order.
    Line(
        "arch/x86/kvm/Makefile",
        "obj-y\t\t\t+= rust_kvm_nvmx/\n\n",
        lambda line: line.startswith("AFLAGS_svm/vmenter.o"),
    ),
    Line(
        "arch/x86/Makefile.um",
        f"core-$(CONFIG_RUST_KVM_NVMX_KUNIT_TEST) += {MODULE}/\n",
        lambda line: line == "\n",
    ),
    Line(
        "arch/x86/um/Kconfig",
        f'source "{MODULE}/Kconfig.kunit"\n\n',
        lambda line: line.startswith("config UML_X86"),
    ),
    Line(
        "tools/testing/selftests/Makefile",
        "TARGETS += rust_kvm_nvmx\n",
        _sorted_after(r"TARGETS \+= (\S+)", "rust_kvm_nvmx"),
    ),
    Line(
        "MAINTAINERS",
        _MAINTAINERS,
        _sorted_after(r"(K[A-Z0-9].*)\n", "KVM NESTED VMX TLB FLUSHES IN RUST"),
    ),
)


def check_tree(tree: Path) -> None:
    """An error that says what to do, unless TREE is a kernel tree with the patches."""
    if not tree.is_dir():
        raise MachineError(f"KDIR: there is no directory {tree}")
    for name in ("Kbuild", "Makefile", "MAINTAINERS", "arch/x86/kvm/Kconfig"):
        if not (tree / name).is_file():
            raise MachineError(f"KDIR: {tree} is no kernel source tree: it has no {name}")
    patches = patches_for(tree)
    header = tree / "arch/x86/kvm/nvmx_hooks.h"
    if not header.is_file():
        raise MachineError(
            f"KDIR: {tree} lacks this project's patches: `cd {tree} && git am {patches}/*.patch`"
        )
    has = _VERSION.search(header.read_text(encoding="utf-8"))
    wanted = wanted_version(patches)
    if not has or has[1] != wanted:
        raise MachineError(
            f"KDIR: {tree} has version {has[1] if has else 'unknown'} of the hooks, and this"
            f" module is for {wanted}: apply the patches of this checkout instead"
        )


def patches_for(tree: Path) -> Path:
    """The series for the kernel that TREE is."""
    found = _SERIES.search((tree / "Makefile").read_text(encoding="utf-8"))
    series = ".".join(found.groups()) if found else "of no version"
    patches = CHECKOUT / f"patches/linux-{series}"
    if not patches.is_dir():
        raise MachineError(
            f"KDIR: {tree} is Linux {series}, and there is no {patches}: see docs/porting.md"
        )
    return patches


def wanted_version(patches: Path) -> str:
    """That of the hooks in PATCHES, as the last of them that changes it has it."""
    found = None
    for patch in sorted(patches.glob("*.patch")):
        for line in patch.read_text(encoding="utf-8").splitlines():
            if line.startswith("+"):
                found = _VERSION.search(line) or found
    if not found:
        raise MachineError(f"{patches} defines no KVM_NVMX_HOOKS_VERSION")
    return found[1]


def own_files() -> dict[str, str]:
    """The new files, by their place in the tree."""
    files = {}
    for source, target, patterns in (
        (CHECKOUT / "rust_kvm_nvmx", MODULE, _MODULE_FILES),
        (CHECKOUT / "selftests", SELFTESTS, _SELFTEST_FILES),
    ):
        glob = source.rglob if target == MODULE else source.glob
        for path in sorted({path for pattern in patterns for path in glob(pattern)}):
            name = path.relative_to(source).as_posix()
            files[f"{target}/{name}"] = path.read_text(encoding="utf-8")
    return files


def with_lines(tree: Path) -> dict[str, str]:
    """The kernel's files as they are to be."""
    files = {}
    for each in LINES:
        text = (tree / each.file).read_text(encoding="utf-8")
        if each.added.strip() not in text:
            lines = text.splitlines(keepends=True)
            place = next((i for i, line in enumerate(lines) if each.before(line)), None)
            if place is None:
                what = each.added.splitlines()[0]
                raise MachineError(f"{tree}/{each.file} is not as expected: add by hand: {what}")
            lines.insert(place, each.added)
            text = "".join(lines)
        files[each.file] = text
    return files


def differences(tree: Path) -> dict[str, tuple[str | None, str | None]]:
    """By name, what each file is and what it is to be; None if it is not there."""
    wanted: dict[str, str | None] = {**with_lines(tree), **own_files()}
    for path in _source_files(tree / MODULE):
        wanted.setdefault(path.relative_to(tree).as_posix(), None)
    found = {}
    for name, new in wanted.items():
        path = tree / name
        old = path.read_text(encoding="utf-8") if path.is_file() else None
        if old != new:
            found[name] = (old, new)
    return found


def _source_files(directory: Path) -> Iterator[Path]:
    for pattern in _MODULE_FILES:
        for path in directory.rglob(pattern):
            # Made by a build in the tree.
            if path.name != "bindings_generated.rs" and not path.name.endswith(".mod.c"):
                yield path


def render(changes: dict[str, tuple[str | None, str | None]]) -> str:
    """The patch, for `git am`, `git apply` and `patch -p1`."""
    text = [_MESSAGE]
    for name, (old, new) in sorted(changes.items()):
        text.append(f"diff --git a/{name} b/{name}\n")
        if old is None:
            text.append("new file mode 100644\n")
        if new is None:
            text.append("deleted file mode 100644\n")
        text += difflib.unified_diff(
            (old or "").splitlines(keepends=True),
            (new or "").splitlines(keepends=True),
            "/dev/null" if old is None else f"a/{name}",
            "/dev/null" if new is None else f"b/{name}",
        )
    text.append("--\n")
    return "".join(text)


def main() -> int:
    """Write the patch; 0 if that could be done."""
    parser = argparse.ArgumentParser(prog="in_tree.py", description=__doc__)
    parser.add_argument("--tree", type=Path, required=True, help="the kernel's source")
    parser.add_argument("--out", type=Path, required=True, help="the patch")
    parser.add_argument("--update", action="store_true", help="replace what is there and differs")
    options = parser.parse_args()
    try:
        check_tree(options.tree)
        changes = differences(options.tree)
        ours = (f"{MODULE}/", f"{SELFTESTS}/")
        others = [name for name, (old, _) in changes.items() if old and name.startswith(ours)]
        if others and not options.update:
            raise MachineError(
                f"KDIR: {options.tree} has this already, and {len(others)} files of it differ"
                f" from this checkout ({others[0]}): `make in-tree UPDATE=1` replaces them"
            )
        options.out.write_text(render(changes) if changes else "", encoding="utf-8")
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
