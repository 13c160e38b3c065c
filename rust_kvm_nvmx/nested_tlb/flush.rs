// SPDX-License-Identifier: GPL-2.0

//! The flushes that KVM asks for by name: everything, the current context, an address, a guest's
//! own translations (H1 to H6, H15, V23, V25, X3). And how any flush is executed or requested, for
//! the vCPU of a hook.
//!
//! A tracepoint that is off costs one NOP and no registers: while it is on, a cold copy of the hook
//! runs. What [`super::check`] asks, too, is a function of its own.

use kernel::{
    do_once_lite,
    warn_on, //
};

use crate::{
    kvm::{
        mmu::CachedRoot,
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
        eptp,
        flush::{
            self,
            All,
            OwnRoots, //
        },
        options::Options,
        types::{
            Caps,
            Gva,
            Invalidation,
            Request,
            Root,
            Vpid, //
        },
    },
};

/// Executes an invalidation, if one is required.
#[inline(always)]
pub(super) fn execute(vcpu: Vcpu<'_>, required: Option<Invalidation>) {
    if let Some(invalidation) = required {
        vcpu.invalidate(invalidation);
    }
}

/// The same, where speed does not matter.
#[inline(never)]
pub(super) fn execute_rare(vcpu: Vcpu<'_>, required: Option<Invalidation>) {
    execute(vcpu, required);
}

/// Makes a request, if one is required.
#[inline(always)]
pub(super) fn request(vcpu: Vcpu<'_>, required: Option<Request>) {
    match required {
        Some(Request::Guest) => vcpu.request_flush_guest(),
        Some(Request::Current) => vcpu.request_flush_current(),
        None => (),
    }
}

