// SPDX-License-Identifier: GPL-2.0

//! A worked example, compiled and never run: L1 enters an L2 with a vpid12 that vpid02 was not used
//! for before.
//!
//! KVM runs all L2s of a vCPU on one hardware VPID, vpid02. If L1 enters an L2 with another vpid12,
//! the translations in vpid02 are not that L2's, and must be flushed before it runs. Two hooks are
//! enough to show it. All others stay with C.
//!
//! It leaves out the queue of Hyper-V flushes (T1), a VPID that both levels share (T5), and CPUs
//! that lack a type of INVVPID. So it is no module to load.

use kernel::prelude::*;

use super::{
    hooks::{
        NestedTlbChecks,
        NestedTlbHooks,
        Table,
        VpidToWrite, //
    },
    vcpu::{
        Vcpu,
        Vmcs12, //
    },
};
use crate::policy::types::{
    Caps,
    Invalidation, //
};

#[expect(dead_code, reason = "no module registers it")]
struct OneVpid02;

// What `Registration::new` would give KVM.
const _: () = assert!(Table::<OneVpid02>::IMPLEMENTED.count_ones() == 2);

// No hook is compared with C.
impl NestedTlbChecks for OneVpid02 {}

#[vtable]
impl NestedTlbHooks for OneVpid02 {
    /// From the facts to a request. Nothing is flushed yet. If the entry fails after this, or the
    /// thread moves to another CPU, the request is still pending.
    #[inline]
    fn enter_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, _dirty: bool) -> VpidToWrite {
        match vmcs12.vpid12() {
            Some(vpid12) if vpid12 != vcpu.last_vpid() => {
                vcpu.set_last_vpid(vpid12);
                vcpu.request_flush_guest();
            }
            Some(_) => (),
            // Without a VPID, L2 shares vpid01 with L1, and each entry flushes.
            None => vcpu.request_flush_guest(),
        }
        let vpid = if vmcs12.uses_vpid() {
            vcpu.vpid02().or(vcpu.vpid01())
        } else {
            vcpu.vpid01()
        };
        if vcpu.caps().has(Caps::VPID) {
            VpidToWrite::new(vpid)
        } else {
            VpidToWrite::NONE
        }
    }

    /// From the request to INVVPID. KVM handles the request before the vCPU next runs a guest. L2
    /// is active then, so the VPID is vpid02.
    #[inline]
    fn flush_tlb_guest(vcpu: Vcpu<'_>) {
        let vpid = match vcpu.vmcs12_uses_vpid() {
            Some(true) => vcpu.vpid02().or(vcpu.vpid01()),
            _ => vcpu.vpid01(),
        };
        if let Some(vpid) = vpid {
            vcpu.invalidate(Invalidation::InvvpidSingle(vpid));
        }
    }
}
