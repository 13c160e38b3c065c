// SPDX-License-Identifier: GPL-2.0

//! Requests that KVM handles before the vCPU next runs a guest (rules H8 and H16, which stay in C).

use kernel::asm;

use super::{
    bindings,
    counters::{
        count,
        Counter, //
    },
    fields,
    live::Live,
    vcpu::Vcpu,
};

/// The number of a request's bit in the word; the other bits say how it is made.
#[inline]
pub(super) const fn bit(request: u32) -> u8 {
    let bit = request & bindings::NVMX_REQUEST_MASK;

    assert!(bit < u64::BITS);
    bit as u8
}

const GUEST_BIT: u8 = bit(bindings::NVMX_KVM_REQ_TLB_FLUSH_GUEST as u32);
const CURRENT_BIT: u8 = bit(bindings::NVMX_KVM_REQ_TLB_FLUSH_CURRENT as u32);
const HYPERV_BIT: u8 = bit(bindings::NVMX_KVM_REQ_HV_TLB_FLUSH as u32);

// Requests that hooks make of their own vCPU, as bits of the word.
/// KVM_REQ_TLB_FLUSH_GUEST.
pub(super) const GUEST: u64 = 1 << GUEST_BIT;
/// KVM_REQ_TLB_FLUSH_CURRENT.
pub(super) const CURRENT: u64 = 1 << CURRENT_BIT;
/// KVM_REQ_HV_TLB_FLUSH.
pub(super) const HYPERV: u64 = 1 << HYPERV_BIT;

/// Sets a bit of a vCPU's requests. (`kvm_make_request`.)
///
/// A thread that sees the bit also sees what this thread wrote before: x86 keeps stores in order,
/// and the asm block is a barrier for the compiler.
#[inline(always)]
pub(super) fn request<const BIT: u8>(vcpu: Live<'_, bindings::kvm_vcpu>) {
    const { assert!((BIT as u32) < u64::BITS) };

    // SAFETY: By the assertion the operand is the byte of the requests that the bit is in. Setting
    // it is atomic, as other threads set and clear other bits of the same word.
    unsafe {
        asm!(
            "lock orb ${bit}, {byte}({vcpu})";
            bit = const 1 << (BIT % 8),
            byte = const fields::REQUESTS.offset() + BIT as usize / 8,
            vcpu = in(reg) vcpu.as_ptr(),
            options(nostack),
        );
    }
}

impl Vcpu<'_> {
    #[inline(always)]
    fn request<const BIT: u8>(self) {
        request::<BIT>(self.own().live());
    }

    /// KVM_REQ_TLB_FLUSH_CURRENT: the translations of the context that the vCPU then has.
    #[inline(always)]
    pub(crate) fn request_flush_current(self) {
        self.request::<CURRENT_BIT>();
        count::<{ Counter::RequestCurrent.number() }>();
    }

    /// KVM_REQ_TLB_FLUSH_GUEST: the guest's own translations, and a sync of shadow page tables.
    #[inline(always)]
    pub(crate) fn request_flush_guest(self) {
        self.request::<GUEST_BIT>();
        count::<{ Counter::RequestGuest.number() }>();
    }

    /// KVM_REQ_HV_TLB_FLUSH: the addresses in the queue of the level that then runs.
    #[inline(always)]
    pub(crate) fn request_hyperv_flush(self) {
        self.request::<HYPERV_BIT>();
        count::<{ Counter::RequestHyperv.number() }>();
    }

    /// KVM_REQ_APIC_PAGE_RELOAD: look up L1's APIC-access page again.
    #[inline]
    pub(crate) fn request_apic_page_reload(self) {
        self.request::<{ bit(bindings::NVMX_KVM_REQ_APIC_PAGE_RELOAD as u32) }>();
    }

    /// KVM_REQ_APF_READY: look for pages that became ready while the guest could not be told.
    #[inline]
    pub(crate) fn request_apf_ready(self) {
        self.request::<{ bit(bindings::NVMX_KVM_REQ_APF_READY as u32) }>();
    }

    /// Takes back KVM_REQ_HV_TLB_FLUSH, and says whether it was made. (`kvm_check_request`.)
    ///
    /// Afterwards this thread sees what other threads queued before they made the request.
    #[inline(always)]
    pub(crate) fn take_hyperv_flush_request(self) -> bool {
        // SAFETY: C clears the bit with the barriers that belong to it.
        unsafe { bindings::nvmx_take_hv_tlb_flush_request(self.as_ptr()) }
    }

    /// The requests that are made of this vCPU now.
    pub(super) fn requests(self) -> u64 {
        self.own().live().read(fields::REQUESTS)
    }

    /// Takes requests away, and returns those of `mask` that were made. No other thread acts on
    /// them.
    pub(super) fn take_requests(self, mask: u64) -> u64 {
        let taken = self.requests() & mask;

        // SAFETY: The operand is the word of the requests. Clearing bits is atomic, as other
        // threads set bits of the same word.
        unsafe {
            asm!(
                "lock andq {mask}, {word}({vcpu})";
                mask = in(reg) !taken,
                word = const fields::REQUESTS.offset(),
                vcpu = in(reg) self.as_ptr(),
                options(nostack),
            );
        }
        taken
    }

    /// Makes requests that were taken away.
    pub(super) fn put_requests(self, taken: u64) {
        // SAFETY: By the type's invariant the word exists. Setting bits of it is atomic, as other
        // threads set others.
        unsafe {
            asm!(
                "lock orq {taken}, {word}({vcpu})";
                taken = in(reg) taken,
                word = const fields::REQUESTS.offset(),
                vcpu = in(reg) self.as_ptr(),
                options(nostack),
            );
        }
    }
}
