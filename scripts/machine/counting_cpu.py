# SPDX-License-Identifier: GPL-2.0
"""A CPU, emulated by unicorn, that runs one function of a linked program and counts instructions.

Not emulated but recognised are the VMX instructions: they succeed at once. A function that nobody
defines returns 0 at once; both are counted."""

from __future__ import annotations

import re
import struct
from collections import Counter
from dataclasses import dataclass, field

from errors import MachineError
from linker import BASE, Program
from unicorn import UC_ARCH_X86, UC_HOOK_CODE, UC_MODE_64, Uc, UcError
from unicorn import x86_const as x86

_STACK, _STACK_SIZE = 0x0800_0000, 0x10000
# Where the outermost call returns to: the far end of the stack.
_END = _STACK
# Where no instruction ever is.
_NEVER = (1 << 64) - 1
# Far beyond what any hook does: a loop that does not end.
_LIMIT = 2_000_000
_ARGUMENTS = (
    x86.UC_X86_REG_RDI,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_R8,
    x86.UC_X86_REG_R9,
)
_REGISTERS = (
    x86.UC_X86_REG_RAX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RBX,
    x86.UC_X86_REG_RSP,
    x86.UC_X86_REG_RBP,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDI,
    x86.UC_X86_REG_R8,
    x86.UC_X86_REG_R9,
    x86.UC_X86_REG_R10,
    x86.UC_X86_REG_R11,
    x86.UC_X86_REG_R12,
    x86.UC_X86_REG_R13,
    x86.UC_X86_REG_R14,
    x86.UC_X86_REG_R15,
)
# INVEPT and INVVPID have the prefix 66; VMREAD and VMWRITE have none.
_VMX = re.compile(rb"\x66[\x40-\x4f]?\x0f\x38[\x80\x81]|[\x40-\x4f]?\x0f[\x78\x79]", re.DOTALL)
_INVEPT, _INVVPID, _VMREAD, _VMWRITE = 0x80, 0x81, 0x78, 0x79
_NAMES = {
    (_INVVPID, 0): "INVVPID address",
    (_INVVPID, 1): "INVVPID single",
    (_INVVPID, 2): "INVVPID all",
    (_INVVPID, 3): "INVVPID single, no globals",
    (_INVEPT, 1): "INVEPT single",
    (_INVEPT, 2): "INVEPT all",
}
_REPEATS = (b"\xf2", b"\xf3")
_UD2 = b"\x0f\x0b"
# CF, PF, AF, ZF, SF, OF: all clear is VMsucceed.
_STATUS_FLAGS = 0x8D5
_ALL_ONES = (1 << 64) - 1


@dataclass
class Run:
    """What one call did."""

    instructions: int = 0
    functions: Counter[str] = field(default_factory=Counter)
    # Kind, and its operand.
    invalidations: list[tuple[str, int, int]] = field(default_factory=list)
    vmcs: Counter[str] = field(default_factory=Counter)
    externals: list[str] = field(default_factory=list)
    result: int = 0


@dataclass(frozen=True)
class _Operand:
    """A ModRM byte, decoded."""

    register: int
    # Of a register operand its number, of one in memory its address.
    is_register: bool
    value: int
    length: int


