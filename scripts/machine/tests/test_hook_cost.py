# SPDX-License-Identifier: GPL-2.0
"""What a hook costs: objects are linked, instructions counted, and both put into a table."""

from __future__ import annotations

import struct
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from counting_cpu import CountingCpu, Run
from errors import MachineError
from hook_cost import Row, c_functions, table
from linker import BASE, EXTERNAL_SIZE, Program
from tests.assembly import assemble


def _function(name: str, body: str) -> str:
    return f".globl {name}\n.type {name}, @function\n{name}:\n{body}\n.size {name}, . - {name}\n"


class _Objects(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)

    def link(self, *texts: str) -> Program:
        """Objects 0.o, 1.o and so on, linked."""
        return Program([assemble(self.directory / f"{n}.o", text) for n, text in enumerate(texts)])


class Linking(_Objects):
    """Places, symbols and relocations."""

    def word(self, program: Program, address: int, form: str = "<Q") -> int:
        """What stands at ADDRESS."""
        return struct.unpack_from(form, program.image, address - BASE)[0]

    def test_relocations(self) -> None:
        program = self.link(
            ".data\nhere: .quad there + 8\n.long there\n.long there - .\n.quad there - .\n"
            ".globl there\n.balign 64\nthere: .quad 0"
        )
        here, there = program.address("here"), program.address("there")
        self.assertEqual(there % 64, 0)
        self.assertEqual(self.word(program, here), there + 8)
        self.assertEqual(self.word(program, here + 8, "<I"), there)
        self.assertEqual(self.word(program, here + 12, "<i"), there - (here + 12))
        self.assertEqual(self.word(program, here + 16, "<q"), there - (here + 16))

    def test_across_files(self) -> None:
        program = self.link(".data\n.quad x", ".data\n.globl x\n.balign 16\nx: .quad 1")
        self.assertEqual(self.word(program, BASE), program.address("x"))

    def test_the_first_global_is_everybodys_and_a_local_its_files(self) -> None:
        text = ".data\nreader: .quad shared, own\n.globl shared\nshared: .quad 1\nown: .quad 2"
        program = self.link(text, text)
        first, second = (program.address("reader", file) for file in ("0.o", "1.o"))
        self.assertEqual(self.word(program, first), self.word(program, second))
        self.assertEqual(self.word(program, second + 8), program.address("own", "1.o"))
        self.assertNotEqual(program.address("own", "1.o"), program.address("own", "0.o"))
        self.assertEqual(program.file_of("own"), "0.o")

    def test_what_nobody_defines_is_zeroes(self) -> None:
        program = self.link(".data\n.quad a, b, a")
        a, b, again = (self.word(program, BASE + 8 * n) for n in range(3))
        self.assertEqual((a, abs(a - b)), (again, EXTERNAL_SIZE))
        self.assertEqual(program.externals, {a: "a", b: "b"})
        self.assertEqual(self.word(program, b), 0)
        self.assertIsNone(program.find("a"))
        self.assertEqual(program.named("a"), a)

    def test_bss_is_there(self) -> None:
        program = self.link(".bss\nx: .zero 5000\n.data\n.quad x")
        start, end = program.extent("0.o")
        self.assertGreaterEqual(end - start, 5008)
        self.assertEqual(self.word(program, program.address("x")), 0)

    def test_names_of_places(self) -> None:
        program = self.link(_function("f", "nop\nnop") + '.section .aux, "ax"\nnop')
        f = program.address("f")
        self.assertEqual(program.function_at(f + 1), "f")
        self.assertEqual(program.function_at(f + 2), ".aux")
        self.assertEqual(program.function_at(1), "0x1")

    def test_bad_input(self) -> None:
        for data in (b"", b"text\n", b"\x7fELF" + bytes(60)):
            path = self.directory / "bad.o"
            path.write_bytes(data)
            with self.assertRaisesRegex(MachineError, "bad.o: cannot be read"):
                Program([path])
        with self.assertRaisesRegex(MachineError, "none.o: cannot be read"):
            Program([self.directory / "none.o"])
        with self.assertRaisesRegex(MachineError, "relocations of type 12 are not known"):
            self.link(".data\n.word x")
        with self.assertRaisesRegex(MachineError, "none of the files defines no f"):
            self.link(".globl x\nx: nop").address("f")


