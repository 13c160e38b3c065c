// SPDX-License-Identifier: GPL-2.0

//! What holds of `rust_kvm_nvmx/policy` for all inputs (docs/nets.md).
//!
//! `policy_tests/` has every input that can make a difference, and runs in a kernel as well. Here
//! are those that are too many for that ([`every`]), and random ones where there are too many for
//! any machine ([`random`]). A panic fails a test, and so does an overflow.

#![cfg(test)]

#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]
#[allow(dead_code)]
mod policy;

#[path = "../../../rust_kvm_nvmx/policy_tests/all_caps.rs"]
mod all_caps;
mod every;
mod random;
