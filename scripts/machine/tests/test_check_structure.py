# SPDX-License-Identifier: GPL-2.0
"""Layers and SAFETY comments: what is wrong is found, and what is right is not."""

from __future__ import annotations

import unittest
from pathlib import Path

from check_structure import Source, problems, unsafe_blocks

GOOD = {
    "rust_kvm_nvmx_main.rs": """
        mod flush;
        mod kvm;
        mod policy;
        use kvm::Registration;
        struct Module;
    """,
    "flush.rs": """
        use crate::{
            kvm::{vcpu::Vcpu, *},
            policy::flush as rule,
        };
        // unsafe { in_a_comment() }, crate::Module
        const TEXT: &str = "unsafe { crate::Module }";
    """,
    "policy/mod.rs": "pub mod flush; mod types;",
    "policy/flush.rs": "use super::types::Vpid;",
    "policy/types.rs": "pub struct Vpid;",
    "kvm/mod.rs": "pub(crate) mod vcpu;",
    "kvm/vcpu.rs": """
        use crate::policy::types::Vpid;
        use super::mmu;
        fn f<'a>(x: &'a u8) -> u8 {
            // SAFETY: By the type invariant,
            // over two lines.
            unsafe { g(x) }
        }
        // SAFETY: It has no data.
        #[allow(dead_code)]
        unsafe impl Sync for Vcpu {}
        /// # Safety
        ///
        /// The caller's.
        pub unsafe fn h() -> Option<u8> {
            // SAFETY: The caller's promise.
            let value = i(
                1,
                unsafe { j() },
            );
            match value {
                // SAFETY: One.
                1 => unsafe { k() },
                // SAFETY: Two.
                _ => unsafe { l() },
            }
        }
    """,
}


class Structure(unittest.TestCase):
    """A small module, changed in one place."""

    def found(self, **changed: str) -> str:
        """What is wrong, with files changed: `kvm__vcpu` is kvm/vcpu.rs."""
        texts = dict(GOOD)
        texts |= {f"{name.replace('__', '/')}.rs": text for name, text in changed.items()}
        return "\n".join(problems([Source(Path(name), text) for name, text in texts.items()]))

    def test_as_it_should_be(self) -> None:
        self.assertEqual(self.found(), "")
        self.assertEqual(unsafe_blocks([Source(Path(n), t) for n, t in GOOD.items()]), 4)

    def test_circles(self) -> None:
        for text in (
            "use crate::flush::flush;",
            "use crate::{policy::types::Vpid, flush};",
            "use crate :: { policy::{types, eptp}, flush::{self} };",
            "fn f() { crate::flush::flush() }",
            "use super::super::flush;",
        ):
            found = self.found(kvm__vcpu=text)
            self.assertIn("circle: ", found, text)
            self.assertIn("rust_kvm_nvmx/kvm/vcpu.rs:1: kvm imports flush", found, text)
            self.assertIn("rust_kvm_nvmx/flush.rs:2: flush imports kvm", found, text)

    def test_a_longer_circle(self) -> None:
        found = self.found(policy__types="use crate::flush;")
        self.assertIn("policy imports flush", found)
        self.assertNotIn("nested_tlb", found)
        found = self.found(
            policy__types="use crate::nested_tlb::A;", nested_tlb="\nuse super::{kvm, flush};"
        )
        self.assertIn("policy/types.rs:1: policy imports nested_tlb", found)
        self.assertIn("nested_tlb.rs:2: nested_tlb imports", found)

    def test_what_is_in_the_main_file(self) -> None:
        found = self.found(policy__types="use crate::Module;")
        self.assertIn("policy imports rust_kvm_nvmx_main", found)
        self.assertIn("rust_kvm_nvmx_main imports ", found)

    def test_what_is_no_circle(self) -> None:
        for text in (
            "use crate::policy::{flush, types};",
            "use super::vcpu::flush;",
            "mod tests { use super::*; use super::flush; }",
            "// use crate::flush;\n/* crate::flush */",
        ):
            self.assertEqual(self.found(kvm__mmu=text), "", text)

    def test_no_main_file(self) -> None:
        self.assertEqual(problems([]), ["there is no rust_kvm_nvmx_main.rs"])

    def test_unsafe_elsewhere(self) -> None:
        for text in ("\nunsafe { f() }", "\npub unsafe fn f() {}", "\nunsafe impl Send for A {}"):
            self.assertIn(
                "policy/types.rs:2: `unsafe` outside of kvm/", self.found(policy__types=text)
            )
        self.assertEqual(self.found(policy__types="#![deny(unsafe_code)]"), "")

    def test_no_safety_comment(self) -> None:
        for text in (
            "fn f() {\n    unsafe { g() }\n}",
            "// SAFETY: Above.\nlet a = 1;\nlet b = unsafe { g() };",
            "// SAFETY: Of one.\na => unsafe { f() },\nb => unsafe { g() },",
            "// Safety: No.\nunsafe { g() }",
            "unsafe impl Sync for A {}",
            "unsafe { g() } // SAFETY: After it.",
            "#![allow(undocumented_unsafe_blocks)]\nunsafe { g() }",
        ):
            found = self.found(kvm__mmu=text)
            self.assertRegex(found, r"kvm/mmu.rs:\d: no SAFETY comment above", text)

    def test_the_same_safety_comment(self) -> None:
        text = "// SAFETY: By the type\n// invariant, over two lines.\nunsafe { g() }\n"
        found = self.found(kvm__mmu=text)
        self.assertIn("the same SAFETY comment: By the type invariant, over two lines.", found)
        self.assertIn("kvm/vcpu.rs:5, kvm/mmu.rs:1", found)
        self.assertEqual(self.found(kvm__mmu=text.replace("type", "other type")), "")

    def test_a_safety_comment_that_refers_to_another_one(self) -> None:
        for text in ("As above.", "As in `f`."):
            found = self.found(kvm__mmu=f"// SAFETY: {text}\nunsafe {{ g() }}\n")
            self.assertIn("kvm/mmu.rs:1: a SAFETY comment that refers to another one", found)


if __name__ == "__main__":
    unittest.main()
