// SPDX-License-Identifier: GPL-2.0

//! L1's APIC-access page (A1 to A4).

use crate::{
    flush,
    kvm::{
        apic_page::{
            ApicPage,
            Vmcs01, //
        },
        trace,
        vcpu::Vcpu, //
    },
    policy::apic_access::{
        self,
        Address,
        Required,
        Running, //
    },
};

/// A4: the page was turned on. vmcs01 is the current VMCS, also while L2 is active.
pub(super) fn turned_on(vcpu: Vcpu<'_>) {
    let mmu = vcpu.root_mmu();
    let running = match vcpu.vmcs12() {
        None => Running::L1,
        Some(vmcs12) if vmcs12.uses_ept() => Running::L2WithEpt {
            root01: flush::root_or_warn(vcpu, mmu.current()),
        },
        Some(_) => Running::L2WithoutEpt {
            previous: mmu
                .all_previous()
                .map(|root| flush::root_or_warn(vcpu, root)),
        },
    };

    match apic_access::turned_on(vcpu.caps(), running, vcpu.vpid01()) {
        Required::Request => {
            vcpu.trace_apic_page(|| (trace::ApicPage::Requested,));
            vcpu.request_flush_current();
        }
        Required::Now(invalidations) => {
            vcpu.trace_apic_page(|| (trace::ApicPage::Flushed,));
            for invalidation in invalidations {
                flush::execute_rare(vcpu, invalidation);
            }
        }
    }
}

/// A1 to A3: the host may have moved the page, so its address is looked up again. Sleeps.
pub(super) fn set_page(vcpu: Vcpu<'_>) {
    let vmcs01 = Vmcs01::load(vcpu);
    if !vmcs01.virtualizes_apic_accesses() {
        return;
    }
    let Some(page) = ApicPage::find(vcpu) else {
        return;
    };

    match apic_access::address(page.invalidated_since()) {
        Address::Write => {
            vcpu.trace_apic_page(|| (trace::ApicPage::Written,));
            vmcs01.set_apic_access_page(&page);
        }
        Address::LookAgain => {
            vcpu.trace_apic_page(|| (trace::ApicPage::LookAgain,));
            vcpu.request_apic_page_reload();
        }
    }
}