class CountingCpu:
    """Memory with PROGRAM in it, and a CPU. The program's external_NAME replaces NAME for all
    callers; neither it nor what it calls is counted."""

    def __init__(self, program: Program, replacement: str = "external_") -> None:
        self._program = program
        self._uc = Uc(UC_ARCH_X86, UC_MODE_64)
        size = -len(program.image) // 0x1000 * -0x1000
        self._uc.mem_map(BASE, size)
        self._uc.mem_map(_STACK, _STACK_SIZE)
        self._uc.mem_write(BASE, bytes(program.image))
        self._uc.hook_add(UC_HOOK_CODE, self._at_instruction)
        self._replaced = {}
        for name, address in program.with_prefix(replacement):
            place = program.named(name.removeprefix(replacement))
            if place is not None:
                self._replaced[place] = address
        self._vmx = set(self._vmx_addresses())
        # Where a call of a trampoline goes to instead, as if the call had been patched.
        self.patched_calls: dict[int, int] = {}
        self.vmcs: dict[int, int] = {}
        self._seen: Counter[int] = Counter()
        self._steps = 0
        self._first: int | None = None
        self._last = _END
        self._previous: int | None = None

    def read(self, address: int, size: int) -> bytes:
        """Memory."""
        try:
            return bytes(self._uc.mem_read(address, size))
        except UcError as error:
            raise MachineError(f"there is no memory at {address:#x}") from error

    def word(self, address: int) -> int:
        """8 bytes of memory."""
        return struct.unpack("<Q", self.read(address, 8))[0]

    def string(self, address: int) -> str:
        """A string that ends with a zero."""
        return self.read(address, 256).split(b"\0")[0].decode()

    def save(self) -> bytes:
        """All of the program's memory."""
        return self.read(BASE, len(self._program.image))

    def restore(self, saved: bytes) -> None:
        """Memory as it was when it was saved."""
        self._uc.mem_write(BASE, saved)

    def call(self, function: int, arguments: tuple[int, ...] = ()) -> Run:
        """Run FUNCTION until it returns."""
        run = Run()
        self._seen.clear()
        self._steps = 0
        for register in _REGISTERS:
            self._uc.reg_write(register, 0)
        for register, value in zip(_ARGUMENTS, arguments, strict=False):
            self._uc.reg_write(register, value & _ALL_ONES)
        self._uc.reg_write(x86.UC_X86_REG_EFLAGS, 0x202)
        self._set_stack(_STACK + _STACK_SIZE - 0x100)
        self._push(_END)
        self._run_to(_END, function, run)
        run.result = self._uc.reg_read(x86.UC_X86_REG_RAX)
        for address, count in self._seen.items():
            run.functions[self._program.function_at(address)] += count
        run.instructions = run.functions.total()
        return run

    def _run_to(self, end: int, start: int, run: Run) -> None:
        """From START until END is next to be executed."""
        pc = start
        while pc != end:
            if pc in self.patched_calls:
                pc = self.patched_calls[pc]
            elif pc in self._replaced:
                run.externals.append(self._program.function_at(pc))
                pc = self._uncounted(self._replaced[pc])
            elif pc >= self._program.externals_start:
                run.externals.append(self._program.function_at(pc))
                self._uc.reg_write(x86.UC_X86_REG_RAX, 0)
                pc = self._return()
            elif pc in self._vmx:
                self._seen[pc] += 1
                pc += self._execute_vmx(pc, run)
            else:
                pc = self._run_on(pc, end)

    def _uncounted(self, function: int) -> int:
        """Run FUNCTION in the place of what was just called; returns where to continue."""
        seen, self._seen = self._seen, Counter()
        stack = self._stack()
        back = self.word(stack)
        self._run_to(back, function, Run())
        # A recursive call would end here too early.
        if self._stack() != stack + 8:
            raise MachineError(f"{self._program.function_at(function)} calls itself")
        self._seen = seen
        return back

    def _run_on(self, pc: int, end: int) -> int:
        """Emulate from PC on, at least one instruction, up to the next that wants attention."""
        self._first, self._last, self._previous = pc, end, None
        try:
            # unicorn's own way to say where to stop is forgotten by code that it has translated.
            self._uc.emu_start(pc, _NEVER)
        except UcError as error:
            raise MachineError(self._why(error)) from error
        if self._steps > _LIMIT:
            raise MachineError(f"{self._place(pc)}: it does not end")
        return self._uc.reg_read(x86.UC_X86_REG_RIP)

    def _at_instruction(self, uc: Uc, address: int, _size: int, _data: object) -> None:
        first, self._first = self._first, None
        self._steps += 1
        if self._steps > _LIMIT or (address != first and self._wants_attention(address)):
            uc.emu_stop()
            return
        # Of a string instruction unicorn tells each turn.
        if address != self._previous or self.read(address, 1) not in _REPEATS:
            self._seen[address] += 1
        self._previous = address

    def _wants_attention(self, address: int) -> bool:
        return (
            address == self._last
            or address in self._vmx
            or address in self.patched_calls
            or address in self._replaced
            or address >= self._program.externals_start
        )

    def _why(self, error: UcError) -> str:
        pc = self._uc.reg_read(x86.UC_X86_REG_RIP)
        mapped = BASE <= pc < BASE + len(self._program.image)
        stop = mapped and self.read(pc, 2) == _UD2
        return f"{self._place(pc)}: {'a WARN or BUG' if stop else error}"

    def _place(self, pc: int) -> str:
        return f"{self._program.function_at(pc)} ({pc:#x})"

    def _vmx_addresses(self) -> list[int]:
        found = []
        for _, start, size in self._program.code:
            code = self._program.image[start - BASE : start - BASE + size]
            # The pattern is within other instructions too, which does no harm: it is looked at
            # where an instruction begins only.
            for at in range(size):
                if _VMX.match(code, at):
                    found.append(start + at)
        return found

    def _execute_vmx(self, pc: int, run: Run) -> int:
        """Execute the VMX instruction at PC; returns its length."""
        code = self.read(pc, 16)
        match = _VMX.match(code)
        opcode, rex = match[0][-1], 0
        at = 1 if code[0] == 0x66 else 0
        if code[at] & 0xF0 == 0x40:
            rex = code[at]
        operand = self._decode(code, match.end(), rex, pc)
        register = self._uc.reg_read(_REGISTERS[operand.register])
        if opcode in (_INVEPT, _INVVPID):
            kind = _NAMES.get((opcode, register), f"type {register} of {opcode:#x}")
            run.invalidations.append((kind, *struct.unpack("<QQ", self.read(operand.value, 16))))
        elif opcode == _VMREAD:
            if not operand.is_register:
                raise MachineError(f"{self._place(pc)}: VMREAD to memory is not emulated")
            self._uc.reg_write(_REGISTERS[operand.value], self.vmcs.get(register, 0))
            run.vmcs["VMREAD"] += 1
        else:
            run.vmcs["VMWRITE"] += 1
        flags = self._uc.reg_read(x86.UC_X86_REG_EFLAGS)
        self._uc.reg_write(x86.UC_X86_REG_EFLAGS, flags & ~_STATUS_FLAGS)
        return match.end() + operand.length

    def _decode(self, code: bytes, at: int, rex: int, pc: int) -> _Operand:
        """The operands, whose ModRM byte is at AT. (SDM, volume 2, "Instruction Format".)"""
        mode, register, rm = code[at] >> 6, code[at] >> 3 & 7 | (rex & 4) << 1, code[at] & 7
        if mode == 3:
            return _Operand(register, True, rm | (rex & 1) << 3, 1)
        length, address = 1, 0
        displacement = {0: 0, 1: 1, 2: 4}[mode]
        if rm == 4:
            sib, length = code[at + 1], 2
            index, base = sib >> 3 & 7 | (rex & 2) << 2, sib & 7
            if index != 4:
                address += self._uc.reg_read(_REGISTERS[index]) << (sib >> 6)
            if base == 5 and mode == 0:
                displacement = 4
            else:
                address += self._uc.reg_read(_REGISTERS[base | (rex & 1) << 3])
        elif rm == 5 and mode == 0:
            displacement = 4
            address = pc + at + 5
        else:
            address = self._uc.reg_read(_REGISTERS[rm | (rex & 1) << 3])
        offset = code[at + length : at + length + displacement]
        address += int.from_bytes(offset, "little", signed=True)
        return _Operand(register, False, address & _ALL_ONES, length + displacement)

    def _stack(self) -> int:
        return self._uc.reg_read(x86.UC_X86_REG_RSP)

    def _set_stack(self, to: int) -> None:
        self._uc.reg_write(x86.UC_X86_REG_RSP, to)

    def _push(self, value: int) -> None:
        self._set_stack(self._stack() - 8)
        self._uc.mem_write(self._stack(), struct.pack("<Q", value))

    def _return(self) -> int:
        to = self.word(self._stack())
        self._set_stack(self._stack() + 8)
        return to
