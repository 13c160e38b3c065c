// SPDX-License-Identifier: GPL-2.0

//! KVM's own functions that a decision leads to, reached through the table that C fills in.
//!
//! Each is set for as long as the module is registered: registration compares the tables' layouts,
//! and C fills them in statically. Where the type still allows for none, the least harmful is done.

use core::{
    mem::{
        size_of_val,
        MaybeUninit, //
    },
    ptr, //
};

use kernel::ffi::{
    c_int,
    c_ulong,
    c_void, //
};

use crate::{
    bindings,
    kvm::{
        host::Host,
        mmu::Mmu,
        vcpu::Vcpu, //
    },
    policy::types::Gva,
};

/// Vector of the exception "invalid opcode" (SDM volume 3A, "Exception and Interrupt Reference").
const UD_VECTOR: u32 = 6;
// Fields of a VMCS (SDM volume 3C, appendix "Field Encoding in VMCS").
const VMX_INSTRUCTION_INFO: c_ulong = 0x440e;
const APIC_ACCESS_ADDR: c_ulong = 0x2014;

/// What a hook that handles a VM exit returns: 1 to go on in the guest, 0 to go to user space.
pub(crate) type Handled = c_int;
/// Go on in the guest.
pub(crate) const HANDLED: Handled = 1;

