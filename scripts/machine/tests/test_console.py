# SPDX-License-Identifier: GPL-2.0
"""The console's lines: what is found in them, and what must not be."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from console import Console, Tail
from faults import find_fault

BAD = {
    "[    5.59] Kernel panic - not syncing: sysrq triggered crash": "panic",
    "[    1.00] BUG: unable to handle page fault for address: ffff88800": "oops",
    "[    1.00] Oops: 0002 [#1] SMP NOPTI": "oops",
    "[    1.00] Oops: general protection fault, probably for": "oops",
    "[    1.00] rcu: INFO: rcu_preempt self-detected stall on CPU": "RCU stall",
    "[    1.00] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:": "RCU stall",
    "[    1.00] INFO: task qemu:12 blocked for more than 120 seconds.": "hung task",
    "[    1.00] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!": "soft lockup",
    "[    1.00] WARNING: possible circular locking dependency detected": "lockdep",
    "[    1.00] INFO: lockdep is turned off.": "lockdep",
    "[    1.00] turning off the locking correctness validator.": "lockdep",
    "[    1.00] Disabling lock debugging due to kernel taint": "lockdep",
    "[    1.00] WARNING: suspicious RCU usage": "RCU",
    "[    1.00] BUG: KASAN: slab-out-of-bounds in a+0x1/0x2 [b]": "KASAN",
    "[    1.00] BUG: KCSAN: data-race in a / b": "KCSAN",
    "[    1.00] UBSAN: shift-out-of-bounds in a.c:1:2": "UBSAN",
    "[    1.00] BUG: using smp_processor_id() in preemptible [00000000] code: a/1": "preemptible",
    "[    1.00] BUG: using __this_cpu_add() in preemptible [00000000] code: a/1": "preemptible",
    "[    1.00] CFI failure at a+0x1/0x2 (target: b+0x0/0x1; expected type: 0x1)": "CFI",
    "[    1.00] ------------[ cut here ]------------": "WARN",
    "[    1.00] WARNING: arch/x86/kvm/vmx/vmx.c:123 at foo+0x1/0x2": "WARN",
    "[    1.00] BUG: sleeping function called from invalid context": "sleeping function",
    "[    1.00] BUG: workqueue lockup - pool cpus=0 node=0": "BUG",
    "[    1.00] kernel BUG at mm/slub.c:1!": "oops",
    "[    1.00] BUG kmalloc-64 (Not tainted): Right Redzone overwritten": "BUG",
    "[    1.00] INFO: trying to register non-static key.": "lockdep",
    "[    1.00] ** 17 printk messages dropped **": "lost messages",
}
GOOD = [
    "[    0.00] Linux version 7.3.4 (a@b) #1 SMP",
    "[    3.33] intel_pstate: Invalid MSRs",
    "[    0.10] mem auto-init: stack:all(zero), heap alloc:off",
    "[    9.00] machine: begin absent/nested_exceptions_test",
    "[    2.10] ACPI: Failed to create genetlink family for ACPI event",
]


class FaultPatterns(unittest.TestCase):
    """Real lines of a kernel in trouble, and of one that is well."""

    def test_bad_lines_are_named(self) -> None:
        for line, kind in BAD.items():
            fault = find_fault(line)
            self.assertIsNotNone(fault, line)
            self.assertEqual(fault.kind, kind, line)

    def test_good_lines_pass(self) -> None:
        for line in GOOD:
            self.assertIsNone(find_fault(line), line)

    def test_what_ends_the_run(self) -> None:
        self.assertTrue(find_fault("Kernel panic - not syncing: x").fatal)
        self.assertFalse(find_fault("------------[ cut here ]------------").fatal)


def _told(*lines: str) -> Console:
    """What has read these LINES of the tests' port."""
    console = Console()
    for line in lines:
        console.tests_line(line)
    return console


