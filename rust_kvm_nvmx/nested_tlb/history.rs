// SPDX-License-Identifier: GPL-2.0

//! The translations of several vpid12s, each under a hardware VPID of its own (V1 to V10, V19).

use crate::{
    flush,
    kvm::{
        hyperv::Hyperv,
        vcpu::Vcpu, //
    },
    policy::{
        self,
        history::{
            self,
            Calls,
            Choice,
            Named,
            Parked,
            Rest, //
        },
        invalidate::VpidScope,
        options::Options,
        types::{
            Level,
            Request, //
        },
    },
};

/// Whether pairs may be parked now: all hooks are Rust's (V14), and L2s have a VPID at all.
#[inline(always)]
pub(super) fn is_on(vcpu: Vcpu<'_>) -> bool {
    vcpu.options().parks() && vcpu.vpid02().is_some()
}

/// L1 enters an L2 with another vpid12 than the last one, or one that flush calls did not find for
/// a while. Makes it the owner of the pair that is in use from now on, and returns the request that
/// this requires.
#[inline(never)]
pub(super) fn enter(vcpu: Vcpu<'_>, vpid12: u16) -> Option<Request> {
    let named = vcpu.l2_is_named();
    let kept = use_pair(vcpu, vpid12).is_some_and(|rest| {
        rest.missed_nothing(named, || match named {
            Named::Ids { vm, vp } => vcpu.flush_calls_after_ids(vm, vp),
            Named::Nobody | Named::Unknown => Calls::NONE,
        })
    });

    if vcpu.options().has(Options::KEEP_ROOTS) {
        vcpu.keep_more_roots();
    }
    vcpu.set_owner_in_use(vpid12, Rest::running(named));
    (!kept).then_some(Request::Guest)
}

/// V1, V4: puts the right pair in use. Returns what is known of the translations that it has of
/// this vpid12, if it has any.
#[inline(always)]
fn use_pair(vcpu: Vcpu<'_>, vpid12: u16) -> Option<Rest> {
    if vcpu.owner_in_use() == vpid12 {
        return Some(vcpu.rest_in_use());
    }
    let taken = match choose(vcpu, vpid12, vcpu.options().slots()) {
        Choice::Keep(number) => return vcpu.exchange_pair(number),
        Choice::Take(number) => number,
        Choice::InUse => return None,
        Choice::Grow => grow(vcpu, vpid12)?,
    };

    // Its translations are another vpid12's.
    vcpu.exchange_pair(taken).and(None)
}

#[inline(always)]
fn choose(vcpu: Vcpu<'_>, vpid12: u16, slots: usize) -> Choice {
    let (in_use, misses) = (vcpu.owner_in_use(), vcpu.vpid_misses());
    let choice = history::choose(vpid12, in_use, vcpu.owners(), slots, misses);

    if !matches!(choice, Choice::Keep(_) | Choice::Grow) {
        vcpu.count_vpid_miss();
    }
    choice
}

/// V15: a VPID more, if there is one.
#[cold]
fn grow(vcpu: Vcpu<'_>, vpid12: u16) -> Option<usize> {
    let slots = if vcpu.park_vpid() {
        vcpu.options().slots()
    } else {
        0
    };

    match choose(vcpu, vpid12, slots) {
        Choice::Take(number) => Some(number),
        _ => None,
    }
}

/// V8, V9: the L2 that exits has its ids still in place. What comes from now on is in its queue if
/// it finds the ids, and is counted if it does not.
#[inline]
pub(super) fn exit(vcpu: Vcpu<'_>, hv: Hyperv<'_>) {
    let named = vcpu.l2_is_named();
    let rest = match named {
        // The queue is looked at after the counts are read.
        Named::Ids { vm, vp } => {
            let seen = vcpu.flush_calls(vm, vp);
            Rest::at_exit(named, seen, hv.queue(Level::L2).is_empty())
        }
        Named::Nobody | Named::Unknown => Rest::running(named),
    };

    vcpu.set_rest_in_use(rest);
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
