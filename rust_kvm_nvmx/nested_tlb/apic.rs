// SPDX-License-Identifier: GPL-2.0

//! L1's APIC-access page (A1 to A4), and that of an L2 without EPT in vmcs12 (X12).

use crate::{
    kvm::{
        trace,
        vcpu::{
            Vcpu,
            Vmcs12,
            WithSlots, //
        }, //
    },
    policy::{
        self,
        apic_access::{
            self,
            Address,
            Required,
            Running, //
        },
        types::Invalidation,
    },
};

use super::flush;

/// A4: the page was turned on. vmcs01 is the current VMCS, also while L2 is active.
#[inline(always)]
pub(super) fn turned_on(vcpu: Vcpu<'_>) {
    match required_when_turned_on(vcpu) {
        Required::Request => {
            vcpu.trace_apic_page(|| (trace::ApicOutcome::Requested,));
            vcpu.request_flush_current();
        }
        required => flush_now(vcpu, required),
    }
}

#[cold]
#[inline(never)]
fn flush_now(vcpu: Vcpu<'_>, required: Required) {
    vcpu.trace_apic_page(|| (trace::ApicOutcome::Flushed,));
    for_each_invalidation(vcpu, required, |invalidation| {
        flush::execute_rare(vcpu, Some(invalidation));
    });
}

/// A4.
#[inline(always)]
pub(super) fn required_when_turned_on(vcpu: Vcpu<'_>) -> Required {
    let running = match vcpu.vmcs12() {
        None => Running::L1,
        Some(vmcs12) if vmcs12.uses_ept() => Running::L2WithEpt,
        Some(_) => Running::L2WithoutEpt,
    };

    apic_access::turned_on(vcpu.caps(), running, vcpu.vpid01())
}

/// Calls `act` with each invalidation that is required at once.
pub(super) fn for_each_invalidation(
    vcpu: Vcpu<'_>,
    required: Required,
    mut act: impl FnMut(Invalidation),
) {
    let mmu = vcpu.root_mmu();
    let mut act_on_root = |root| {
        let root = flush::root_or_warn(vcpu, root);
        let required = policy::flush::current(vcpu.caps(), root, || vcpu.vpid01());

        required.into_iter().for_each(&mut act);
    };

    match required {
        Required::Request => (),
        Required::OfCurrentRoot => act_on_root(mmu.current()),
        Required::OfPreviousRoots => mmu.previous().for_each(act_on_root),
        Required::Now(invalidation) => invalidation.into_iter().for_each(act),
    }
}

/// A1 to A3: the host may have moved the page, so its address is looked up again. Sleeps.
pub(super) fn set_page(vcpu: WithSlots<'_>) {
    match vcpu.update_apic_access_page(apic_access::address) {
        None => (),
        Some(Address::Write) => vcpu.trace_apic_page(|| (trace::ApicOutcome::Written,)),
        Some(Address::LookAgain) => {
            vcpu.trace_apic_page(|| (trace::ApicOutcome::LookAgain,));
            vcpu.request_apic_page_reload();
        }
    }
}

/// X12: L1 enters an L2 without EPT in vmcs12, which has an APIC-access page.
#[inline(always)]
pub(super) fn request_for_l2(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    let page = vcpu.l2_page(vmcs12);
    let last = || vcpu.last_l2_page();

    if apic_access::l2_page_requires_flush(vcpu.caps(), page, vcpu.options(), last) {
        vcpu.trace_apic_page(|| (trace::ApicOutcome::RequestedForL2,));
        vcpu.request_flush_current();
    }
}

/// X12: records which APIC-access page an L2 without EPT in vmcs12 has run with.
///
/// If the VM entry has failed, L2 has not run, and the flush of the entry may not have come.
#[inline(always)]
pub(super) fn record_of_l2(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    if !vmcs12.uses_ept() && !vcpu.entry_has_failed() {
        vcpu.set_last_l2_page(vcpu.l2_page(vmcs12));
    }
}
