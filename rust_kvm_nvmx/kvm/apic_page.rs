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

/// The host page that was found for L1's APIC-access page.
///
/// # Invariants
///
/// The MMU lock of the vCPU's VM is held for reading, so no page of the VM is taken away without
/// being counted as invalidated. `page` is NULL or a page with a reference that is this value's.
pub(crate) struct ApicPage<'h> {
    vcpu: WithSlots<'h>,
    page: *mut bindings::page,
    pfn: u64,
    sequence: u64,
}

impl<'h> ApicPage<'h> {
    /// Looks up the page. `None` if there is none. It need not be looked up again then, because the
    /// slot is deleted only if APICv is turned off for the VM. Sleeps.
    #[inline]
    pub(crate) fn find(vcpu: WithSlots<'h>) -> Option<Self> {
        let kvm = vcpu.kvm();
        // SAFETY: It is the vCPU's VM, and the slots stay by the invariant of `WithSlots`.
        let slot = unsafe { bindings::nvmx_apic_slot(kvm) };
        if slot.is_null() {
            return None;
        }
        // Before the page. Pairs with `kvm_mmu_invalidate_end()`.
        let sequence = vcpu.vm().acquire(fields::INVALIDATIONS);
        let mut writable = false;
        let mut page = ptr::null_mut();
        // SAFETY: The slot was just found, and stays as long as `vcpu`.
        let pfn = unsafe {
            call!(vcpu.kvm_functions.__kvm_faultin_pfn(
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
        // SAFETY: This thread does not hold the lock, and `drop` releases it.
        unsafe { bindings::nvmx_lock_mmu(kvm) };
        // INVARIANT: The lock was just taken, and `__kvm_faultin_pfn()` took the reference.
        Some(Self {
            vcpu,
            page,
            pfn,
            sequence,
        })
    }

    /// Whether the page was, or is being, taken away since it was found.
    #[inline]
    pub(crate) fn invalidated_since(&self) -> bool {
        let gfn = bindings::NVMX_APIC_GFN;

        // SAFETY: This needs the MMU lock, which is held by the type invariant.
        unsafe {
            bindings::nvmx_gfn_invalidated_since(self.vcpu.kvm(), self.sequence as c_ulong, gfn)
        }
    }
}

impl Drop for ApicPage<'_> {
    #[inline]
    fn drop(&mut self) {
        let vcpu = self.vcpu;

        // The page is not pinned. If the host takes it away, KVM calls the hook again (A5).
        // SAFETY: By the type invariant the reference, if there is a page, is this value's, and
        // this thread has held the lock since `find`.
        unsafe {
            if !self.page.is_null() {
                call!(vcpu.kvm_functions.kvm_release_page_clean(self.page));
            }
            bindings::nvmx_unlock_mmu(vcpu.kvm());
        }
    }
}

/// vmcs01, also while L2 is active (rule A1).
///
/// # Invariants
///
/// It is the current VMCS.
pub(crate) struct Vmcs01<'h> {
    vcpu: Vcpu<'h>,
}

impl<'h> Vmcs01<'h> {
    /// Calls `act` with vmcs01 as the current VMCS. While L1 runs it is current anyway.
    #[inline(always)]
    pub(crate) fn with(vcpu: Vcpu<'h>, act: impl FnOnce(&Self)) {
        vcpu.load_vmcs01();
        // INVARIANT: It was just loaded, and stays until `act` has ended.
        act(&Self { vcpu });
        vcpu.put_vmcs01();
    }

    /// Whether L1's accesses to its APIC-access page are virtualized.
    #[inline]
    pub(crate) fn virtualizes_apic_accesses(&self) -> bool {
        let vmcs = self.vcpu.get_vmx(fields::LOADED_VMCS);
        // SAFETY: The loaded VMCS is one of the vCPU's own, and only this thread writes its fields.
        let vmcs = unsafe { Own::from_raw(NonNull::new_unchecked(vmcs)) };

        vmcs.get(fields::SECONDARY_EXEC) & bindings::NVMX_VIRTUALIZE_APIC_ACCESSES != 0
    }

    /// Makes `page` L1's APIC-access page. A CPU that does not virtualize APIC accesses may lack
    /// the field.
    #[inline]
    pub(crate) fn set_apic_access_page(&self, page: &ApicPage<'_>) {
        let vcpu = self.vcpu;

        // SAFETY: By the type invariant vmcs01 is the current VMCS. If the CPU has no such field,
        // KVM's function warns. The CPU compares addresses with this one, and accesses no memory
        // because of it (SDM volume 3C, "Virtualizing Memory-Mapped APIC Accesses").
        unsafe {
            let hpa = bindings::nvmx_pfn_to_hpa(page.pfn);
            call!(vcpu
                .vmx_functions
                .vmcs_write64(bindings::NVMX_APIC_ACCESS_ADDR, hpa));
        }
    }
}
