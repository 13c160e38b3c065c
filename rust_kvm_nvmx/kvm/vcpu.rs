// SPDX-License-Identifier: GPL-2.0

//! A view of the vCPU that a hook was called for.

use core::{
    marker::PhantomData,
    ptr::{
        addr_of,
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::container_of;

use crate::{
    bindings,
    kvm::mmu::Mmu,
    policy::{
        flush::Root,
        types::{
            Caps,
            Vpid, //
        },
    },
};

// Bits of IA32_VMX_EPT_VPID_CAP (SDM, appendix "VPID and EPT Capabilities"), in KVM's halves: the
// types that are offered begin at bit 8 for INVVPID; for INVEPT bit 25 stands for type 1.
const INVVPID_TYPES_SHIFT: u32 = 8;
const INVVPID_TYPES: u32 = 0xf;
const INVEPT_TYPES_SHIFT: u32 = 24;
const INVEPT_TYPES: u32 = 0b110;

/// A vCPU that is loaded on this CPU, for the time of one hook.
///
/// # Invariants
///
/// `vcpu` is the `vcpu` field of a `vcpu_vmx` that stays valid for `'a`. The caller holds the
/// vCPU's mutex (or is the only one who knows the vCPU), so nobody else writes the fields that are
/// read here. No reference is made to either structure: C writes neighbouring fields meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Vcpu<'a> {
    vcpu: NonNull<bindings::kvm_vcpu>,
    _hook: PhantomData<&'a bindings::kvm_vcpu>,
}

impl<'a> Vcpu<'a> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// `vcpu` is the argument of a running hook: not NULL, VMX's and no TD's, loaded on this CPU
    /// and held by this thread until the hook returns; the view must not outlive the hook.
    pub(crate) unsafe fn from_raw(vcpu: *mut bindings::kvm_vcpu) -> Self {
        Self {
            // SAFETY: Not NULL by the caller's promise.
            vcpu: unsafe { NonNull::new_unchecked(vcpu) },
            _hook: PhantomData,
        }
    }

    /// The pointer, for C.
    pub(crate) fn as_ptr(self) -> *mut bindings::kvm_vcpu {
        self.vcpu.as_ptr()
    }

    pub(in crate::kvm) fn vmx(self) -> *mut bindings::vcpu_vmx {
        // SAFETY: By the type invariant it is embedded in one.
        unsafe { container_of!(self.vcpu.as_ptr(), bindings::vcpu_vmx, vcpu) }
    }

    /// L2 is active. (`is_guest_mode`.)
    pub(crate) fn runs_l2(self) -> bool {
        // SAFETY: By the type invariant.
        let hflags = unsafe { addr_of!((*self.vcpu.as_ptr()).arch.hflags).read() };

        hflags & bindings::NVMX_HF_GUEST_MASK != 0
    }

    /// The hardware VPID that L1 runs with.
    pub(crate) fn vpid01(self) -> Option<Vpid> {
        // SAFETY: By the type invariant.
        let raw = unsafe { addr_of!((*self.vmx()).vpid).read() };

        // The allocator hands out 1 to 65,535, or 0 for none.
        u16::try_from(raw).ok().and_then(Vpid::new)
    }

    /// The hardware VPID that L2 runs with if its vmcs12 uses VPIDs.
    ///
    /// After VMXOFF, VMX frees the VPID and leaves the field: it may then name somebody else's,
    /// which costs at most a flush too many.
    pub(crate) fn vpid02(self) -> Option<Vpid> {
        // SAFETY: By the type invariant.
        Vpid::new(unsafe { addr_of!((*self.vmx()).nested.vpid02).read() })
    }

    /// The vpid12 that vpid02 was last used for; 0 after VMXON and where it must not be trusted.
    pub(crate) fn last_vpid(self) -> u16 {
        // SAFETY: By the type invariant.
        unsafe { addr_of!((*self.vmx()).nested.last_vpid).read() }
    }

    /// Remembers the vpid12 that vpid02 stands for from now on.
    pub(crate) fn set_last_vpid(self, vpid12: u16) {
        // SAFETY: By the type invariant nobody else reads or writes the field now.
        unsafe { addr_of_mut!((*self.vmx()).nested.last_vpid).write(vpid12) }
    }

    /// Whether vmcs12 uses VPIDs; `None` while L1 runs. (`nested_cpu_has_vpid`.)
    pub(crate) fn vmcs12_uses_vpid(self) -> Option<bool> {
        self.vmcs12().map(Vmcs12::uses_vpid)
    }

    /// The vmcs12 of the L2 that is active.
    fn vmcs12(self) -> Option<Vmcs12<'a>> {
        if !self.runs_l2() {
            return None;
        }
        // SAFETY: By the type invariant; while L2 is active there is a cached vmcs12.
        let vmcs12 = unsafe { addr_of!((*self.vmx()).nested.cached_vmcs12).read() };
        // SAFETY: As above, and it stays until VMX operation is left.
        Some(unsafe { Vmcs12::from_raw(vmcs12) })
    }

    /// Whether vmcs12 uses EPT; `None` while L1 runs. (`nested_cpu_has_ept`.)
    pub(crate) fn vmcs12_uses_ept(self) -> Option<bool> {
        self.vmcs12().map(Vmcs12::uses_ept)
    }

    /// The VM; valid for as long as the vCPU is.
    pub(crate) fn kvm(self) -> *mut bindings::kvm {
        // SAFETY: By the type invariant; it never changes.
        unsafe { addr_of!((*self.vcpu.as_ptr()).kvm).read() }
    }

    /// The context of L1, and of an L2 without EPT in its vmcs12.
    pub(crate) fn root_mmu(self) -> Mmu<'a> {
        // SAFETY: By the type invariant; it is part of the vCPU.
        unsafe { Mmu::from_raw(addr_of_mut!((*self.vcpu.as_ptr()).arch.root_mmu)) }
    }

    /// The context of an L2 with EPT in its vmcs12.
    pub(crate) fn guest_mmu(self) -> Mmu<'a> {
        // SAFETY: By the type invariant; it is part of the vCPU.
        unsafe { Mmu::from_raw(addr_of_mut!((*self.vcpu.as_ptr()).arch.guest_mmu)) }
    }

    /// vmcs01, for C.
    pub(crate) fn vmcs01(self) -> *mut bindings::loaded_vmcs {
        // SAFETY: By the type invariant; it is part of the vCPU.
        unsafe { addr_of_mut!((*self.vmx()).vmcs01) }
    }

    /// vmcs02, for C.
    pub(crate) fn vmcs02(self) -> *mut bindings::loaded_vmcs {
        // SAFETY: By the type invariant; it is part of the vCPU.
        unsafe { addr_of_mut!((*self.vmx()).nested.vmcs02) }
    }

    /// The CPU that vmcs02 was last loaded on; negative for none.
    ///
    /// A CPU that goes offline clears the field from its own thread, hence the volatile read.
    pub(crate) fn cpu_of_vmcs02(self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { addr_of!((*self.vmcs02()).cpu).read_volatile() }
    }

    /// The secondary controls of the VMCS that is current, as KVM has written them.
    pub(crate) fn secondary_controls_of_current_vmcs(self) -> u32 {
        // SAFETY: By the type invariant; one of the vCPU's VMCSs is always loaded.
        unsafe {
            let vmcs = addr_of!((*self.vmx()).loaded_vmcs).read();
            addr_of!((*vmcs).controls_shadow.secondary_exec).read()
        }
    }

    /// The VMX capabilities that L1 is offered: secondary controls, and the two halves of
    /// IA32_VMX_EPT_VPID_CAP, of EPT and of VPIDs.
    fn offers(self) -> (u32, u32, u32) {
        // SAFETY: By the type invariant; user space cannot change them while the vCPU runs.
        unsafe {
            let msrs = addr_of!((*self.vmx()).nested.msrs);
            (
                addr_of!((*msrs).secondary_ctls_high).read(),
                addr_of!((*msrs).ept_caps).read(),
                addr_of!((*msrs).vpid_caps).read(),
            )
        }
    }

    /// The types of INVVPID that L1 is offered, a bit each; `None` without the instruction.
    pub(crate) fn offered_invvpid(self) -> Option<u32> {
        let (controls, _, caps) = self.offers();

        (controls & bindings::NVMX_ENABLE_VPID != 0 && caps & bindings::NVMX_INVVPID != 0)
            .then_some((caps >> INVVPID_TYPES_SHIFT) & INVVPID_TYPES)
    }

    /// The types of INVEPT that L1 is offered, a bit each; `None` without the instruction.
    pub(crate) fn offered_invept(self) -> Option<u32> {
        let (controls, caps, _) = self.offers();

        (controls & bindings::NVMX_ENABLE_EPT != 0 && caps & bindings::NVMX_INVEPT != 0)
            .then_some((caps >> INVEPT_TYPES_SHIFT) & INVEPT_TYPES)
    }

    /// The vCPU takes page faults asynchronously, and wants to be told of pages that came.
    pub(crate) fn has_async_page_faults(self) -> bool {
        // SAFETY: The view holds a valid vCPU.
        unsafe { bindings::nvmx_has_async_pf(self.as_ptr()) }
    }

    /// The vCPU has Hyper-V state, be it for SynIC alone. (`to_hv_vcpu`.)
    pub(crate) fn has_hyperv(self) -> bool {
        // SAFETY: By the type invariant; the pointer is set once, by the vCPU's own thread.
        !unsafe { addr_of!((*self.vcpu.as_ptr()).arch.hyperv).read() }.is_null()
    }

    /// The root of the current MMU context, as far as flushing it goes.
    pub(crate) fn root(self, caps: Caps) -> Root {
        // SAFETY: By the type invariant; `mmu` always points at one of the vCPU's contexts.
        let mmu = unsafe { Mmu::from_raw(addr_of!((*self.vcpu.as_ptr()).arch.mmu).read()) };

        mmu.root(caps)
    }
}

