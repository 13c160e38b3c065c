// SPDX-License-Identifier: GPL-2.0

//! A model checker for the rules of `rust_kvm_nvmx/policy`.

#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]
#[allow(dead_code)]
mod policy;

mod act;
pub mod config;
pub mod explore;
mod kvm;
mod listed;
pub mod machine;
pub mod removals;
pub mod rules;
pub mod state;
pub mod tlb;
pub mod vcpu;
pub mod words;
