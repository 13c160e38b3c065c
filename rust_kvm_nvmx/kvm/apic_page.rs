// SPDX-License-Identifier: GPL-2.0

//! L1's APIC-access page: which host page it is now.

use core::ptr;

use kernel::ffi::c_ulong;

use crate::{
    bindings,
    kvm::{
        host::Host,
        vcpu::Vcpu, //
    },
};

/// The host page that was found for L1's APIC-access page, referenced, and KVM's MMU lock held for
/// reading: nobody takes the page away meanwhile without saying so first.
///
/// # Invariants
///
/// The lock of `kvm`'s MMU is held for reading; `page` is NULL or holds a reference.
pub(crate) struct ApicPage<'a> {
    host: Host<'a>,
    kvm: *mut bindings::kvm,
    page: *mut bindings::page,
    pfn: u64,
    sequence: c_ulong,
}

impl<'a> ApicPage<'a> {
    /// Looks the page up. `None` if there is none to be had, and no use in looking again: only
    /// the end of APICv deletes the slot. May sleep.
    pub(crate) fn find(host: Host<'a>, vcpu: Vcpu<'a>) -> Option<Self> {
        let kvm = vcpu.kvm();
        // SAFETY: The vCPU's VM; its thread holds the SRCU that protects the slots.
        let slot = unsafe { bindings::nvmx_apic_slot(kvm) };
        if slot.is_null() {
            return None;
        }
        // SAFETY: As above. What is invalidated from now on will show.
        let sequence = unsafe { bindings::nvmx_invalidations_so_far(kvm) };
        let mut writable = false;
        let mut page = ptr::null_mut();
        let find = host.kvm().__kvm_faultin_pfn?;
        // SAFETY: kvm's function, with a slot of the vCPU's VM and places for its results.
        let pfn = unsafe {
            find(
                slot,
                bindings::NVMX_APIC_GFN,
                bindings::NVMX_FOLL_WRITE,
                &mut writable,
                &mut page,
            )
        };
        // SAFETY: It only compares.
        if unsafe { bindings::nvmx_pfn_is_none(pfn) } {
            return None;
        }
        // SAFETY: The vCPU's VM. `drop` gives the lock back.
        unsafe { bindings::nvmx_lock_mmu(kvm) };
        // INVARIANT: Both just taken.
        Some(Self {
            host,
            kvm,
            page,
            pfn,
            sequence,
        })
    }

    /// Whether the page was, or is being, taken away since it was found.
    pub(crate) fn invalidated_meanwhile(&self) -> bool {
        // SAFETY: By the type invariant the lock is held that this needs.
        unsafe {
            bindings::nvmx_gfn_invalidated_since(self.kvm, self.sequence, bindings::NVMX_APIC_GFN)
        }
    }

    /// Its host-physical address.
    pub(crate) fn hpa(&self) -> u64 {
        // SAFETY: It only computes.
        unsafe { bindings::nvmx_pfn_to_hpa(self.pfn) }
    }
}

impl Drop for ApicPage<'_> {
    fn drop(&mut self) {
        // The page is not pinned: if it goes, KVM asks again (A5).
        if !self.page.is_null() {
            if let Some(release) = self.host.kvm().kvm_release_page_clean {
                // SAFETY: By the type invariant there is a reference to give back.
                unsafe { release(self.page) };
            }
        }
        // SAFETY: By the type invariant.
        unsafe { bindings::nvmx_unlock_mmu(self.kvm) };
    }
}
