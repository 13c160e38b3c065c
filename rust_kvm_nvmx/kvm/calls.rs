// SPDX-License-Identifier: GPL-2.0

//! KVM's own functions that a hook's decision leads to, as methods of the hook's vCPU.
//!
//! They come as pointers, in the tables of [`Shared`](super::registration::Shared). Those that use
//! the VM's memory slots are methods of [`WithSlots`].

use core::{
    mem::MaybeUninit,
    ptr, //
};

use kernel::ffi::c_ulong;

use super::{
    bindings,
    compat,
    fields,
    hooks::Handled,
    hyperv::INVALID_GPA,
    mmu::RootSet,
    vcpu::{
        Offer,
        Vcpu,
        WithSlots, //
    },
    words::Words, //
};
use crate::policy::{
    hv_call::{
        Header,
        Processors, //
    },
    types::Gva, //
};

/// Calls a function of one of the tables. The SAFETY comment of the use argues for the arguments.
///
/// No pointer in the tables is NULL, by [`Shared`](super::registration::Shared)'s invariant.
macro_rules! call {
    ($vcpu:ident . $table:ident . $function:ident($($argument:expr),* $(,)?)) => {
        ($vcpu.$table().$function.unwrap_unchecked())($($argument),*)
    };
}
pub(super) use call;

/// What L1's INVVPID or INVEPT asks for: the type is one that L1 is offered.
pub(crate) struct Asked {
    /// The type.
    pub(crate) kind: u64,
    /// The 16 bytes of the operand in memory.
    pub(crate) operand: [u64; 2],
}

