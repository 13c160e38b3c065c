// SPDX-License-Identifier: GPL-2.0

//! The translations of several vpid12s, each under a hardware VPID of its own (V1 to V7, V19).

use crate::{
    flush,
    kvm::vcpu::Vcpu,
    policy::{
        self,
        history::{
            self,
            Choice,
            Parked, //
        },
        invalidate::VpidScope,
        types::Request, //
    },
};

/// Whether pairs may be parked now: all hooks are Rust's (V14), and L2s have a VPID at all.
#[inline(always)]
pub(super) fn is_on(vcpu: Vcpu<'_>) -> bool {
    vcpu.options().parks() && vcpu.vpid02().is_some()
}

/// L1 enters an L2 with another vpid12 than the last one. Makes it the owner of the pair that is in
/// use from now on, and returns the request that this requires.
///
/// An L2 on an enlightened VMCS may be named by flush calls of other vCPUs, which find it only
/// while it is on this vCPU. So its pair is not kept: T4 as in C. KVM takes the owner from that
/// pair when the VMCS or its ids change (X6), so such a pair is never parked.
#[inline(never)]
pub(super) fn enter(vcpu: Vcpu<'_>, vpid12: u16) -> Option<Request> {
    if vcpu.has_evmcs() {
        forget(vcpu, vpid12);
    } else if let Some(kept) = find(vcpu, vpid12) {
        return kept;
    }
    vcpu.set_last_vpid(vpid12);
    Some(Request::Guest)
}

/// V1, V4: finds a parked pair to use. `None` if it is the pair in use that changes its owner.
#[inline(always)]
fn find(vcpu: Vcpu<'_>, vpid12: u16) -> Option<Option<Request>> {
    match choose(vcpu, vpid12, vcpu.options().slots()) {
        Choice::Keep(number) => vcpu.exchange_pair(number, vpid12).then_some(None),
        Choice::Take(number) => take(vcpu, number, vpid12),
        Choice::InUse => None,
        Choice::Grow => grow(vcpu, vpid12),
    }
}

#[inline(always)]
fn choose(vcpu: Vcpu<'_>, vpid12: u16, slots: usize) -> Choice {
    let choice = history::choose(
        vpid12,
        vcpu.last_vpid(),
        vcpu.owners(),
        slots,
        vcpu.vpid_misses(),
    );

    if !matches!(choice, Choice::Keep(_) | Choice::Grow) {
        vcpu.count_vpid_miss();
    }
    choice
}

/// V4.
#[inline]
fn take(vcpu: Vcpu<'_>, number: usize, vpid12: u16) -> Option<Option<Request>> {
    vcpu.exchange_pair(number, vpid12)
        .then_some(Some(Request::Guest))
}

/// V15: a VPID more, if there is one.
#[cold]
fn grow(vcpu: Vcpu<'_>, vpid12: u16) -> Option<Option<Request>> {
    let slots = if vcpu.park_vpid() {
        vcpu.options().slots()
    } else {
        0
    };

    match choose(vcpu, vpid12, slots) {
        Choice::Take(number) => take(vcpu, number, vpid12),
        _ => None,
    }
}

/// V19: no two pairs have the same owner, so that what changes for it need not be done twice.
#[inline]
fn forget(vcpu: Vcpu<'_>, vpid12: u16) {
    for (number, owner) in vcpu.owners().enumerate() {
        if owner == vpid12 {
            vcpu.forget_parked(number);
        }
    }
}

/// V5: L1's INVVPID, for the pairs that are parked. `here`: vmcs02 was last loaded on this CPU.
#[inline]
pub(super) fn invvpid_of_parked(vcpu: Vcpu<'_>, scope: VpidScope, here: bool) {
    for (number, owner) in vcpu.owners().enumerate() {
        match (history::invvpid_of_parked(scope, owner, here), scope) {
            (Parked::Nothing, _) => (),
            (Parked::FlushAddress, VpidScope::Address(_, gva)) => flush::execute_rare(
                vcpu,
                policy::flush::address(vcpu.caps(), vcpu.parked_vpid(number), gva),
            ),
            (Parked::FlushAddress | Parked::Forget, _) => vcpu.forget_parked(number),
        }
    }
}
