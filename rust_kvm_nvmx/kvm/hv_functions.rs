// SPDX-License-Identifier: GPL-2.0

//! What Hyper-V's hypercalls need of KVM's functions, see [`super::functions`]. What stands for a
//! function that is missing all the same flushes too much or refuses a call, never the reverse.

use core::ptr;

use crate::{
    bindings,
    kvm::{
        host::Host,
        hyperv::INVALID_GPA,
        vcpu::Vcpu,
        words::Words, //
    },
    policy::hv_call::{
        Header,
        Processors, //
    },
};

impl Host<'_> {
    /// The running guest makes hypercalls in 64-bit mode.
    pub(crate) fn is_64_bit_hypercall(self, vcpu: Vcpu<'_>) -> bool {
        let function = self.kvm().is_64_bit_hypercall;

        // SAFETY: The view holds a valid vCPU, loaded on this CPU.
        function.is_none_or(|f| unsafe { f(vcpu.as_ptr()) })
    }

    /// L1's guest-physical address for that of the running guest. Sleeps.
    pub(crate) fn translate(self, vcpu: Vcpu<'_>, gpa: u64) -> Option<u64> {
        let translate = self.kvm().kvm_translate_gpa?;
        // SAFETY: As above; the walk is the vCPU's own, and no exception is wanted.
        let translated = unsafe {
            let walk = &raw mut (*vcpu.as_ptr()).arch.gva_walk;
            let access = bindings::NVMX_FINAL_ACCESS;
            translate(vcpu.as_ptr(), walk, gpa, access, ptr::null_mut(), 0)
        };

        (translated != INVALID_GPA).then_some(translated)
    }

    /// The `len` words at L1's guest-physical address `gpa`, read once into `buffer`, if that is
    /// memory and they have room. Sleeps.
    pub(crate) fn read_words<'a, const N: usize>(
        self,
        vcpu: Vcpu<'_>,
        gpa: u64,
        buffer: &'a mut Words<N>,
        len: usize,
    ) -> Option<&'a mut [u64]> {
        let read = self.kvm().kvm_read_guest?;
        let bytes = len.checked_mul(size_of::<u64>())?;

        if len > N {
            return None;
        }
        // SAFETY: The buffer has that many bytes, and any are good words; a vCPU's thread is
        // inside KVM's SRCU section, as reading guest memory demands. Without an error all have
        // been written.
        unsafe {
            (read(vcpu.kvm(), gpa, buffer.as_mut_ptr().cast(), bytes) == 0)
                .then(|| buffer.written(len))
        }
    }

    /// The 32-bit word at L1's guest-physical address `gpa`, if that is memory. Sleeps.
    pub(crate) fn read_u32(self, vcpu: Vcpu<'_>, gpa: u64) -> Option<u32> {
        let read = self.kvm().kvm_read_guest?;
        let mut word = 0u32;
        // SAFETY: As above.
        let error = unsafe { read(vcpu.kvm(), gpa, (&raw mut word).cast(), 4) };

        (error == 0).then_some(word)
    }

    /// Goes on behind the instruction that has been emulated; what KVM's exit handlers return.
    pub(crate) fn skip_instruction(self, vcpu: Vcpu<'_>) -> i32 {
        match self.kvm().kvm_skip_emulated_instruction {
            // SAFETY: The view holds a valid vCPU, loaded on this CPU.
            Some(skip) => unsafe { skip(vcpu.as_ptr()) },
            None => 1,
        }
    }

    /// E16: KVM_REQ_HV_TLB_FLUSH to all vCPUs in `mask`; returns when each has left its guest.
    ///
    /// # Safety
    ///
    /// `mask` has a bit for each vCPU that a VM can have.
    pub(crate) unsafe fn request_hv_tlb_flush(self, vcpu: Vcpu<'_>, mask: *mut usize) {
        if let Some(request) = self.kvm().kvm_make_vcpus_request_mask {
            // SAFETY: By the caller's promise.
            unsafe { request(vcpu.kvm(), bindings::nvmx_hv_tlb_flush_request(), mask) };
        }
    }

    /// The tracepoint of a flush hypercall's input.
    pub(crate) fn trace_flush(self, header: Header, from_l2: bool) {
        let Header { space, flags, .. } = header;

        match header.processors {
            Processors::Mask(mask) => {
                if let Some(trace) = self.kvm().trace_hv_flush_tlb {
                    // SAFETY: It takes any values.
                    unsafe { trace(mask, space, flags, from_l2) };
                }
            }
            Processors::Set { format, valid } => {
                if let Some(trace) = self.kvm().trace_hv_flush_tlb_ex {
                    // SAFETY: As above.
                    unsafe { trace(valid, format, space, flags, from_l2) };
                }
            }
        }
    }

    /// The tracepoint of a hypercall's result.
    pub(crate) fn trace_hypercall_done(self, result: u64) {
        if let Some(trace) = self.kvm().trace_hv_hypercall_done {
            // SAFETY: It takes any values.
            unsafe { trace(result) };
        }
    }

    /// Leaves L2 for L1, with `reason`, the length of the instruction that L2 exited with, and
    /// nothing else to tell.
    pub(crate) fn exit_to_l1(self, vcpu: Vcpu<'_>, reason: u32) {
        let host = self.vmx();

        if let (Some(exit), Some(vmcs_read)) = (host.nested_vmexit, host.vmcs_read32) {
            // SAFETY: The view holds a valid vCPU, loaded on this CPU; its caller says that L2 is
            // active, so that vmcs02 is the current VMCS.
            unsafe {
                let len = vmcs_read(bindings::NVMX_EXIT_INSTRUCTION_LEN);
                exit(vcpu.as_ptr(), reason, 0, 0, len);
            }
        }
    }
}
