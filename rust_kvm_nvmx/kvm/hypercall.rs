// SPDX-License-Identifier: GPL-2.0

//! A hypercall that is being served, as KVM has read it from the registers.

use core::{
    marker::PhantomData,
    ptr::addr_of, //
};

use crate::{
    bindings,
    kvm::{
        vcpu::Vcpu,
        words::Words, //
    },
    policy::hv_call::FAST_WORDS, //
};

/// What a flush hypercall's hook was given.
///
/// # Invariants
///
/// The pointer is valid for `'a`, and nobody else knows the structure: it is on KVM's stack. If the
/// call is a fast one, the XMM registers have been read.
#[derive(Clone, Copy)]
pub(crate) struct Hypercall<'a> {
    call: *const bindings::kvm_hv_hcall,
    _hook: PhantomData<&'a bindings::kvm_hv_hcall>,
}

macro_rules! read {
    ($self:ident . $field:ident) => {
        // SAFETY: By the type invariant.
        unsafe { addr_of!((*$self.call).$field).read() }
    };
}

impl Hypercall<'_> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// `call` is the argument of a running hook, and the view must not outlive it.
    pub(crate) unsafe fn from_raw(call: *const bindings::kvm_hv_hcall) -> Self {
        Self {
            call,
            _hook: PhantomData,
        }
    }

    /// The call's code.
    pub(crate) fn code(self) -> u16 {
        read!(self.code)
    }

    /// Words of its variable header.
    pub(crate) fn var_cnt(self) -> u16 {
        read!(self.var_cnt)
    }

    /// Its repetitions.
    pub(crate) fn rep_cnt(self) -> u16 {
        read!(self.rep_cnt)
    }

    /// The input is in registers.
    pub(crate) fn is_fast(self) -> bool {
        read!(self.fast)
    }

    /// Where the input of a slow call is, guest-physical.
    pub(crate) fn input_gpa(self) -> u64 {
        read!(self.ingpa)
    }

    /// The first `len` words of a fast call's input: RDX, R8, and the halves of XMM0 to XMM5. `None`
    /// for more than these, and for a slow call.
    pub(crate) fn registers<const N: usize>(
        self,
        buffer: &mut Words<N>,
        len: usize,
    ) -> Option<&mut [u64]> {
        if !self.is_fast() {
            return None;
        }
        // SAFETY: By the type invariant they have been read; each register has two words, the low
        // one first, and `helpers.c` compares how many there are.
        let xmm = unsafe { &*addr_of!((*self.call).xmm).cast::<[u64; FAST_WORDS - 2]>() };

        buffer.fill([read!(self.ingpa), read!(self.outgpa)], xmm, len)
    }
}

impl Vcpu<'_> {
    /// The code of the hypercall that the running guest makes, from its registers.
    pub(crate) fn hypercall_code(self, is_64_bit: bool) -> u16 {
        // SAFETY: The view holds a valid vCPU, held by this thread.
        unsafe { bindings::nvmx_hypercall_code(self.as_ptr(), is_64_bit) }
    }

    /// Ends the running guest's hypercall: its result, and KVM's count of them.
    pub(crate) fn set_hypercall_result(self, is_64_bit: bool, result: u64) {
        // SAFETY: As above; only this thread counts, and user space reads at any time.
        unsafe {
            bindings::nvmx_hypercall_set_result(self.as_ptr(), is_64_bit, result);
            let count = &raw mut (*self.as_ptr()).stat.hypercalls;
            count.write_volatile(count.read().wrapping_add(1));
        }
    }

    /// Adds to KVM's count of flushes.
    pub(crate) fn count_tlb_flushes(self, number: u64) {
        // SAFETY: As above.
        unsafe {
            let count = &raw mut (*self.as_ptr()).stat.tlb_flush;
            count.write_volatile(count.read().wrapping_add(number));
        }
    }
}