class Counting(_Objects):
    """One function, run."""

    def run_function(self, text: str, *arguments: int) -> Run:
        """Run f of TEXT."""
        program = self.link(text)
        return CountingCpu(program).call(program.address("f"), arguments)

    def test_a_loop(self) -> None:
        run = self.run_function(_function("f", "1: dec %rdi\njnz 1b\nmov %rsi, %rax\nret"), 5, 9)
        self.assertEqual((run.instructions, run.result), (12, 9))

    def test_by_function(self) -> None:
        run = self.run_function(_function("f", "call g\ncall g\nret") + _function("g", "nop\nret"))
        self.assertEqual(run.functions, Counter(f=3, g=4))

    def test_a_string_instruction_is_one(self) -> None:
        run = self.run_function(
            _function("f", "lea x(%rip), %rdi\nmov $3, %ecx\nrep stosb\nret") + ".bss\nx: .zero 8"
        )
        self.assertEqual(run.instructions, 4)

    def test_externals(self) -> None:
        run = self.run_function(_function("f", "mov $5, %eax\ncall ext\njmp ext"))
        self.assertEqual((run.instructions, run.result), (3, 0))
        self.assertEqual(run.externals, ["ext", "ext"])

    def test_replacements_are_not_counted(self) -> None:
        body = "call ext\ncall own\nret"
        text = _function("f", body) + _function("own", "nop\nret")
        text += _function("external_ext", "call helper\nmov $7, %eax\nret")
        text += _function("external_own", "add $1, %eax\nret") + _function("helper", "nop\nret")
        run = self.run_function(text)
        self.assertEqual((run.functions, run.result), (Counter(f=3), 8))
        self.assertEqual(run.externals, ["ext", "own"])

    def test_patched_calls(self) -> None:
        text = _function("f", "call trampoline\nret") + _function("trampoline", "ret")
        program = self.link(text + _function("target", "mov $1, %eax\nret"))
        cpu = CountingCpu(program)
        cpu.patched_calls[program.address("trampoline")] = program.address("target")
        run = cpu.call(program.address("f"))
        self.assertEqual((run.functions, run.result), (Counter(f=2, target=2), 1))

    def test_per_cpu_variables(self) -> None:
        run = self.run_function(
            _function("f", "incq %gs:x(%rip)\nmov x(%rip), %rax\nret") + ".data\nx: .quad 1"
        )
        self.assertEqual(run.result, 2)

    def test_invalidations(self) -> None:
        for operand, place in (
            ("(%rsi)", "lea x(%rip), %rsi"),
            ("x(%rip)", "nop"),
            ("x", "nop"),
            ("-8(%rsp)", "pushq x+8(%rip)\npushq x(%rip)\nlea 8(%rsp), %rsp"),
            ("8(%r12)", "lea x-8(%rip), %r12"),
            ("0x100(%r13,%rcx,8)", "lea x-0x110(%rip), %r13\nmov $2, %ecx"),
            ("x(,%rcx,8)", "xor %ecx, %ecx"),
        ):
            with self.subTest(operand):
                # Flags that would tell of a failure, if they were left.
                end = "lea 8(%rsp), %rsp\n" if "rsp" in operand else ""
                body = f"mov $1, %r9d\n{place}\nstc\ninvvpid {operand}, %r9\nsetbe %al\n{end}ret"
                run = self.run_function(_function("f", body) + ".data\nx: .quad 7, 0x1000")
                self.assertEqual(run.invalidations, [("INVVPID single", 7, 0x1000)])
                self.assertEqual(run.result & 0xFF, 0)

    def test_kinds(self) -> None:
        body = "mov $2, %eax\ninvept x(%rip), %rax\nmov $0, %eax\ninvvpid x(%rip), %rax\nret"
        run = self.run_function(_function("f", body) + ".data\nx: .quad 1, 2")
        kinds = [kind for kind, _, _ in run.invalidations]
        self.assertEqual(kinds, ["INVEPT all", "INVVPID address"])

    def test_vmcs(self) -> None:
        body = "mov $0x4402, %r8d\nvmread %r8, %r15\nmov %r15, %rax\nvmwrite %rax, %r8\nret"
        program = self.link(_function("f", body))
        cpu = CountingCpu(program)
        cpu.vmcs = {0x4402: 77}
        run = cpu.call(program.address("f"))
        self.assertEqual((run.result, run.instructions), (77, 5))
        self.assertEqual(run.vmcs, Counter(VMREAD=1, VMWRITE=1))

    def test_memory_is_restored(self) -> None:
        program = self.link(
            _function("f", "incq x(%rip)\nmov x(%rip), %rax\nret") + ".data\nx: .quad 0"
        )
        cpu = CountingCpu(program)
        saved = cpu.save()
        self.assertEqual([cpu.call(program.address("f")).result for _ in range(2)], [1, 2])
        cpu.restore(saved)
        self.assertEqual(cpu.call(program.address("f")).result, 1)
        self.assertEqual(cpu.word(program.address("x")), 1)

    def test_what_goes_wrong_is_told(self) -> None:
        for body, what in (
            ("ud2", r"^f \(0x[0-9a-f]+\): a WARN or BUG$"),
            ("mov 0, %rax\nret", "^f .*Invalid memory read"),
            ("1: jmp 1b", "^f .*does not end"),
            ("jmp *%rdi", "^0x0 .*Invalid memory fetch"),
            ("vmread %rax, (%rsp)\nret", "^f .*VMREAD to memory"),
        ):
            with self.subTest(body), self.assertRaisesRegex(MachineError, what):
                self.run_function(_function("f", body))


