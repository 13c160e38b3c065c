// SPDX-License-Identifier: GPL-2.0

//! A hypercall that is being handled, as KVM has read it from the registers.

use core::marker::PhantomData;

use super::{
    bindings,
    fields::{
        self,
        Field, //
    },
    words::Words,
};

/// What a flush hypercall's hook was given.
///
/// # Invariants
///
/// The pointer is valid for `'h`, and no other thread uses the structure: it is on KVM's stack. If
/// the call is a fast one, the XMM registers have been read.
#[derive(Clone, Copy)]
pub(crate) struct Hypercall<'h> {
    call: *mut bindings::kvm_hv_hcall,
    _hook: PhantomData<&'h bindings::kvm_hv_hcall>,
}

impl Hypercall<'_> {
    /// Wraps what a hook was given.
    ///
    /// # Safety
    ///
    /// The type's invariant.
    #[inline]
    pub(super) unsafe fn from_raw(call: *mut bindings::kvm_hv_hcall) -> Self {
        Self {
            call,
            _hook: PhantomData,
        }
    }

    #[inline]
    fn get<T: Copy>(self, field: Field<bindings::kvm_hv_hcall, T>) -> T {
        // SAFETY: By the type invariant the structure is valid, and no other thread writes it.
        unsafe { field.of(self.call).read() }
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
        let xmm = unsafe { &*fields::CALL_XMM.of(self.call) };

        buffer.fill(first, xmm, len)
    }
}
