// SPDX-License-Identifier: GPL-2.0

//! L1's APIC-access page: which host page it is now, and its place in vmcs01.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::ffi::c_ulong;

use super::{
    bindings,
    calls::call,
    fields,
    live::Own,
    vcpu::{
        Vcpu,
        WithSlots, //
    }, //
};
use crate::policy::apic_access::Address;

/// The host page that was found.
struct Found {
    /// With a reference, unless it is NULL.
    page: *mut bindings::page,
    pfn: u64,
    /// How often pages had been taken away from the VM before.
    sequence: u64,
}

impl WithSlots<'_> {
    /// Looks up L1's APIC-access page. If `decide` says so, writes the page's address to vmcs01,
    /// also while L2 is active (A1). Sleeps.
    ///
    /// `decide` gets whether the page was, or is being, taken away since it was found. It runs with
    /// the VM's MMU lock. Returns what it said; `None` if there is no page, or if vmcs01 does not
    /// virtualize L1's accesses. (A CPU that does not may lack the field.)
    pub(crate) fn update_apic_access_page(self, decide: fn(bool) -> Address) -> Option<Address> {
        self.load_vmcs01();
        let decided = if self.virtualizes_apic_accesses() {
            self.find_apic_page()
                .map(|found| self.update_to(&found, decide))
        } else {
            None
        };
        self.put_vmcs01();
        decided
    }

    /// `None` if there is no page. It need not be looked up again then, because the slot is deleted
    /// only if APICv is turned off for the VM.
    #[inline]
    fn find_apic_page(self) -> Option<Found> {
        // SAFETY: It is the vCPU's VM, and the slots stay by the invariant of `WithSlots`.
        let slot = unsafe { bindings::nvmx_apic_slot(self.kvm()) };
        if slot.is_null() {
            return None;
        }
        // Before the page. Pairs with `kvm_mmu_invalidate_end()`.
        let sequence = self.vm().acquire(fields::INVALIDATIONS);
        let mut writable = false;
        let mut page = ptr::null_mut();
        // SAFETY: The slot was just found, and stays as long as `self`.
        let pfn = unsafe {
            call!(self.kvm_functions.__kvm_faultin_pfn(
                slot,
                bindings::NVMX_APIC_GFN,
                bindings::NVMX_FOLL_WRITE,
                &mut writable,
                &mut page,
            ))
        };
        // (`is_error_noslot_pfn`. bindgen cannot evaluate a mask with bit 63.)
        if (pfn >> 32) as u32 & bindings::NVMX_NO_PFN_HIGH != 0 {
            return None;
        }
        Some(Found {
            page,
            pfn,
            sequence,
        })
    }

    /// vmcs01 must be the current VMCS: the field is that of whichever is. The CPU compares
    /// addresses with it, and accesses no memory because of it.
    #[inline]
    fn update_to(self, found: &Found, decide: fn(bool) -> Address) -> Address {
        let (kvm, sequence) = (self.kvm(), found.sequence as c_ulong);

        // SAFETY: This thread does not hold the VM's MMU lock, and releases it below. The lock is
        // what the second function needs.
        let invalidated = unsafe {
            bindings::nvmx_lock_mmu(kvm);
            bindings::nvmx_gfn_invalidated_since(kvm, sequence, bindings::NVMX_APIC_GFN)
        };
        let decided = decide(invalidated);

        // SAFETY: If the CPU has no such field, or no VMCS is current, KVM's function warns. Any
        // address is a valid one (SDM volume 3C, "Virtualizing Memory-Mapped APIC Accesses").
        // The page, which is not pinned, goes with the reference that `find_apic_page` took. If
        // the host takes the page away, KVM calls the hook again (A5). The lock was taken above.
        unsafe {
            if decided == Address::Write {
                let hpa = bindings::nvmx_pfn_to_hpa(found.pfn);
                call!(self
                    .vmx_functions
                    .vmcs_write64(bindings::NVMX_APIC_ACCESS_ADDR, hpa));
            }
            if !found.page.is_null() {
                call!(self.kvm_functions.kvm_release_page_clean(found.page));
            }
            bindings::nvmx_unlock_mmu(kvm);
        }
        decided
    }
}

impl Vcpu<'_> {
    /// Whether the VMCS that is current virtualizes accesses to the APIC-access page.
    #[inline]
    fn virtualizes_apic_accesses(self) -> bool {
        let vmcs = self.get_vmx(fields::LOADED_VMCS);
        // SAFETY: The loaded VMCS is one of the vCPU's own, and only this thread writes its fields.
        let vmcs = unsafe { Own::from_raw(NonNull::new_unchecked(vmcs)) };

        vmcs.get(fields::SECONDARY_EXEC) & bindings::NVMX_VIRTUALIZE_APIC_ACCESSES != 0
    }
}