class Table(unittest.TestCase):
    """What is shown."""

    def row(self, c: Run | None, rust: Run, **other: object) -> str:
        """The lines below the head."""
        values = {"inlined": False, "differences": []} | other
        return table([Row("h", "s", c, rust, **values)]).split("\n", 2)[2]

    def test_a_row(self) -> None:
        run = Run(10, invalidations=[("INVVPID single", 2, 0)], externals=["a", "a", "b"])
        self.assertEqual(
            self.row(run, run), "| h | s | 10 | 10 | 1.00 | INVVPID single 0x2 | 2x a, b |"
        )

    def test_sides_that_differ(self) -> None:
        text = self.row(Run(10, externals=["a"]), Run(5))
        self.assertEqual(text, "| h | s | 10 | 5 | 0.50 |  | C: a; Rust: - |")

    def test_no_function_of_cs(self) -> None:
        self.assertEqual(self.row(None, Run(5)), "| h | s | ? | 5 |  |  |  |")

    def test_notes(self) -> None:
        text = self.row(Run(10), Run(10), inlined=True, differences=["x+0x8"])
        self.assertIn("| 10 (i) | 10 (d) |", text)
        self.assertIn("(d) h, s: Rust differs from C in x+0x8.", text)

    def test_c_functions(self) -> None:
        with tempfile.TemporaryDirectory() as holder:
            directory = Path(holder)
            with self.assertRaisesRegex(MachineError, "lacks the patches"):
                c_functions(directory)
            (directory / "vmx").mkdir()
            text = "#define kvm_nvmx_call(hook, c_fn, args...)\n\tkvm_nvmx_call(a, b,\n\t\tvcpu);"
            (directory / "vmx/x.c").write_text(text)
            self.assertEqual(c_functions(directory), {"hook": "c_fn", "a": "b"})


if __name__ == "__main__":
    unittest.main()
