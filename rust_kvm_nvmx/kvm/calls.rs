// SPDX-License-Identifier: GPL-2.0

//! KVM's own functions that a hook's decision leads to, as methods of the hook's vCPU.
//!
//! They come as pointers, in the tables of [`Shared`](super::registration::Shared).

use core::{
    mem::MaybeUninit,
    ptr, //
};

use kernel::ffi::c_ulong;

use super::{
    bindings, fields,
    hooks::Handled,
    hyperv::INVALID_GPA,
    mmu::RootSet,
    vcpu::{
        Offer,
        Vcpu, //
    },
    words::Words,
};
use crate::policy::{
    hv_call::{
        Header,
        Processors, //
    },
    types::Gva,
};

/// Calls a function of one of the tables, in an `unsafe` block whose comment argues for the arguments.
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
    /// Checks L1's INVVPID or INVEPT in the order of the SDM's pseudocode (existence, privilege,
    /// type), and then reads its operand, once. Sleeps.
    ///
    /// `Err` has what the exit's handler returns: the instruction has failed, or an exception was
    /// injected.
    #[inline]
    pub(crate) fn read_invalidation(self, offer: Offer) -> Result<Asked, Handled> {
        let mut ret = 0;
        let mut asked = MaybeUninit::<bindings::vmx_invalidation>::uninit();

        // SAFETY: kvm_intel's function, for the instruction whose exit this vCPU is handling. If it
        // returns true, it has filled in `asked`.
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

    /// L1's VMX instruction succeeds (SDM, "VMsucceed"), and is done.
    #[inline]
    pub(crate) fn vm_succeed(self) -> Handled {
        // SAFETY: kvm_intel's function, for an instruction that L1 has just executed.
        unsafe { call!(self.vmx_functions.nested_vmx_succeed(self.as_ptr())) }
    }

    /// L1's VMX instruction fails with "invalid operand to INVEPT/INVVPID" (SDM, "VMfail"), and is
    /// done.
    #[inline]
    pub(crate) fn vm_fail_operand(self) -> Handled {
        let error = bindings::NVMX_INVALID_OPERAND;

        // SAFETY: As in `vm_succeed`; the number is one of the SDM's error numbers.
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

    /// Drops some roots of an L2 with EPT in its vmcs12.
    #[inline]
    pub(crate) fn free_guest_mmu_roots(self, roots: RootSet) {
        let mmu = self.guest_mmu();

        // SAFETY: kvm's function, on one of this vCPU's contexts and roots that it has.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_mmu_free_roots(self.kvm(), mmu.as_ptr(), roots.0))
        };
    }

    /// Drops the roots that L2 ran on in L1's context.
    #[inline]
    pub(crate) fn free_l2_roots(self) {
        let mmu = self.root_mmu();

        // SAFETY: kvm's function, on the context of this vCPU that it is for.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_mmu_free_guest_mode_roots(self.kvm(), mmu.as_ptr()));
        }
    }

    /// Reads again how the guest's tables must be walked.
    #[inline]
    pub(crate) fn reread_mmu(self) {
        // SAFETY: kvm's function; the vCPU's registers have their new values.
        unsafe { call!(self.kvm_functions.kvm_init_mmu(self.as_ptr())) };
    }

    /// Rebuilds the MMU context.
    #[inline]
    pub(crate) fn reset_mmu(self) {
        // SAFETY: As in `reread_mmu`; no root of the context is in use outside of the guest.
        unsafe { call!(self.kvm_functions.kvm_mmu_reset_context(self.as_ptr())) };
    }

    /// Drops all roots.
    #[inline]
    pub(crate) fn unload_mmu(self) {
        // SAFETY: As in `reset_mmu`; KVM loads new roots before it enters the guest.
        unsafe { call!(self.kvm_functions.kvm_mmu_unload(self.as_ptr())) };
    }

    /// KVM's whole guest flush (H8): counts it, syncs shadow tables, calls back for the TLB (H4),
    /// and purges the queue of Hyper-V flushes.
    #[inline]
    pub(crate) fn flush_guest_in_kvm(self) {
        // SAFETY: kvm's function, on a vCPU that is outside of its guest.
        unsafe { call!(self.kvm_functions.kvm_vcpu_flush_tlb_guest(self.as_ptr())) };
    }

    /// The running guest makes hypercalls in 64-bit mode.
    #[inline]
    pub(crate) fn is_64_bit_hypercall(self) -> bool {
        // SAFETY: kvm's function, which reads the vCPU's state.
        unsafe { call!(self.kvm_functions.is_64_bit_hypercall(self.as_ptr())) }
    }

    /// L1's guest-physical address for that of the running guest. Sleeps.
    #[inline]
    pub(crate) fn translate(self, gpa: u64) -> Option<u64> {
        // SAFETY: kvm's function, with the vCPU's own description of the walk; no exception is
        // wanted, for which NULL stands.
        let translated = unsafe {
            call!(self.kvm_functions.kvm_translate_gpa(
                self.as_ptr(),
                bindings::nvmx_gva_walk(self.as_ptr()),
                gpa,
                bindings::NVMX_FINAL_ACCESS,
                ptr::null_mut(),
                0,
            ))
        };

        (translated != INVALID_GPA).then_some(translated)
    }

    /// The `len` words at L1's guest-physical address `gpa`, read once into `buffer`, if that is
    /// memory and they have room. Sleeps.
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

        // SAFETY: kvm's function; the buffer has that many bytes, all values are valid words, and
        // without an error all of them have been written. The thread of a vCPU that handles an exit
        // is inside KVM's SRCU section, as reading guest memory demands.
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

    /// The 32-bit word at L1's guest-physical address `gpa`, if that is memory. Sleeps.
    #[inline]
    pub(crate) fn read_u32(self, gpa: u64) -> Option<u32> {
        let mut word = 0u32;
        let to = (&raw mut word).cast();
        // SAFETY: As in `read_words`, with a buffer of four bytes.
        let error = unsafe { call!(self.kvm_functions.kvm_read_guest(self.kvm(), gpa, to, 4)) };

        (error == 0).then_some(word)
    }

    /// Continues after the instruction that has been emulated; what KVM's exit handlers return.
    #[inline]
    pub(crate) fn skip_instruction(self) -> Handled {
        // SAFETY: kvm's function, for the exit that this vCPU is handling.
        unsafe {
            call!(self
                .kvm_functions
                .kvm_skip_emulated_instruction(self.as_ptr()))
        }
    }

    /// The tracepoint of a flush hypercall's input.
    #[inline]
    pub(crate) fn trace_flush(self, header: Header) {
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

    /// The code of the hypercall that the running guest makes, from its registers.
    #[inline]
    pub(crate) fn hypercall_code(self, is_64_bit: bool) -> u16 {
        // SAFETY: C reads registers of a vCPU that this thread holds.
        unsafe { bindings::nvmx_hypercall_code(self.as_ptr(), is_64_bit) }
    }

    /// If L2 is active, leaves it for L1, with `reason`, the length of the instruction that L2
    /// exited with, and no other information.
    #[inline]
    pub(crate) fn exit_to_l1(self, reason: u32) {
        if !self.runs_l2() {
            return;
        }
        // SAFETY: kvm_intel's functions. L2 is active, so vmcs02 is the current VMCS.
        unsafe {
            let len = call!(self
                .vmx_functions
                .vmcs_read32(bindings::NVMX_EXIT_INSTRUCTION_LEN));
            call!(self
                .vmx_functions
                .__nested_vmx_vmexit(self.as_ptr(), reason, 0, 0, len));
        }
    }

    /// If L2 is active, has KVM end L2's flush hypercall with an exit to L1. This comes back through
    /// the hook for that exit, whoever decides there.
    #[inline]
    pub(crate) fn end_flush_with_exit(self) {
        if self.runs_l2() {
            // SAFETY: kvm_intel's function, which leaves the L2 that is active.
            unsafe {
                call!(self
                    .vmx_functions
                    .vmx_hv_inject_synthetic_vmexit_post_tlb_flush(self.as_ptr()));
            }
        }
    }

    /// Makes vmcs01 the current VMCS if it is not. KVM writes back other CPUs' caches of it first,
    /// and a change of CPU flushes (H9).
    #[inline]
    pub(super) fn load_vmcs01(self) {
        // SAFETY: kvm_intel's function; `Vmcs01` undoes it before the hook returns.
        unsafe { call!(self.vmx_functions.vmx_load_vmcs01(self.as_ptr())) };
    }

    /// Undoes [`Vcpu::load_vmcs01`].
    #[inline]
    pub(super) fn put_vmcs01(self) {
        // SAFETY: Only `Vmcs01` calls this, once for each `load_vmcs01`.
        unsafe { call!(self.vmx_functions.vmx_put_vmcs01(self.as_ptr())) };
    }
}
