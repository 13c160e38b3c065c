// SPDX-License-Identifier: GPL-2.0

//! What passes between C and a hook: its arguments and its answer, each as C and as Rust has it.

use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};

use kernel::{
    ffi::{
        c_int,
        c_ulong, //
    },
    prelude::*,
};

use super::Scope;
use crate::{
    kvm::{
        bindings,
        hypercall::Hypercall,
        live::Own,
        vcpu::Vmcs12, //
    },
    policy::types::{
        Gva,
        Vpid, //
    },
};

/// What a hook that handles a VM exit returns: 1 to continue in the guest, 0 to exit to user space.
pub(crate) type Handled = c_int;

/// Something that a hook is given in addition to the vCPU.
///
/// # Safety
///
/// `from_raw` must not claim more than its caller promises. `again` must return what its
/// documentation says.
pub(crate) unsafe trait Argument {
    /// What C passes.
    type Raw: Copy;

    /// What is kept of it while C's function runs, which may change what it points to.
    type Kept;

    /// What a hook is given, for the time of its call.
    type View<'h>;

    /// What Rust takes.
    ///
    /// # Safety
    ///
    /// `raw` is an argument of the hook call that `scope` stands for.
    unsafe fn from_raw(scope: &Scope, raw: Self::Raw) -> Self::View<'_>;

    /// What is kept of it.
    ///
    /// # Safety
    ///
    /// As for `from_raw`.
    unsafe fn keep(raw: Self::Raw) -> Self::Kept;

    /// What C would pass again. It is as valid as `raw` was, for as long as `kept` stays.
    fn again(kept: &Self::Kept) -> Self::Raw;
}

/// The argument itself is kept.
macro_rules! kept_as_it_is {
    () => {
        type Kept = Self::Raw;

        #[inline(always)]
        unsafe fn keep(raw: Self::Raw) -> Self::Kept {
            raw
        }

        #[inline(always)]
        fn again(kept: &Self::Kept) -> Self::Raw {
            *kept
        }
    };
}

macro_rules! values {
    ($($t:ty),*) => {
        $(
            // SAFETY: A plain value claims nothing.
            unsafe impl Argument for $t {
                type Raw = $t;
                type View<'h> = $t;

                kept_as_it_is!();

                #[inline(always)]
                unsafe fn from_raw(_scope: &Scope, raw: Self::Raw) -> Self::View<'_> {
                    raw
                }
            }
        )*
    };
}

values!(bool, c_ulong, u64);

// SAFETY: An address claims nothing about what it maps to.
unsafe impl Argument for Gva {
    type Raw = bindings::gva_t;
    type View<'h> = Self;

    kept_as_it_is!();

    #[inline(always)]
    unsafe fn from_raw(_scope: &Scope, raw: Self::Raw) -> Self::View<'_> {
        Self(raw as u64)
    }
}

/// An argument that this module does not look at.
pub(crate) struct Ignored<T>(PhantomData<T>);

// SAFETY: Nothing is claimed.
unsafe impl<T: Copy + 'static> Argument for Ignored<T> {
    type Raw = T;
    type View<'h> = Self;

    kept_as_it_is!();

    #[inline(always)]
    unsafe fn from_raw(_scope: &Scope, _raw: Self::Raw) -> Self::View<'_> {
        Self(PhantomData)
    }
}

// SAFETY: KVM passes the vmcs12 that it keeps for the vCPU, in its cache.
unsafe impl Argument for Vmcs12<'static> {
    type Raw = *mut bindings::vmcs12;
    type View<'h> = Vmcs12<'h>;

    kept_as_it_is!();

    #[inline(always)]
    unsafe fn from_raw(_scope: &Scope, raw: Self::Raw) -> Self::View<'_> {
        // SAFETY: KVM passes its cache, never NULL, in these hooks. It stays until VMX operation
        // ends, and no hook lasts longer than that.
        Vmcs12(unsafe { Own::from_raw(NonNull::new_unchecked(raw)) })
    }
}

// SAFETY: KVM passes a structure on its stack, filled in from the registers.
unsafe impl Argument for Hypercall<'static> {
    type Raw = *mut bindings::kvm_hv_hcall;
    /// Of a slow call KVM does not write the XMM registers.
    type Kept = MaybeUninit<bindings::kvm_hv_hcall>;
    type View<'h> = Hypercall<'h>;

    /// C puts the translated address in the place of L2's.
    #[inline(always)]
    unsafe fn keep(raw: Self::Raw) -> Self::Kept {
        // SAFETY: It is the structure on the stack of the hook's caller. No other thread has it.
        unsafe { raw.cast::<Self::Kept>().read() }
    }

    #[inline(always)]
    fn again(kept: &Self::Kept) -> Self::Raw {
        kept.as_ptr().cast_mut()
    }

    #[inline(always)]
    unsafe fn from_raw(_scope: &Scope, raw: Self::Raw) -> Self::View<'_> {
        // SAFETY: It is on the stack of the hook's caller, so not NULL, and the caller waits for
        // the hook.
        unsafe { Hypercall::new(Own::from_raw(NonNull::new_unchecked(raw))) }
    }
}

/// What a hook returns.
pub(crate) trait Answer {
    /// What C takes.
    type Raw: Copy;

    /// The same as a number; 0 for nothing.
    fn as_number(raw: Self::Raw) -> u64;

    /// The answer, for C.
    fn into_raw(self) -> Self::Raw;
}

macro_rules! plain_answers {
    ($($t:ty as $number:expr),*) => {
        $(
            impl Answer for $t {
                type Raw = $t;

                #[inline(always)]
                fn as_number(raw: Self::Raw) -> u64 {
                    let number: fn($t) -> u64 = $number;

                    number(raw)
                }

                #[inline(always)]
                fn into_raw(self) -> Self::Raw {
                    self
                }
            }
        )*
    };
}

plain_answers!(() as |()| 0, bool as u64::from, c_int as |raw| raw as u64, u64 as |raw| raw);

impl Answer for Result {
    type Raw = c_int;

    fn as_number(raw: Self::Raw) -> u64 {
        raw as u64
    }

    #[inline(always)]
    fn into_raw(self) -> Self::Raw {
        match self {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

/// The VPID to write to vmcs02, as C takes it: a negative number stands for none.
///
/// It is kept in C's form, so that the hook can end with a tail call.
pub(crate) struct VpidToWrite(c_int);

impl VpidToWrite {
    /// Nothing is written.
    pub(crate) const NONE: Self = Self(-1);

    /// `vpid` is written, or 0 if none could be allocated, as C does. For a vmcs12 without a VPID,
    /// KVM has turned VPIDs off in the VMCS then. With one, the CPU refuses the entry.
    #[inline(always)]
    pub(crate) fn new(vpid: Option<Vpid>) -> Self {
        Self(vpid.map_or(0, |vpid| c_int::from(vpid.get())))
    }
}

impl Answer for VpidToWrite {
    type Raw = c_int;

    fn as_number(raw: Self::Raw) -> u64 {
        raw as u64
    }

    #[inline(always)]
    fn into_raw(self) -> Self::Raw {
        self.0
    }
}