class Steps(unittest.TestCase):
    """Reports of the init script become records."""

    def test_a_whole_step(self) -> None:
        console = _told(
            "@machine kernel 7.3.4",
            "@machine begin absent/a",
            "# witness r invvpid.single == 1",
            "@machine counter hook.flush_tlb_all.rust 7",
            "@machine probe vmx_flush_tlb_all 5",
            "@machine end absent/a 0 10.00 12.50",
            "@machine begin absent/b",
            "@machine probe vmx_flush_tlb_all 8",
            "@machine end absent/b 1 13.00 13.10",
            "@machine finished",
        )
        first, second = console.steps["absent/a"], console.steps["absent/b"]
        self.assertEqual((first.status, first.seconds), (0, 2.5))
        self.assertEqual(first.output, ["# witness r invvpid.single == 1"])
        self.assertEqual(first.counters, {"hook.flush_tlb_all.rust": 7})
        self.assertEqual(first.probes, {"vmx_flush_tlb_all": 5})
        self.assertEqual(second.probes, {"vmx_flush_tlb_all": 3})
        self.assertEqual(second.status, 1)
        self.assertTrue(console.done)

    def test_a_fault_belongs_to_the_step_in_the_kernels_log(self) -> None:
        console = Console()
        console.kernel_line("[ 1.0] machine: begin absent/a")
        console.kernel_line("[ 1.1] ------------[ cut here ]------------")
        console.kernel_line("[ 1.2] machine: end absent/a")
        console.kernel_line("[ 1.3] BUG: sleeping function called")
        self.assertEqual([f.kind for f in console.steps["absent/a"].faults], ["WARN"])
        self.assertEqual([f.kind for f in console.faults], ["BUG"])

    def test_a_line_that_comes_twice(self) -> None:
        console = _told(
            "@machine begin absent/a",
            "@machine begin absent/a",
            "@machine probe a_0 5",
            "@machine probe a_0 5",
            "@machine end absent/a 0 1.0 2.0",
            "@machine end absent/a 0 1.0 2.0",
        )
        self.assertEqual(console.steps["absent/a"].probes, {"a_0": 5})
        self.assertEqual((console.steps["absent/a"].status, console.faults), (0, []))
        console.tests_line("@machine begin absent/a")
        self.assertIn("ran twice", console.faults[0].line)

    def test_the_kernel_knows_of_faults_that_the_log_lacks(self) -> None:
        console = Console()
        # An out-of-tree module that is not signed, a warning, the same warning.
        for name, taint in (("a", 4096 | 8192), ("b", 4096 | 8192 | 512), ("c", 4096 | 512)):
            console.tests_line(f"@machine begin absent/{name}")
            console.tests_line(f"@machine taint {taint}")
            console.tests_line(f"@machine end absent/{name} 0 1.0 2.0")
        found = {name: len(step.faults) for name, step in console.steps.items()}
        self.assertEqual(found, {"absent/a": 0, "absent/b": 1, "absent/c": 0})
        self.assertIn("after a warning", console.steps["absent/b"].faults[0].line)

    def test_a_second_boot_is_a_fault(self) -> None:
        console = Console()
        self.assertIsNone(console.kernel_line("[ 0.0] Linux version 7.3.4"))
        self.assertTrue(console.kernel_line("[ 0.0] Linux version 7.3.4").fatal)

    def test_broken_set_up_is_fatal(self) -> None:
        console = Console()
        console.tests_line("@machine broken insmod kvm-intel failed")
        self.assertTrue(console.all_faults()[0].fatal)


class GrowingFile(unittest.TestCase):
    """Lines come whole, however the file grows."""

    def test_lines_in_pieces(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "log"
            tail = Tail(path)
            self.assertEqual(tail.lines(), [])
            path.write_bytes(b"one\r\ntw")
            self.assertEqual(tail.lines(), ["one"])
            with open(path, "ab") as file:
                file.write(b"o\n1\r2\r3\nrest")
            self.assertEqual(tail.lines(), ["two", "3"])
            self.assertEqual(tail.lines(), [])
            self.assertEqual(tail.lines(all_of_it=True), ["rest"])


class Races(unittest.TestCase):
    """A report of KCSAN is a fault, unless it ends and has none of our functions."""

    def _read(self, *stack: str, end: bool = True) -> Console:
        console = Console()
        lines = ["=" * 66, "BUG: KCSAN: data-race in a / b", "read to 0xffff of 4 bytes by task 1:"]
        lines += [*stack, "Reported by Kernel Concurrency Sanitizer on:"]
        for line in [*lines, *(["=" * 66] if end else [])]:
            console.kernel_line(f"[   20.5] {line}")
        return console

    def test_others(self) -> None:
        console = self._read(" a+0x1/0x2", " vmx_vcpu_run+0x1/0x20 [kvm_intel]")
        self.assertEqual((console.faults, console.races), ([], ["data-race in a / b"]))

    def test_ours(self) -> None:
        for line in (
            " kvm_nvmx_register+0x1/0x20 [kvm]",
            " nvmx_hv_queue_out+0x1/0x20",
            " flush_tlb_all+0x1/0x20 [rust_kvm_nvmx]",
            " _RNvCs0_13rust_kvm_nvmx5entry+0x1/0x20",
            " race+0x1/0x20 [splats]",
        ):
            console = self._read(" a+0x1/0x2", line)
            self.assertEqual([fault.kind for fault in console.faults], ["KCSAN"], line)
            self.assertEqual(console.races, [])

    def test_a_report_without_an_end(self) -> None:
        self.assertEqual(len(self._read(" a+0x1/0x2", end=False).faults), 1)

    def test_what_comes_after_is_no_part_of_it(self) -> None:
        console = self._read(" a+0x1/0x2")
        console.kernel_line("[   21.0]  nvmx_hv_queue_out+0x1/0x20")
        self.assertEqual(console.faults, [])


if __name__ == "__main__":
    unittest.main()