/// The VMCS that L1 keeps for L2, in KVM's own copy.
///
/// # Invariants
///
/// The pointer is valid for `'a` and only the vCPU's own thread, which runs the hook, writes it.
#[derive(Clone, Copy)]
pub(crate) struct Vmcs12<'a> {
    vmcs12: *const bindings::vmcs12,
    _hook: PhantomData<&'a bindings::vmcs12>,
}

impl Vmcs12<'_> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// `vmcs12` is the cached vmcs12 of the vCPU for which the hook runs, and the view must not
    /// outlive the hook.
    pub(crate) unsafe fn from_raw(vmcs12: *const bindings::vmcs12) -> Self {
        Self {
            vmcs12,
            _hook: PhantomData,
        }
    }

    /// L1 gave L2 a VPID. (`nested_cpu_has_vpid`.)
    pub(crate) fn uses_vpid(self) -> bool {
        self.has_secondary_control(bindings::NVMX_ENABLE_VPID)
    }

    /// L1 gave L2 an EPT. (`nested_cpu_has_ept`.)
    pub(crate) fn uses_ept(self) -> bool {
        self.has_secondary_control(bindings::NVMX_ENABLE_EPT)
    }

    fn has_secondary_control(self, control: u32) -> bool {
        // SAFETY: By the type invariant. The structure is packed.
        let (primary, secondary) = unsafe {
            (
                addr_of!((*self.vmcs12).cpu_based_vm_exec_control).read_unaligned(),
                addr_of!((*self.vmcs12).secondary_vm_exec_control).read_unaligned(),
            )
        };

        primary & bindings::NVMX_SECONDARY_CONTROLS != 0 && secondary & control != 0
    }

    /// The VPID that L1 gave L2, if it gave one.
    pub(crate) fn vpid12(self) -> Option<u16> {
        if !self.uses_vpid() {
            return None;
        }
        // SAFETY: By the type invariant. The structure is packed.
        Some(unsafe { addr_of!((*self.vmcs12).virtual_processor_id).read_unaligned() })
    }
}