/// Executes what KVM asked for.
#[inline(always)]
fn execute_asked(vcpu: Vcpu<'_>, cause: Cause, required: impl FnOnce() -> Option<Invalidation>) {
    if vcpu.traces_flush() {
        trace_and_execute(vcpu, cause, required);
    } else {
        execute(vcpu, required());
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

    vcpu.trace_flush(|| {
        let (executed, tag, gva) = trace::executed(required);
        (cause, executed, tag, gva)
    });
    execute_rare(vcpu, required);
}

/// H1: any translation of the vCPU may be stale.
#[inline(always)]
pub(super) fn all(vcpu: Vcpu<'_>) {
    if vcpu.traces_flush() {
        trace_all(vcpu);
    } else {
        for_each_of_all(vcpu, vcpu.options(), move |required| {
            vcpu.invalidate(required);
        });
    }
}

#[cold]
#[inline(never)]
fn trace_all(vcpu: Vcpu<'_>) {
    let mut nothing = true;

    for_each_of_all(vcpu, vcpu.options(), |required| {
        nothing = false;
        trace_and_execute(vcpu, Cause::All, || Some(required));
    });
    if nothing {
        trace_and_execute(vcpu, Cause::All, || None);
    }
}

/// H1: calls `act` with each invalidation that is required.
#[inline(always)]
pub(super) fn for_each_of_all(vcpu: Vcpu<'_>, options: Options, mut act: impl FnMut(Invalidation)) {
    match flush::all(vcpu.caps(), options) {
        All::Nothing => (),
        All::Once(invalidation) => act(invalidation),
        All::Each => [vcpu.vpid01(), vcpu.vpid02()]
            .into_iter()
            .filter_map(flush::each)
            .for_each(act),
        All::OwnRoots => own_roots(vcpu).for_each_required(act),
    }
}

/// V25: all roots that the vCPU may run on without loading them.
#[inline(never)]
fn own_roots(vcpu: Vcpu<'_>) -> OwnRoots {
    let mut own = OwnRoots::default();
    let mut add = |cached: CachedRoot<'_>| own.add(root(vcpu, cached));

    for mmu in [vcpu.root_mmu(), vcpu.guest_mmu()] {
        add(mmu.current());
        mmu.previous().for_each(&mut add);
    }
    own
}

/// H2: the page tables of the current context have changed.
#[inline(always)]
pub(super) fn current(vcpu: Vcpu<'_>) {
    if vcpu.traces_flush() {
        return rare_current(vcpu);
    }
    match root(vcpu, vcpu.mmu().current()) {
        Root::EptUnknown => rare_current(vcpu),
        root => execute(vcpu, required_for_root(vcpu, root)),
    }
}

/// With the tracepoint, and with the warning about an unknown root.
#[cold]
#[inline(never)]
fn rare_current(vcpu: Vcpu<'_>) {
    trace_and_execute(vcpu, Cause::Current, || required_for_current(vcpu));
}

/// H2.
pub(super) fn required_for_current(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    required_for_root(vcpu, root_or_warn(vcpu, vcpu.mmu().current()))
}

#[inline(always)]
fn required_for_root(vcpu: Vcpu<'_>, root: Root) -> Option<Invalidation> {
    flush::current(vcpu.caps(), root, || current_vpid(vcpu))
}

/// H2, H6: a root of KVM's page tables, in the policy's terms.
#[inline(always)]
fn root(vcpu: Vcpu<'_>, cached: CachedRoot<'_>) -> Root {
    let caps = vcpu.caps();

    let Some(hpa) = cached.hpa() else {
        return Root::Invalid;
    };
    if !caps.has(Caps::EPT) {
        return Root::Shadow;
    }
    eptp::of_root(hpa, vcpu.page_of(cached), caps.has(Caps::EPT_AD))
        .map_or(Root::EptUnknown, Root::Ept)
}

/// The same, where speed does not matter. Warns if the MMU does not know the root (H6). KVM then
/// flushes more than needed, never less.
#[inline(never)]
pub(super) fn root_or_warn(vcpu: Vcpu<'_>, cached: CachedRoot<'_>) -> Root {
    let root = root(vcpu, cached);

    if root == Root::EptUnknown {
        do_once_lite! {
            warn_on!(true);
        }
    }
    root
}

/// H3: the current context's translation of `gva` has changed.
///
/// Not by [`execute_asked`]: a closure that has `gva`, too, would be passed on the stack.
#[inline(always)]
pub(super) fn address(vcpu: Vcpu<'_>, gva: Gva) {
    if vcpu.traces_flush() {
        trace_address(vcpu, gva);
    } else {
        execute(vcpu, required_for_address(vcpu, gva));
    }
}

#[cold]
#[inline(never)]
fn trace_address(vcpu: Vcpu<'_>, gva: Gva) {
    trace_and_execute(vcpu, Cause::Address, || required_for_address(vcpu, gva));
}

/// H3.
#[inline(always)]
pub(super) fn required_for_address(vcpu: Vcpu<'_>, gva: Gva) -> Option<Invalidation> {
    flush::address(vcpu.caps(), current_vpid(vcpu), gva)
}

/// H4: the running guest's own translations may be stale.
#[inline(always)]
pub(super) fn guest(vcpu: Vcpu<'_>) {
    execute_asked(vcpu, Cause::Guest, move || required_for_guest(vcpu));
}

/// H4.
#[inline(always)]
pub(super) fn required_for_guest(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    flush::context(vcpu.caps(), current_vpid(vcpu))
}

/// H5: the VPID that the vCPU runs with now.
#[inline(always)]
pub(super) fn current_vpid(vcpu: Vcpu<'_>) -> Option<Vpid> {
    flush::current_vpid(vcpu.vmcs12_uses_vpid(), || vcpu.vpid01(), || vcpu.vpid02())
}

/// H15: the vCPU has left nested operation, so its VPID is vpid01.
#[inline(always)]
pub(super) fn reset(vcpu: Vcpu<'_>) {
    execute_asked(vcpu, Cause::Reset, move || required_by_reset(vcpu));
}

/// H15.
#[inline(always)]
pub(super) fn required_by_reset(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    flush::context(vcpu.caps(), vcpu.vpid01())
}

/// X3: L1's translations are not used until L1 runs again, but the bit in the steal time that asked
/// for the flush is already cleared. So flush now.
#[inline(always)]
pub(super) fn steal_time(vcpu: WithSlots<'_>) {
    execute_asked(*vcpu, Cause::StealTime, move || {
        required_by_steal_time(*vcpu)
    });
    if flush::l1_flush_concerns_running_guest(
        vcpu.caps(),
        current_vpid(*vcpu),
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
    flush::l1_flush_while_in_l2(vcpu.caps(), current_vpid(vcpu), vcpu.vpid01())
}