impl Host<'_> {
    /// #UD for the guest.
    pub(crate) fn inject_ud(self, vcpu: Vcpu<'_>) -> Handled {
        if let Some(queue) = self.kvm().kvm_queue_exception {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            unsafe { queue(vcpu.as_ptr(), UD_VECTOR) };
        }
        HANDLED
    }

    /// Whether L1 is in VMX operation at CPL 0. If not, the exception is injected.
    pub(crate) fn may_execute_vmx(self, vcpu: Vcpu<'_>) -> bool {
        match self.vmx().check_permission {
            // SAFETY: kvm_intel's function, on a vCPU that is loaded here.
            Some(check) => unsafe { check(vcpu.as_ptr()) != 0 },
            None => false,
        }
    }

    /// L1's VMX instruction succeeds (SDM, "VMsucceed"), and is done.
    pub(crate) fn vm_succeed(self, vcpu: Vcpu<'_>) -> Handled {
        match self.vmx().succeed {
            // SAFETY: kvm_intel's function, on a vCPU that is loaded here.
            Some(succeed) => unsafe { succeed(vcpu.as_ptr()) },
            None => HANDLED,
        }
    }

    /// L1's VMX instruction fails with "invalid operand to INVEPT/INVVPID" (SDM, "VMfail"), and is
    /// done.
    pub(crate) fn vm_fail_operand(self, vcpu: Vcpu<'_>) -> Handled {
        match self.vmx().fail {
            // SAFETY: kvm_intel's function, on a vCPU that is loaded here.
            Some(fail) => unsafe { fail(vcpu.as_ptr(), bindings::NVMX_INVALID_OPERAND) },
            None => HANDLED,
        }
    }

    /// Whether L1 may use `eptp` as an EPT pointer.
    pub(crate) fn is_valid_eptp12(self, vcpu: Vcpu<'_>, eptp: u64) -> bool {
        match self.vmx().check_eptp {
            // SAFETY: kvm_intel's function, on a vCPU that is loaded here.
            Some(check) => unsafe { check(vcpu.as_ptr(), eptp) },
            None => false,
        }
    }

    /// Whether `gva` is canonical in the vCPU's paging mode, as an address to invalidate.
    pub(crate) fn is_canonical(self, vcpu: Vcpu<'_>, gva: Gva) -> bool {
        if gva.is_canonical_with_48_bits() {
            return true;
        }
        match self.kvm().is_noncanonical_invlpg_address {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            Some(is_noncanonical) => !unsafe { is_noncanonical(gva.0, vcpu.as_ptr()) },
            None => false,
        }
    }

    /// The VM-exit instruction information of the exit that is being handled.
    pub(crate) fn instruction_info(self) -> u32 {
        match self.vmx().vmcs_read32 {
            // SAFETY: kvm_intel's function; every CPU with VMX has the field.
            Some(read) => unsafe { read(VMX_INSTRUCTION_INFO) },
            None => 0,
        }
    }

    /// A general-purpose register of the guest, cut to 32 bits outside of 64-bit mode.
    pub(crate) fn register(self, vcpu: Vcpu<'_>, register: u32) -> u64 {
        match self.kvm().kvm_register_read {
            // SAFETY: kvm's function, on a vCPU that is loaded here; there are 16 registers.
            Some(read) => unsafe { read(vcpu.as_ptr(), (register & 0xf) as c_int) as u64 },
            None => 0,
        }
    }

    /// Reads the 16 bytes in memory that the instruction described by `info` names.
    ///
    /// Guest memory is read once. If that fails, `Err` has what the exit's handler returns, and the
    /// exception is injected or user space told.
    pub(crate) fn memory_operand(self, vcpu: Vcpu<'_>, info: u32) -> Result<[u64; 2], Handled> {
        let (Some(qualification), Some(address), Some(read), Some(fail)) = (
            self.vmx().exit_qualification,
            self.vmx().mem_address,
            self.kvm().kvm_read_guest_virt,
            self.kvm().kvm_handle_memory_failure,
        ) else {
            return Err(HANDLED);
        };
        let vcpu = vcpu.as_ptr();
        let mut operand = [0u64; 2];
        let size = size_of_val(&operand);
        let mut gva: bindings::gva_t = 0;

        // SAFETY: kvm_intel's functions, on a vCPU whose exit is being handled.
        if unsafe {
            address(
                vcpu,
                qualification(vcpu),
                info,
                false,
                size as c_int,
                &mut gva,
            )
        } != 0
        {
            return Err(HANDLED);
        }
        let mut exception = MaybeUninit::<bindings::x86_exception>::zeroed();
        let bytes = ptr::from_mut(&mut operand).cast::<c_void>();
        // SAFETY: kvm's functions; `bytes` has `size` bytes, and a failure fills in `exception`.
        unsafe {
            let status = read(vcpu, gva, bytes, size as u32, exception.as_mut_ptr());
            if status == bindings::NVMX_EMULATED as c_int {
                Ok(operand)
            } else {
                Err(fail(vcpu, status, exception.as_mut_ptr()))
            }
        }
    }

    /// Drops the roots in `mask` (`NVMX_ROOT*`) of one of the vCPU's contexts.
    pub(crate) fn free_roots(self, vcpu: Vcpu<'_>, mmu: Mmu<'_>, mask: c_ulong) {
        if let Some(free) = self.kvm().kvm_mmu_free_roots {
            // SAFETY: kvm's function, on a context of a vCPU that is loaded here.
            unsafe { free(vcpu.kvm(), mmu.as_ptr(), mask) };
        }
    }

    /// Drops the roots that L2 ran on in L1's context.
    pub(crate) fn free_l2_roots(self, vcpu: Vcpu<'_>) {
        if let Some(free) = self.kvm().kvm_mmu_free_guest_mode_roots {
            // SAFETY: kvm's function, on a context of a vCPU that is loaded here.
            unsafe { free(vcpu.kvm(), vcpu.root_mmu().as_ptr()) };
        }
    }

    /// Reads anew how the guest's tables are to be walked.
    pub(crate) fn reread_mmu(self, vcpu: Vcpu<'_>) {
        if let Some(init) = self.kvm().kvm_init_mmu {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            unsafe { init(vcpu.as_ptr()) };
        }
    }

    /// Makes the MMU context anew.
    pub(crate) fn reset_mmu(self, vcpu: Vcpu<'_>) {
        if let Some(reset) = self.kvm().kvm_mmu_reset_context {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            unsafe { reset(vcpu.as_ptr()) };
        }
    }

    /// Drops all roots.
    pub(crate) fn unload_mmu(self, vcpu: Vcpu<'_>) {
        if let Some(unload) = self.kvm().kvm_mmu_unload {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            unsafe { unload(vcpu.as_ptr()) };
        }
    }

    /// KVM's whole guest flush (H8): counts it, syncs shadow tables, comes back for the TLB (H4),
    /// and purges the queue of Hyper-V flushes.
    pub(crate) fn flush_guest(self, vcpu: Vcpu<'_>) {
        if let Some(flush) = self.kvm().kvm_vcpu_flush_tlb_guest {
            // SAFETY: kvm's function, on a vCPU that is loaded here.
            unsafe { flush(vcpu.as_ptr()) };
        }
    }

    /// Makes vmcs01 or vmcs02, whichever `vmcs` is, the current VMCS. Other CPUs' caches of it are
    /// written back first, and a change of CPU flushes (H9).
    pub(crate) fn switch_vmcs(self, vcpu: Vcpu<'_>, vmcs: *mut bindings::loaded_vmcs) {
        if let Some(switch) = self.vmx().switch_vmcs {
            // SAFETY: kvm_intel's function, on a vCPU that is loaded here and one of its VMCSs.
            unsafe { switch(vcpu.as_ptr(), vmcs) };
        }
    }

    /// Sets the APIC-access page of the current VMCS, by host-physical address.
    pub(crate) fn set_apic_access_address(self, hpa: u64) {
        if let Some(write) = self.vmx().vmcs_write64 {
            // SAFETY: kvm_intel's function; the CPU has the field, as KVM uses the control.
            unsafe { write(APIC_ACCESS_ADDR, hpa) };
        }
    }
}
