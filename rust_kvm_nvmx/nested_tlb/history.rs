// SPDX-License-Identifier: GPL-2.0

//! The translations of several vpid12s, each under a hardware VPID of its own (V1, V4, V5, V8 to
//! V10, V15, V19), and an L2 whose ids change (X6).

use crate::{
    kvm::vcpu::Vcpu,
    policy::{
        self,
        history::{
            self,
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

use super::flush;

/// Whether pairs may be parked now: all hooks are Rust's (V14), and L2s have a VPID at all.
#[inline(always)]
pub(super) fn is_on(vcpu: Vcpu<'_>) -> bool {
    vcpu.options().parks() && vcpu.vpid02().is_some()
}

/// L1 enters an L2 with another vpid12 than the last one, or one that flush calls did not find for
/// a while. Makes it the owner of the pair that is in use from now on, and returns the request that
/// this requires. `named` is what calls name the L2 by.
#[inline(always)]
pub(super) fn enter(vcpu: Vcpu<'_>, vpid12: u16, named: Named) -> Option<Request> {
    if vcpu.options().has(Options::KEEP_ROOTS) {
        vcpu.keep_more_roots();
    }
    let in_use = vcpu.owner_in_use();
    if vcpu.owner_last_set() != in_use {
        forget_twin(vcpu, in_use);
    }
    let rest = if in_use == vpid12 {
        Some(vcpu.rest_in_use())
    } else if let Some(number) = history::find(vpid12, vcpu.owners()) {
        vcpu.exchange_pair(number)
    } else {
        make_room(vcpu);
        None
    };
    let now = |vm, vp| vcpu.flush_calls_after_ids(vm, vp);
    let kept = rest.is_some_and(|rest| rest.missed_nothing(named, now));

    vcpu.set_owner_in_use(vpid12, Rest::running(named));
    (!kept).then_some(Request::Guest)
}

/// V19: `in_use` owns the pair in use, and no entry with pairs has made it that.
#[cold]
#[inline(never)]
fn forget_twin(vcpu: Vcpu<'_>, in_use: u16) {
    if let Some(number) = history::twin(in_use, vcpu.owners()) {
        vcpu.forget_parked(number);
    }
}

/// V4, V15: makes room for a vpid12 that owns no pair. The pair then in use must be flushed.
#[cold]
#[inline(never)]
fn make_room(vcpu: Vcpu<'_>) {
    let slots = vcpu.options().slots();
    let taken = match choose(vcpu, slots) {
        // If there is no VPID to be had, no more pairs than there are.
        Choice::Grow => choose(vcpu, if vcpu.park_vpid() { slots } else { 0 }),
        choice => choice,
    };

    if let Choice::Take(number) = taken {
        // Its translations are another vpid12's.
        let _ = vcpu.exchange_pair(number);
    }
    vcpu.count_vpid_miss();
}

fn choose(vcpu: Vcpu<'_>, slots: usize) -> Choice {
    history::choose(
        vcpu.owner_in_use(),
        vcpu.owners(),
        slots,
        vcpu.vpid_misses(),
    )
}

/// V8, V9: the L2 that exits has its ids still in place. What comes from now on is in its queue if
/// it finds the ids, and is counted if it does not.
///
/// An exit is recorded also while a hook is C's, because what an L2 leaves between the full flush
/// and the moment at which pairs are used again stays (V14). The exit of a VM entry that has failed
/// is none: the L2 has not run, and its flush may not have come.
#[inline(always)]
pub(super) fn exit(vcpu: Vcpu<'_>) {
    let records = vcpu.options().has(Options::COUNT_CALLS)
        && vcpu.vpid02().is_some()
        && !vcpu.entry_has_failed();
    let Some(hv) = vcpu.hyperv().filter(|_| records) else {
        return;
    };
    let named = hv.l2_name();
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

/// X6: flush calls no longer find this vCPU for the L2 that it ran before, so that L2's
/// translations in vpid02 may become stale. The next entry flushes, even with the same vpid12; or
/// finds that no call has come (V9).
#[inline(always)]
pub(super) fn ids_changed(vcpu: Vcpu<'_>) {
    vcpu.trace_evmcs_ids_changed(|| (vcpu.last_vpid(),));
    if let Some(hyperv) = vcpu.hyperv() {
        hyperv.publish_tag();
    }
    if vcpu.options().parks() {
        vcpu.hide_owner_in_use();
    } else {
        vcpu.forget_last_vpid();
    }
}

/// V5: L1's INVVPID, for the pairs that are parked. `here`: vmcs02 was last loaded on this CPU.
#[inline]
pub(super) fn invvpid_of_parked(vcpu: Vcpu<'_>, scope: VpidScope, here: bool) {
    for (number, owner) in vcpu.owners().enumerate() {
        match history::invvpid_of_parked(scope, owner, here) {
            Parked::Nothing => (),
            Parked::FlushAddress(gva) => flush::execute_rare(
                vcpu,
                policy::flush::address(vcpu.caps(), vcpu.parked_vpid(number), gva),
            ),
            Parked::Forget => vcpu.forget_parked(number),
        }
    }
}