impl Vcpu<'_> {
    /// Ends L1's VMX instruction with success (SDM, "VMsucceed").
    #[inline]
    pub(crate) fn vm_succeed(self) -> Handled {
        // SAFETY: kvm_intel's function, on a vCPU that this thread holds. It changes flags of the
        // guest and its instruction pointer.
        unsafe { call!(self.vmx_functions.nested_vmx_succeed(self.as_ptr())) }
    }

    /// Ends L1's VMX instruction with the error "invalid operand to INVEPT/INVVPID" (SDM,
    /// "VMfail").
    #[inline]
    pub(crate) fn vm_fail_operand(self) -> Handled {
        let error = bindings::NVMX_INVALID_OPERAND;

        // SAFETY: kvm_intel's function, on a vCPU that this thread holds. It changes flags of the
        // guest and writes the number, which is one of the SDM's, to its VMCS.
        unsafe { call!(self.vmx_functions.nested_vmx_fail(self.as_ptr(), error)) }
    }

    /// Whether L1 may use `eptp` as an EPT pointer.
    #[inline]
    pub(crate) fn is_valid_eptp12(self, eptp: u64) -> bool {
        // SAFETY: kvm_intel's function, which compares `eptp` with what L1 is offered.
        unsafe {
            call!(self
                .vmx_functions
                .nested_vmx_check_eptp(self.as_ptr(), eptp))
        }
    }

    /// Whether `gva` is canonical as an address to invalidate.
    #[inline]
    pub(crate) fn is_canonical(self, gva: Gva) -> bool {
        gva.is_canonical_with_48_bits()
            // SAFETY: kvm's function, which compares bits of `gva`.
            || unsafe {
                !call!(self
                    .kvm_functions
                    .is_noncanonical_invlpg_address(gva.0, self.as_ptr()))
            }
    }

    /// Determines again how to walk the guest's page tables.
    #[inline]
    pub(crate) fn reread_mmu(self) {
        // SAFETY: kvm's function, which reads the vCPU's registers and writes its walker. Both are
        // this thread's.
        unsafe { call!(self.kvm_functions.kvm_init_mmu(self.as_ptr())) };
    }

    /// The running guest makes hypercalls in 64-bit mode.
    #[inline]
    pub(crate) fn is_64_bit_hypercall(self) -> bool {
        // SAFETY: kvm's function, which reads the vCPU's state.
        unsafe { call!(self.kvm_functions.is_64_bit_hypercall(self.as_ptr())) }
    }

    /// Continues after the emulated instruction. Returns what KVM's exit handlers return.
    #[inline]
    pub(crate) fn skip_instruction(self) -> Handled {
        // SAFETY: kvm's function, on a vCPU outside of its guest. It changes the guest's flags and
        // instruction pointer; at another time they would be wrong for the guest, and for it alone.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_skip_emulated_instruction(self.as_ptr()))
        }
    }

    /// The tracepoint of a flush hypercall's input.
    #[inline]
    pub(crate) fn trace_flush_input(self, header: Header) {
        let Header { space, flags, .. } = header;
        let l2 = self.runs_l2();

        // SAFETY: Tracepoints record the values that they are given.
        unsafe {
            match header.processors {
                Processors::Mask(mask) => {
                    call!(self
                        .kvm_functions
                        .trace_kvm_hv_flush_tlb(mask, space, flags, l2));
                }
                Processors::Set { format, valid } => {
                    call!(self
                        .kvm_functions
                        .trace_kvm_hv_flush_tlb_ex(valid, format, space, flags, l2));
                }
            }
        }
    }

    /// Ends the running guest's hypercall: the result in its registers, KVM's count and tracepoint.
    #[inline]
    pub(crate) fn set_hypercall_result(self, is_64_bit: bool, result: u64) {
        // SAFETY: The tracepoint records the value; C writes registers of a vCPU that this thread
        // holds.
        unsafe {
            call!(self.kvm_functions.trace_kvm_hv_hypercall_done(result));
            bindings::nvmx_hypercall_set_result(self.as_ptr(), is_64_bit, result);
        }
        self.add(fields::STAT_HYPERCALLS, 1);
    }

    /// If L2 is active, has it get a #DB before its next instruction, even after an exit to L1.
    #[inline]
    pub(crate) fn set_pending_debug(self, dr6: u64) {
        if self.is_on_vmcs02() {
            // SAFETY: kvm_intel's function. vmcs02 is the current VMCS. It has the field, which is
            // as wide as a register.
            unsafe {
                call!(self
                    .vmx_functions
                    .vmcs_write64(bindings::NVMX_PENDING_DEBUG, dr6));
            }
        }
    }

    /// If L2 is active, exits to L1 with `reason`. The exit has the length of the instruction that
    /// L2 exited with, and no other information.
    #[inline]
    pub(crate) fn exit_to_l1(self, reason: u32) {
        if !self.is_on_vmcs02() {
            return;
        }
        // SAFETY: kvm_intel's functions. L2 is active, and vmcs02 is the current VMCS.
        unsafe {
            let len = call!(self
                .vmx_functions
                .vmcs_read32(bindings::NVMX_EXIT_INSTRUCTION_LEN));
            call!(self
                .vmx_functions
                .__nested_vmx_vmexit(self.as_ptr(), reason, 0, 0, len));
        }
    }

    /// If L2 is active, makes KVM end L2's flush hypercall with an exit to L1. KVM calls the hook
    /// `exit_after_l2_tlb_flush` for it, which may be C's or Rust's.
    #[inline]
    pub(crate) fn end_flush_with_exit(self) {
        if self.is_on_vmcs02() {
            // SAFETY: kvm_intel's function, which leaves the L2 that is active, from its VMCS.
            unsafe {
                call!(self
                    .vmx_functions
                    .vmx_hv_inject_synthetic_vmexit_post_tlb_flush(self.as_ptr()));
            }
        }
    }

    /// Makes vmcs01 the current VMCS if it is not. If it was last loaded on another CPU, KVM clears
    /// it there first.
    #[inline]
    pub(super) fn load_vmcs01(self) {
        // SAFETY: kvm_intel's function. Only `update_apic_access_page` calls this, and undoes it.
        unsafe { call!(self.vmx_functions.vmx_load_vmcs01(self.as_ptr())) };
    }

    /// Undoes [`Vcpu::load_vmcs01`].
    #[inline]
    pub(super) fn put_vmcs01(self) {
        // SAFETY: `update_apic_access_page` calls this, once for each `load_vmcs01`.
        unsafe { call!(self.vmx_functions.vmx_put_vmcs01(self.as_ptr())) };
    }
}

