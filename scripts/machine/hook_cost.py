#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The instructions that each hook's body takes, in C and in Rust, from the modules as they are
built: no machine is emulated, each function is run by itself on a vCPU that exists in memory only.

What the vCPU is like, and the rows of the table, is in selftests/hook_cost."""

from __future__ import annotations

import argparse
import bisect
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from counting_cpu import CountingCpu, Run
from errors import MachineError
from linker import Program

_KVM = ("kvm.ko", "kvm-intel.ko")
# Where C handles a hook: its name, and C's function.
_CALL = re.compile(r"\bkvm_nvmx_call(?:_waited_for)?\((\w+),\s*(\w+),")
_WORD = 8
# Defines the vCPU, and all that a hook may change.
_STATE = "vcpu.o"


@dataclass(frozen=True)
class Scenario:
    """One row: what is called, and what makes the vCPU what it must be."""

    hook: str
    name: str
    prepare: int
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Hook:
    """Rust's side of one."""

    function: int
    # In bytes; 0 for void.
    result_size: int


@dataclass(frozen=True)
class Row:
    """One row, measured. C is None where no function of C's was found."""

    hook: str
    scenario: str
    c: Run | None
    rust: Run
    # The compiler has put C's function into its caller; what was run was compiled by itself.
    inlined: bool
    # What Rust leaves or returns that C does not.
    differences: list[str]


class Hooks:
    """The two sides of each hook, ready to be called."""

    def __init__(self, kernel: Path, module: Path, objects: Path) -> None:
        kvm = kernel / "arch/x86/kvm"
        files = [kvm / name for name in _KVM] + [module] + sorted(objects.glob("*.o"))
        self._program = Program(files)
        self._cpu = CountingCpu(self._program)
        self._c = c_functions(kvm)
        self._load(module.name)
        self._saved = self._cpu.save()

    def scenarios(self) -> list[Scenario]:
        """The rows of the table (struct scenario in hook_cost.h)."""
        return [
            Scenario(self._cpu.string(hook), self._cpu.string(name), prepare, tuple(arguments[:nr]))
            for hook, name, prepare, nr, *arguments in self._table("scenarios", 8)
        ]

    def measure(self, scenario: Scenario) -> Row:
        """Run both sides."""
        hook = self._hooks.get(scenario.hook)
        if hook is None:
            raise MachineError(f"{scenario.hook}: the kernel has no hook of that name")
        rust, after_rust = self._run(scenario, hook.function, (self._client,))
        name = self._c.get(scenario.hook)
        function = self._program.find(name) if name else None
        if function is None:
            return Row(scenario.hook, scenario.name, None, rust, False, [])
        c, after_c = self._run(scenario, function, ())
        inlined = self._program.file_of(name) not in _KVM
        differences = self._differences(after_c, after_rust)
        mask = (1 << 8 * hook.result_size) - 1
        if (c.result ^ rust.result) & mask:
            differences.append(f"returns {rust.result & mask:#x}, not {c.result & mask:#x}")
        return Row(scenario.hook, scenario.name, c, rust, inlined, differences)

    def names(self) -> list[str]:
        """The kernel's hooks."""
        return list(self._hooks)

    def _load(self, module: str) -> None:
        """What loading the three modules does, as far as a hook notices."""
        self._call("setup")
        self._patch_calls()
        try:
            status = self._cpu.call(self._program.address("init_module", module)).result
        except MachineError as error:
            raise MachineError(
                f"{module}, built for another kernel?, does not load: {error}"
            ) from error
        if status & 0xFFFF_FFFF:
            error = (1 << 32) - (status & 0xFFFF_FFFF)
            raise MachineError(f"{module}, built for another kernel?, does not load: error {error}")
        if self._call("setup_hooks").result & 0xFFFF_FFFF:
            raise MachineError(f"{module} has not registered with KVM")
        self._client = self._cpu.word(self._program.address("kvm_nvmx_client"))
        self._hooks = {
            self._cpu.string(name): Hook(function, size)
            for name, function, size in self._table("hooks", 3)
        }

    def _call(self, name: str) -> Run:
        return self._cpu.call(self._program.address(name))

    def _patch_calls(self) -> None:
        for trampoline, function in self._table("static_calls", 2):
            if function:
                self._cpu.patched_calls[trampoline] = function

    def _run(self, scenario: Scenario, function: int, first: tuple[int, ...]) -> tuple[Run, bytes]:
        """Run FUNCTION; returns the state afterwards too."""
        self._cpu.restore(self._saved)
        self._cpu.call(scenario.prepare)
        self._cpu.vmcs = dict(self._table("vmcs_values", 2))
        run = self._cpu.call(function, first + scenario.arguments)
        start, end = self._program.extent(_STATE)
        return run, self._cpu.read(start, end - start)

    def _differences(self, c: bytes, rust: bytes) -> list[str]:
        """The variables that are not alike, each with the offset of its first byte that is not."""
        start, _ = self._program.extent(_STATE)
        variables = sorted((at, name) for name, at in self._program.symbols(_STATE).items())
        found: dict[str, int] = {}
        for offset, (one, other) in enumerate(zip(c, rust, strict=True)):
            if one != other:
                at, name = variables[bisect.bisect(variables, (start + offset + 1,)) - 1]
                found.setdefault(name, start + offset - at)
        return [f"{name}+{offset:#x}" for name, offset in found.items()]

    def _table(self, name: str, width: int) -> list[tuple[int, ...]]:
        """The rows of an array NAME of structures of WIDTH words, of which there are nr_NAME."""
        start = self._program.address(name)
        rows = self._cpu.word(self._program.address(f"nr_{name}"))
        size = width * _WORD
        return [
            tuple(self._cpu.word(start + row * size + word * _WORD) for word in range(width))
            for row in range(rows)
        ]


