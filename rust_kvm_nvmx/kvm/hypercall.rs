// SPDX-License-Identifier: GPL-2.0

//! A hypercall that is being handled, as KVM has read it from the registers.

use super::{
    bindings,
    fields::{
        self,
        Field, //
    },
    live::Own,
    words::Words,
};

/// What a flush hypercall's hook was given.
///
/// # Invariants
///
/// No thread writes to the structure during `'h`: it is on KVM's stack. If the call is a fast one,
/// the XMM registers have been read.
#[derive(Clone, Copy)]
pub(crate) struct Hypercall<'h>(Own<'h, bindings::kvm_hv_hcall>);

impl<'h> Hypercall<'h> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// The type's invariant.
    #[inline]
    pub(super) unsafe fn new(call: Own<'h, bindings::kvm_hv_hcall>) -> Self {
        // INVARIANT: As the caller promises.
        Self(call)
    }

    #[inline]
    fn get<T: Copy>(self, field: Field<bindings::kvm_hv_hcall, T>) -> T {
        self.0.get(field)
    }

    /// The call's code.
    #[inline]
    pub(crate) fn code(self) -> u16 {
        self.get(fields::CALL_CODE)
    }

    /// Words of its variable header.
    #[inline]
    pub(crate) fn var_cnt(self) -> u16 {
        self.get(fields::CALL_VAR_CNT)
    }

    /// Its repetitions.
    #[inline]
    pub(crate) fn rep_cnt(self) -> u16 {
        self.get(fields::CALL_REP_CNT)
    }

    /// The input is in registers.
    #[inline]
    pub(crate) fn is_fast(self) -> bool {
        self.get(fields::CALL_FAST)
    }

    /// Where the input of a slow call is, guest-physical.
    #[inline]
    pub(crate) fn input_gpa(self) -> u64 {
        self.get(fields::CALL_INGPA)
    }

    /// The first `len` words of a fast call's input: RDX, R8, and the halves of XMM0 to XMM5.
    /// `None` for more than these, and for a slow call.
    #[inline]
    pub(crate) fn registers<const N: usize>(
        self,
        buffer: &mut Words<N>,
        len: usize,
    ) -> Option<&mut [u64]> {
        if !self.is_fast() {
            return None;
        }
        let first = [self.get(fields::CALL_INGPA), self.get(fields::CALL_OUTGPA)];
        // SAFETY: By the type invariant the registers have been read, and no other thread writes
        // the structure.
        let xmm = unsafe { &*self.0.part(fields::CALL_XMM).as_ptr() };

        buffer.fill(first, xmm, len)
    }
}