impl WithSlots<'_> {
    /// Checks L1's INVVPID in the order of the SDM's pseudocode (existence, privilege, type), and
    /// then reads its operand, once. Sleeps.
    ///
    /// `Err` has the return value for the exit's handler: the instruction has failed, or an
    /// exception was injected.
    #[inline]
    pub(crate) fn read_invvpid(self) -> Result<Asked, Handled> {
        self.read_invalidation(self.invvpid_offer())
    }

    /// The same for L1's INVEPT.
    #[inline]
    pub(crate) fn read_invept(self) -> Result<Asked, Handled> {
        self.read_invalidation(self.invept_offer())
    }

    #[inline]
    fn read_invalidation(self, offer: Offer) -> Result<Asked, Handled> {
        let mut ret = 0;
        let mut asked = MaybeUninit::<bindings::vmx_invalidation>::uninit();

        // SAFETY: kvm_intel's function, which reads the operand from guest memory. The slots stay
        // by the type invariant. If it returns true, it has filled in `asked`.
        unsafe {
            if !call!(self.vmx_functions.nested_vmx_get_invalidation(
                self.as_ptr(),
                offer.exists,
                offer.types,
                asked.as_mut_ptr(),
                &mut ret,
            )) {
                return Err(ret);
            }
            let asked = asked.assume_init();
            Ok(Asked {
                kind: asked.type_ as u64,
                operand: asked.operand,
            })
        }
    }

    /// Drops some roots of an L2 with EPT in its vmcs12.
    #[inline]
    pub(crate) fn free_guest_mmu_roots(self, roots: RootSet) {
        let mmu = self.guest_mmu();

        // SAFETY: kvm's function, on one of this vCPU's contexts and roots that it has. Pages of a
        // root are accounted in the slots, which stay by the type invariant.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_mmu_free_roots(self.kvm(), mmu.as_ptr(), roots.0))
        };
    }

    /// Drops L2's roots in L1's context.
    #[inline]
    pub(crate) fn free_l2_roots(self) {
        let mmu = self.root_mmu();

        // SAFETY: kvm's function, on the context of this vCPU that it is for. The slots stay by the
        // type invariant.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_mmu_free_guest_mode_roots(self.kvm(), mmu.as_ptr()));
        }
    }

    /// Drops all roots, and rebuilds the MMU context.
    #[inline]
    pub(crate) fn reset_mmu(self) {
        // SAFETY: kvm's function, which drops the context's roots. The vCPU is outside of its
        // guest, so the CPU does not use them. Nor do the slots go, by the type invariant.
        unsafe { call!(self.kvm_functions.kvm_mmu_reset_context(self.as_ptr())) };
    }

    /// Drops all roots.
    #[inline]
    pub(crate) fn unload_mmu(self) {
        // SAFETY: kvm's function, which drops all roots of the vCPU. KVM loads new ones before it
        // enters the guest. The type invariant keeps the slots.
        unsafe { call!(self.kvm_functions.kvm_mmu_unload(self.as_ptr())) };
    }

    /// KVM's whole guest flush (H8). It counts the flush, syncs shadow tables, calls the hook for
    /// the TLB (H4), and purges the queue of Hyper-V flushes.
    #[inline]
    pub(crate) fn flush_guest_in_kvm(self) {
        // SAFETY: kvm's function, on a vCPU that is outside of its guest. To sync, it reads the
        // guest's tables, whose slots stay by the type invariant.
        unsafe { call!(self.kvm_functions.kvm_vcpu_flush_tlb_guest(self.as_ptr())) };
    }

    /// L1's guest-physical address for that of the running guest. Sleeps.
    #[inline]
    pub(crate) fn translate(self, gpa: u64) -> Option<u64> {
        // SAFETY: kvm's function, with the vCPU's own description of the walk. It reads L1's tables
        // for L2, whose slots stay by the type invariant. NULL means that no description of an
        // exception is wanted.
        let translated = unsafe {
            call!(self.kvm_functions.kvm_translate_gpa(
                self.as_ptr(),
                compat::gva_walk(*self),
                gpa,
                bindings::NVMX_FINAL_ACCESS,
                ptr::null_mut(),
                0,
            ))
        };

        (translated != INVALID_GPA).then_some(translated)
    }

    /// Reads the `len` words at L1's guest-physical address `gpa` into `buffer`, once. `None` if
    /// there is no memory, or no room in the buffer. Sleeps.
    #[inline]
    pub(crate) fn read_words<const N: usize>(
        self,
        gpa: u64,
        buffer: &mut Words<N>,
        len: usize,
    ) -> Option<&mut [u64]> {
        if len > N {
            return None;
        }
        let bytes = len.wrapping_mul(size_of::<u64>()) as c_ulong;

        // SAFETY: kvm's function. The buffer has that many bytes. If there is no error, all of them
        // have been written, and any value is a valid word. By the type invariant the memory slots
        // stay.
        unsafe {
            (call!(self.kvm_functions.kvm_read_guest(
                self.kvm(),
                gpa,
                buffer.as_mut_ptr().cast(),
                bytes
            )) == 0)
                .then(|| buffer.written(len))
        }
    }

    /// Reads the 32-bit word at L1's guest-physical address `gpa`. `None` if there is no memory.
    /// Sleeps.
    #[inline]
    pub(crate) fn read_u32(self, gpa: u64) -> Option<u32> {
        let mut word = 0u32;
        let to = (&raw mut word).cast();
        // SAFETY: kvm's function; `word` has the four bytes, and the slots stay by the type
        // invariant.
        let error = unsafe { call!(self.kvm_functions.kvm_read_guest(self.kvm(), gpa, to, 4)) };

        (error == 0).then_some(word)
    }
}