def c_functions(directory: Path) -> dict[str, str]:
    """By hook, the function that KVM's sources call where no client does."""
    found: dict[str, str] = {}
    for path in sorted(directory.rglob("*.c")):
        found |= dict(_CALL.findall(path.read_text(encoding="utf-8", errors="replace")))
    if not found:
        raise MachineError(f"{directory} has no hooks: this kernel lacks the patches")
    return found


def table(rows: list[Row]) -> str:
    """In Markdown."""
    lines = [
        "| hook | scenario | C | Rust | Rust/C | invalidations | external calls |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    for row in rows:
        c = "?" if row.c is None else f"{row.c.instructions}{' (i)' if row.inlined else ''}"
        ratio = f"{row.rust.instructions / row.c.instructions:.2f}" if row.c else ""
        rust = f"{row.rust.instructions}{' (d)' if row.differences else ''}"
        lines.append(
            f"| {row.hook} | {row.scenario} | {c} | {rust} | {ratio} |"
            f" {_both(row, _invalidations)} | {_both(row, _externals)} |"
        )
    if any(row.inlined for row in rows):
        lines += ["", "(i): the compiler inlines this function; counted is the function by itself."]
    for row in rows:
        if row.differences:
            where = f"{row.hook}, {row.scenario}"
            lines += ["", f"(d) {where}: Rust differs from C in {', '.join(row.differences)}."]
    return "\n".join(lines)


def _both(row: Row, of: Callable[[Run], str]) -> str:
    """The same on both sides once, else C's and Rust's."""
    rust = of(row.rust)
    c = of(row.c) if row.c else rust
    return rust if c == rust else f"C: {c or '-'}; Rust: {rust or '-'}"


def _invalidations(run: Run) -> str:
    return _counted(f"{kind} {first:#x}" for kind, first, _ in run.invalidations)


def _externals(run: Run) -> str:
    return _counted(run.externals)


def _counted(items: Iterable[str]) -> str:
    counts = Counter(items).items()
    return ", ".join(f"{count}x {item}" if count > 1 else item for item, count in counts)


def _record(row: Row) -> dict:
    return {
        "hook": row.hook,
        "scenario": row.scenario,
        "c_inlined": row.inlined,
        "differences": row.differences,
        "c": vars(row.c) if row.c else None,
        "rust": vars(row.rust),
    }


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(prog="hook_cost.py", description=__doc__)
    parser.add_argument("--kernel", type=Path, required=True, help="the kernel's tree, built")
    parser.add_argument("--module", type=Path, required=True, help="rust_kvm_nvmx.ko for it")
    parser.add_argument("--objects", type=Path, required=True, help="selftests/hook_cost, built")
    parser.add_argument("--out", type=Path, required=True, help="directory of the results")
    options = parser.parse_args()
    try:
        hooks = Hooks(options.kernel, options.module, options.objects)
        rows = [hooks.measure(scenario) for scenario in hooks.scenarios()]
        without = sorted(set(hooks.names()) - {row.hook for row in rows})
        text = table(rows)
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "hook-cost.md").write_text(text + "\n", encoding="utf-8")
        records = json.dumps([_record(row) for row in rows], indent=1)
        (options.out / "hook-cost.json").write_text(records + "\n", encoding="utf-8")
    except (MachineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    if without:
        print(f"\nNot measured: {', '.join(without)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
