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
mod types;

use policy::types::{Caps, Vpid};

/// Every combination of what CPU and parameters allow.
fn all_caps() -> impl Iterator<Item = Caps> {
    let all = [
        Caps::EPT,
        Caps::EPT_AD,
        Caps::VPID,
        Caps::INVEPT_SINGLE,
        Caps::INVVPID_ADDRESS,
        Caps::INVVPID_SINGLE,
        Caps::INVVPID_ALL,
    ];

    (0u32..128).map(move |bits| {
        (0..all.len()).fold(Caps::NONE, |caps, bit| {
            caps.with(all[bit], bits >> bit & 1 != 0)
        })
    })
}

#[test]
fn each_capability_is_one_of_its_own() {
    let sets: std::collections::HashSet<_> = all_caps().map(|caps| format!("{caps:?}")).collect();
    assert_eq!(sets.len(), 128);
    assert!(all_caps().all(|caps| caps.has(Caps::NONE)));
    assert!(Caps::EPT.with(Caps::VPID, true).has(Caps::VPID));
    assert_eq!(Caps::EPT.with(Caps::EPT, true), Caps::EPT);
    assert!(!Caps::EPT.with(Caps::VPID, false).has(Caps::VPID));
    assert!(!Caps::EPT.has(Caps::EPT.with(Caps::VPID, true)));
}

/// No VPID, and the VPIDs at both ends of the range.
fn vpids() -> [Option<Vpid>; 4] {
    [None, Vpid::new(1), Vpid::new(2), Vpid::new(u16::MAX)]
}
