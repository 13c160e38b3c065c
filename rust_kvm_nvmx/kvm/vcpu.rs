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
    kvm::root,
    policy::{
        flush::Root,
        types::{
            Caps,
            Vpid, //
        },
    },
};

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

impl Vcpu<'_> {
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

    fn vmx(self) -> *mut bindings::vcpu_vmx {
        // SAFETY: By the type invariant it is embedded in one.
        unsafe { container_of!(self.vcpu.as_ptr(), bindings::vcpu_vmx, vcpu) }
    }

    /// L2 is active. (`is_guest_mode`.)
    fn runs_l2(self) -> bool {
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
        if !self.runs_l2() {
            return None;
        }
        // SAFETY: By the type invariant; while L2 is active there is a cached vmcs12.
        let vmcs12 = unsafe { addr_of!((*self.vmx()).nested.cached_vmcs12).read() };
        // SAFETY: As above, and it stays until VMX operation is left.
        Some(unsafe { Vmcs12::from_raw(vmcs12) }.uses_vpid())
    }

    /// The vCPU has Hyper-V state, be it for SynIC alone. (`to_hv_vcpu`.)
    pub(crate) fn has_hyperv(self) -> bool {
        // SAFETY: By the type invariant; the pointer is set once, by the vCPU's own thread.
        !unsafe { addr_of!((*self.vcpu.as_ptr()).arch.hyperv).read() }.is_null()
    }

    /// The root of the current MMU context, as far as flushing it goes.
    pub(crate) fn root(self, caps: Caps) -> Root {
        // SAFETY: By the type invariant; `mmu` always points at one of the vCPU's contexts.
        let hpa = unsafe {
            let mmu = addr_of!((*self.vcpu.as_ptr()).arch.mmu).read();
            addr_of!((*mmu).root.hpa).read()
        };

        // SAFETY: This is the current root of a vCPU that is loaded here.
        unsafe { root::of(hpa, caps) }
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
        // SAFETY: By the type invariant. The structure is packed.
        let (primary, secondary) = unsafe {
            (
                addr_of!((*self.vmcs12).cpu_based_vm_exec_control).read_unaligned(),
                addr_of!((*self.vmcs12).secondary_vm_exec_control).read_unaligned(),
            )
        };

        primary & bindings::NVMX_SECONDARY_CONTROLS != 0
            && secondary & bindings::NVMX_ENABLE_VPID != 0
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
