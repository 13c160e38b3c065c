// SPDX-License-Identifier: GPL-2.0

//! Nested VM entries, VM exits, and L2's own switch to another EPT (T1 to T5, T8, T11).
//!
//! Nothing is flushed here: KVM handles the requests when the new context is complete.

use kernel::warn_on;

use crate::{
    flush,
    kvm::vcpu::{
        Vcpu,
        Vmcs12, //
    },
    policy::{
        transition,
        types::Vpid, //
    },
};

/// L1 enters L2. Returns the VPID to write to vmcs02.
#[inline(always)]
pub(super) fn enter(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, dirty: bool) -> Option<Vpid> {
    check_hyperv_queue(vcpu);
    // One path each for the compiler, since the rules for L2s with and without a VPID have nothing
    // in common, and an L2 without a VPID often needs no VPID written.
    match vmcs12.vpid12() {
        vpid12 if transition::is_impossible(vpid12, vcpu.caps()) => {
            enter_impossible(vcpu, vpid12, dirty)
        }
        vpid12 @ Some(_) => flush_on_entry(vcpu, vpid12, dirty),
        None if dirty => flush_on_entry(vcpu, None, true),
        None => flush_on_entry(vcpu, None, false),
    }
}

#[inline(always)]
fn flush_on_entry(vcpu: Vcpu<'_>, vpid12: Option<u16>, dirty: bool) -> Option<Vpid> {
    let caps = vcpu.caps();
    let vpid01 = || vcpu.vpid01();
    let vpid02 = || vcpu.vpid02();

    let new_owner = transition::new_owner(vpid12, vcpu.last_vpid());
    if let Some(vpid12) = new_owner {
        vcpu.set_last_vpid(vpid12);
    }
    let required = transition::required_on_entry(vpid12, new_owner, vpid02, caps);
    flush::request(vcpu, required);

    transition::vpid_to_write(dirty, vpid12.is_some(), vpid01, vpid02, caps)
}

/// T3. A function of its own because the warning costs its function a stack frame.
#[cold]
#[inline(never)]
fn enter_impossible(vcpu: Vcpu<'_>, vpid12: Option<u16>, dirty: bool) -> Option<Vpid> {
    warn_on!(true);
    flush_on_entry(vcpu, vpid12, dirty)
}

/// L2 exits to L1.
#[inline(always)]
pub(super) fn exit(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    check_hyperv_queue(vcpu);

    let required = transition::required_on_exit(vmcs12.uses_vpid(), || vcpu.vpid02(), vcpu.caps());
    flush::request(vcpu, required);
}

/// T1.
#[inline(always)]
fn check_hyperv_queue(vcpu: Vcpu<'_>) {
    if transition::must_check_hyperv_queue(vcpu.has_hyperv(), vcpu.caps()) {
        vcpu.request_hyperv_flush();
    }
}

/// L2 has switched to another EPT. KVM handles the request before L2 continues.
#[inline(always)]
pub(super) fn vmfunc(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    if transition::vmfunc_requires_guest_flush(vmcs12.uses_vpid()) {
        vcpu.request_flush_guest();
    }
}
