// SPDX-License-Identifier: GPL-2.0

//! The rules of `rust_kvm_nvmx/policy`, tried with every input that can make a difference.
//!
//! Each test states a rule anew, in the words of the architecture, and compares: it shares no
//! expression with the code it tests.

#![cfg(test)]

#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]
mod policy;

mod apic_access;
mod eptp;
mod flush;
mod hv_call;
mod hv_l2;
mod hv_ranges;
mod invalidate;
mod roles;
mod transition;
mod vmcs02;

use policy::types::{Caps, Vpid};

/// Every combination of what CPU and parameters allow.
fn all_caps() -> impl Iterator<Item = Caps> {
    (0u32..128).map(|bits| Caps {
        ept: bits & 1 != 0,
        ept_ad: bits & 2 != 0,
        vpid: bits & 4 != 0,
        invept_single: bits & 8 != 0,
        invvpid_address: bits & 16 != 0,
        invvpid_single: bits & 32 != 0,
        invvpid_all: bits & 64 != 0,
    })
}

/// No VPID, and the VPIDs at both ends of the range.
fn vpids() -> [Option<Vpid>; 4] {
    [None, Vpid::new(1), Vpid::new(2), Vpid::new(u16::MAX)]
}
