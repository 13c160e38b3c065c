# SPDX-License-Identifier: GPL-2.0
"""Where C handles each hook, out of modules as the kernel's build makes them."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

from call_sites import HEADER, Hook, read_hooks, read_names
from errors import MachineError
from plan import Probe, guest_script, Plan
from tests.assembly import assemble

NAMES = """/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM_NVMX_HOOK(ret, name, args...): the line of a hook.
KVM_NVMX_HOOK(void, in_a_comment, struct kvm_vcpu *vcpu)
 */
KVM_NVMX_HOOK(void, flush_all, struct kvm_vcpu *vcpu)
KVM_NVMX_HOOK(int, enter,
	      struct kvm_vcpu *vcpu, bool dirty)
KVM_NVMX_HOOK(u64, hv_flush, struct kvm_vcpu *vcpu)
#undef KVM_NVMX_HOOK
"""
KEYS = (
    ".data; .globl kvm_nvmx_keys; kvm_nvmx_keys: .zero {}; .size kvm_nvmx_keys, . - kvm_nvmx_keys"
)
SHORT, LONG = ".byte 0x66, 0x90", ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00"


def branch(code: str, key: str = "kvm_nvmx_keys", addend: int = 2) -> str:
    """A static branch, as arch/x86/include/asm/jump_label.h makes it."""
    return f"""1: {code}
        .pushsection __jump_table, "aw"
        .balign 8
        .long 1b - ., 1b - .
        .quad {key} + {addend} - .
        .popsection
        call something"""


def function(name: str, *body: str) -> str:
    """A function with BODY after three bytes, and bytes before it."""
    return "\n".join(
        (
            f".text; .zero 32; .type {name}, @function; {name}: .byte 0x48, 0x89, 0xe5",
            *body,
            f"ret; .size {name}, . - {name}",
        )
    )


class CallSites(unittest.TestCase):
    """A built kernel of three hooks, in small."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.kernel = Path(scratch.name)
        (self.kernel / HEADER).parent.mkdir(parents=True)
        (self.kernel / HEADER).write_text(NAMES, encoding="utf-8")
        self.module("kvm", KEYS.format(48), function("x86", branch(LONG, addend=32 + 2)))
        self.module(
            "kvm-intel",
            function("first", "nop", branch(SHORT)),
            function("other", branch(LONG, key="another_key")),
            ".pushsection .text.unlikely",
            ".popsection",
            function("second", branch("jmp 1b"), branch("jmp something", addend=16 + 2)),
            function("third", branch(LONG, addend=16)),
        )

    def module(self, name: str, *text: str) -> None:
        """Assemble one of KVM's modules."""
        assemble(self.kernel / f"arch/x86/kvm/{name}.ko", "\n".join(text))

    def refused(self, *words: str) -> None:
        """What is wrong is said in WORDS."""
        with self.assertRaises(MachineError) as caught:
            read_hooks(self.kernel)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_the_place_after_each_branch(self) -> None:
        self.assertEqual(
            read_hooks(self.kernel),
            [
                Hook(
                    "flush_all",
                    (
                        # 3 bytes, a NOP and the branch's 2; 3 and its 2.
                        Probe("flush_all_0", "kvm_intel:first+0x6"),
                        Probe("flush_all_1", "kvm_intel:second+0x5"),
                    ),
                ),
                Hook(
                    "enter",
                    (
                        # After the first branch and its call.
                        Probe("enter_0", "kvm_intel:second+0xf"),
                        Probe("enter_1", "kvm_intel:third+0x8"),
                    ),
                ),
                Hook("hv_flush", (Probe("hv_flush_0", "kvm:x86+0x8"),)),
            ],
        )

    def test_counts(self) -> None:
        hook = Hook("enter", (Probe("enter_0", "f"), Probe("enter_1", "g")))
        self.assertEqual(hook.in_c({"enter_0": 2, "enter_1": 3, "enter_10": 5}), 5)
        self.assertEqual(hook.in_rust({"hook.enter.rust": 7}), 7)
        self.assertEqual((hook.in_c({}), hook.in_rust({})), (0, 0))

    def test_the_machine_is_told(self) -> None:
        script = guest_script(Plan((), (Probe("enter_0", "kvm_intel:second+0xf"),)))
        self.assertIn("probe enter_0 kvm_intel:second+0xf\n", script)

    def test_a_hook_without_a_call_site(self) -> None:
        self.module("kvm", KEYS.format(48))
        self.assertEqual(read_hooks(self.kernel)[2], Hook("hv_flush", ()))

    def test_a_function_of_c_that_is_empty(self) -> None:
        source = self.kernel / "arch/x86/kvm/vmx/nested.c"
        source.parent.mkdir()
        source.write_text(
            "static void c_enter(struct kvm_vcpu *vcpu) { }\n"
            "static void c_flush(struct kvm_vcpu *vcpu) { flush(); }\n"
            "static void c_flush(struct kvm_vcpu *vcpu) {}\n"
            "#define kvm_nvmx_call(hook, c_fn, args...) c_fn(args)\n"
            "\tkvm_nvmx_call(enter, c_enter, vcpu, true);\n"
            "\tkvm_nvmx_call(flush_all, c_flush, vcpu);\n"
            "\tkvm_nvmx_call(hv_flush, c_enter, vcpu);\n"
            "\tkvm_nvmx_call(hv_flush,\n\t\t      c_flush, vcpu);\n",
            encoding="utf-8",
        )
        by_name = {hook.name: hook for hook in read_hooks(self.kernel)}
        self.assertEqual(by_name["enter"], Hook("enter", (), True))
        self.assertTrue(by_name["flush_all"].sites)
        # One of its two functions does something.
        self.assertTrue(by_name["hv_flush"].sites)

    def test_another_number_of_keys(self) -> None:
        self.module("kvm", KEYS.format(64))
        self.refused("kvm.ko", "3 hooks", "build the kernel again")

    def test_kasan_makes_the_array_of_keys_larger(self) -> None:
        self.module("kvm", KEYS.format(96), "call __asan_register_globals")
        self.assertTrue(read_hooks(self.kernel))

    def test_a_key_that_no_hook_has(self) -> None:
        far = function("far", branch(LONG, addend=48 + 2))
        self.module("kvm", KEYS.format(96), far, "call __asan_register_globals")
        self.refused("kvm.ko", "3 hooks", "build the kernel again")

    def test_no_keys(self) -> None:
        self.module("kvm", function("f"))
        self.refused("no kvm_nvmx_keys", "patched?")

    def test_a_branch_that_jumps_to_c(self) -> None:
        self.module("kvm-intel", function("first", branch("jmp something", addend=2 + 1)))
        self.refused("kvm-intel.ko", "first+0x8", "not after the branch")

    def test_what_is_no_branch(self) -> None:
        self.module("kvm-intel", function("first", branch("ret")))
        self.refused("first+0x3 is no branch")

    def test_code_of_no_function(self) -> None:
        self.module("kvm-intel", ".text", branch(SHORT))
        self.refused("no function at 0x0")

    def test_stripped(self) -> None:
        subprocess.run(["strip", str(self.kernel / "arch/x86/kvm/kvm-intel.ko")], check=True)
        self.refused("kvm-intel.ko", "no symbols")

    def test_not_built(self) -> None:
        (self.kernel / "arch/x86/kvm/kvm.ko").unlink()
        self.refused("kvm.ko: No such file")
        (self.kernel / ".config").write_text("CONFIG_KVM=y\n", encoding="utf-8")
        self.refused("vmlinux.o: No such file")

    def test_built_in(self) -> None:
        (self.kernel / ".config").write_text("CONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n", encoding="utf-8")
        for name in ("kvm", "kvm-intel"):
            (self.kernel / f"arch/x86/kvm/{name}.ko").unlink()
        assemble(
            self.kernel / "vmlinux.o",
            "\n".join(
                (
                    KEYS.format(48),
                    function("x86", branch(LONG, addend=32 + 2)),
                    function("vmx", branch(SHORT)),
                )
            ),
        )
        self.assertEqual(
            [hook.sites for hook in read_hooks(self.kernel)],
            [(Probe("flush_all_0", "vmx+0x5"),), (), (Probe("hv_flush_0", "x86+0x8"),)],
        )

    def test_headers(self) -> None:
        header = self.kernel / HEADER
        self.assertEqual(read_names(header), ["flush_all", "enter", "hv_flush"])
        for text in ("", "#undef KVM_NVMX_HOOK\n", NAMES + "KVM_NVMX_HOOK(int, enter, int a)\n"):
            header.write_text(text, encoding="utf-8")
            with self.assertRaises(MachineError, msg=text):
                read_names(header)
        header.unlink()
        self.refused(HEADER, "patched?")


if __name__ == "__main__":
    unittest.main()
