// SPDX-License-Identifier: GPL-2.0

//! The rules of `rust_kvm_nvmx/policy` and their tests, on the development machine.

#![cfg(test)]

#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]
mod policy;
#[path = "../../../rust_kvm_nvmx/policy_tests/mod.rs"]
mod policy_tests;
