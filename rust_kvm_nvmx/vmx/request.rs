// SPDX-License-Identifier: GPL-2.0

//! Requests that KVM serves before the vCPU next runs a guest (rules H8 and H16, which stay in C).

use crate::{
    bindings,
    kvm::vcpu::Vcpu,
    stats::{
        self,
        Counter, //
    },
};

/// KVM_REQ_TLB_FLUSH_CURRENT: the translations of the context the vCPU then has.
pub(crate) fn tlb_flush_current(vcpu: Vcpu<'_>) {
    // SAFETY: The view holds a valid vCPU; setting a request is atomic.
    unsafe { bindings::nvmx_request_tlb_flush_current(vcpu.as_ptr()) };
    stats::count::<{ Counter::RequestCurrent as usize }>();
}

/// KVM_REQ_TLB_FLUSH_GUEST: the guest's own translations, and a sync of shadow page tables.
pub(crate) fn tlb_flush_guest(vcpu: Vcpu<'_>) {
    // SAFETY: The view holds a valid vCPU; setting a request is atomic.
    unsafe { bindings::nvmx_request_tlb_flush_guest(vcpu.as_ptr()) };
    stats::count::<{ Counter::RequestGuest as usize }>();
}

/// KVM_REQ_HV_TLB_FLUSH: the addresses in the queue of the level that then runs.
pub(crate) fn hv_tlb_flush(vcpu: Vcpu<'_>) {
    // SAFETY: The view holds a valid vCPU; setting a request is atomic.
    unsafe { bindings::nvmx_request_hv_tlb_flush(vcpu.as_ptr()) };
    stats::count::<{ Counter::RequestHyperv as usize }>();
}

/// KVM_REQ_APIC_PAGE_RELOAD: look again for L1's APIC-access page.
pub(crate) fn apic_page_reload(vcpu: Vcpu<'_>) {
    // SAFETY: The view holds a valid vCPU; setting a request is atomic.
    unsafe { bindings::nvmx_request_apic_page_reload(vcpu.as_ptr()) };
}

/// KVM_REQ_APF_READY: look for pages that came while the guest could not be told.
pub(crate) fn apf_ready(vcpu: Vcpu<'_>) {
    // SAFETY: The view holds a valid vCPU; setting a request is atomic.
    unsafe { bindings::nvmx_request_apf_ready(vcpu.as_ptr()) };
}
