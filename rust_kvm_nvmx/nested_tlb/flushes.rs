// SPDX-License-Identifier: GPL-2.0

//! The flushes that KVM asks for by name: everything, the current context, an address, a guest's
//! own translations (H1 to H4, H15, V23, X3).

use crate::{
    flush,
    kvm::{
        trace::{
            self,
            Cause, //
        },
        vcpu::{
            Vcpu,
            WithSlots, //
        },
    },
    policy::{
        self,
        flush::All,
        types::{
            Gva,
            Invalidation,
            Root, //
        },
    },
};

/// H1: any translation of the vCPU may be stale.
#[inline(always)]
pub(super) fn all(vcpu: Vcpu<'_>) {
    if vcpu.traces_flush() {
        trace_all(vcpu);
    } else {
        flush::all(vcpu);
    }
}

#[cold]
#[inline(never)]
fn trace_all(vcpu: Vcpu<'_>) {
    match policy::flush::all(vcpu.caps()) {
        All::Once(invalidation) => trace(vcpu, Cause::All, Some(invalidation)),
        All::Nothing => trace(vcpu, Cause::All, None),
        All::Each => flush::required_for_each_vpid(vcpu)
            .into_iter()
            .for_each(|required| trace(vcpu, Cause::All, required)),
    }
    flush::all(vcpu);
}

/// H2: the page tables of the current context have changed.
#[inline(always)]
pub(super) fn current(vcpu: Vcpu<'_>) {
    if vcpu.traces_flush() {
        return rare_current(vcpu);
    }
    match flush::root(vcpu, vcpu.mmu().current()) {
        Root::EptUnknown => rare_current(vcpu),
        root => flush::execute(vcpu, required_for(vcpu, root)),
    }
}

/// With the tracepoint, and with the warning about an unknown root.
#[cold]
#[inline(never)]
fn rare_current(vcpu: Vcpu<'_>) {
    let root = flush::root_or_warn(vcpu, vcpu.mmu().current());

    trace_and_execute(vcpu, Cause::Current, || required_for(vcpu, root));
}

/// H2: what the current context requires.
pub(super) fn required_for_current(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    required_for(vcpu, flush::root_or_warn(vcpu, vcpu.mmu().current()))
}

#[inline(always)]
fn required_for(vcpu: Vcpu<'_>, root: Root) -> Option<Invalidation> {
    policy::flush::current(vcpu.caps(), root, || flush::current_vpid(vcpu))
}

/// H3: the current context's translation of `gva` has changed.
#[inline(always)]
pub(super) fn address(vcpu: Vcpu<'_>, gva: Gva) {
    if vcpu.traces_flush() {
        trace_address(vcpu, gva);
    } else {
        flush::Addresses::of_running(vcpu).flush(gva);
    }
}

#[cold]
#[inline(never)]
fn trace_address(vcpu: Vcpu<'_>, gva: Gva) {
    let addresses = flush::Addresses::of_running(vcpu);

    trace_and_execute(vcpu, Cause::Address, || addresses.required(gva));
}

/// H4: the running guest's own translations may be stale.
#[inline(always)]
pub(super) fn guest(vcpu: Vcpu<'_>) {
    execute(vcpu, Cause::Guest, move || flush::required_for_guest(vcpu));
}

/// H15: the vCPU has left nested operation, so its VPID is vpid01.
#[inline(always)]
pub(super) fn reset(vcpu: Vcpu<'_>) {
    execute(vcpu, Cause::Reset, move || required_by_reset(vcpu));
}

/// H15: the decision alone.
#[inline(always)]
pub(super) fn required_by_reset(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    policy::flush::context(vcpu.caps(), vcpu.vpid01())
}

/// X3: L1's translations are not used until L1 runs again, but the bit in the steal time that asked
/// for the flush is already cleared. So flush now.
#[inline(always)]
pub(super) fn steal_time(vcpu: WithSlots<'_>) {
    execute(*vcpu, Cause::StealTime, move || {
        required_by_steal_time(*vcpu)
    });
    if policy::flush::l1_flush_concerns_running_guest(
        vcpu.caps(),
        flush::current_vpid(*vcpu),
        vcpu.vpid01(),
        vcpu.options(),
    ) {
        vcpu.flush_guest_in_kvm();
    } else {
        vcpu.count_tlb_flushes(1);
    }
}

/// X3: what L1's translations require, if the flush of the running guest does not cover them.
#[inline(always)]
pub(super) fn required_by_steal_time(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    let current = flush::current_vpid(vcpu);

    policy::flush::l1_flush_while_in_l2(vcpu.caps(), current, vcpu.vpid01())
}

/// Executes what is required. A tracepoint that is off costs one NOP and no registers: while it is
/// on, a cold copy runs.
#[inline(always)]
fn execute(vcpu: Vcpu<'_>, cause: Cause, required: impl FnOnce() -> Option<Invalidation>) {
    if vcpu.traces_flush() {
        trace_and_execute(vcpu, cause, required);
    } else {
        flush::execute(vcpu, required());
    }
}

#[cold]
#[inline(never)]
fn trace_and_execute(
    vcpu: Vcpu<'_>,
    cause: Cause,
    required: impl FnOnce() -> Option<Invalidation>,
) {
    let required = required();

    trace(vcpu, cause, required);
    flush::execute_rare(vcpu, required);
}

fn trace(vcpu: Vcpu<'_>, cause: Cause, invalidation: Option<Invalidation>) {
    vcpu.trace_flush(|| {
        let (executed, tag, gva) = trace::executed(invalidation);
        (cause, executed, tag, gva)
    });
}
