// SPDX-License-Identifier: GPL-2.0

//! The rules and their tests, as KUnit suites. They need nothing of KVM, so that they run in any
//! kernel with Rust, also in User-Mode Linux.

#![crate_name = "rust_kvm_nvmx_kunit"]

use kernel::prelude::*;

mod policy;
mod policy_tests;

/// There is nothing to load: KUnit finds the suites by their section.
struct Tests;

impl kernel::Module for Tests {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

module! {
    type: Tests,
    name: "rust_kvm_nvmx_kunit",
    authors: ["The rust_kvm_nvmx developers"],
    description: "KUnit tests of the rules for nested VMX's TLB flushes",
    license: "GPL",
}
