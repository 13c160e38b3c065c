// SPDX-License-Identifier: GPL-2.0

//! C's structures, for as long as a hook may use them: all reads and writes of their fields.
//!
//! No reference is made to any of them, because C writes neighbouring fields at the same time.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Release, //
};

use super::fields::{
    Field,
    Number,
    SharedField,
    SharedNumber,
    Word, //
};

/// A structure that any thread may use.
///
/// # Invariants
///
/// There is an initialized `S` at `at` for all of `'h`.
pub(super) struct Live<'h, S> {
    // Not `NonNull`: `Option<Live>` would then use NULL for `None`, and the compiler would test C's
    // pointer.
    at: *mut S,
    _lives: PhantomData<&'h S>,
}

/// A structure of the vCPU whose hook runs.
///
/// # Invariants
///
/// Of the fields that have a [`Field`], no other thread writes any during `'h`.
pub(super) struct Own<'h, S>(Live<'h, S>);

impl<S> Clone for Live<'_, S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Live<'_, S> {}

impl<S> Clone for Own<'_, S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Own<'_, S> {}

impl<'h, S> Live<'h, S> {
    /// The structure at `at`.
    ///
    /// # Safety
    ///
    /// The type's invariant.
    #[inline(always)]
    pub(super) const unsafe fn from_raw(at: NonNull<S>) -> Self {
        // INVARIANT: As the caller promises.
        Self {
            at: at.as_ptr(),
            _lives: PhantomData,
        }
    }

    /// The pointer, for C.
    #[inline(always)]
    pub(super) const fn as_ptr(self) -> *mut S {
        self.at
    }

    /// The structure in one of its fields.
    #[inline(always)]
    pub(super) fn part<T, A>(self, field: Field<S, T, A>) -> Live<'h, T> {
        // INVARIANT: By `Field`'s invariant the field is inside of the structure. A part lives as
        // long as the whole.
        Live {
            at: field.of(self.at),
            _lives: PhantomData,
        }
    }

    /// The value of a field at this moment.
    #[inline(always)]
    pub(super) fn read<T: Word, A>(self, field: SharedField<S, T, A>) -> T {
        // SAFETY: By `SharedField`'s invariant the field exists, and is aligned. What `Word`
        // promises is that one access reads all of it, and that any value is one.
        unsafe { field.of(self.as_ptr()).read_volatile() }
    }

    /// A field, to read and write with an order.
    #[inline(always)]
    fn atomic<A>(self, field: SharedField<S, u64, A>) -> &'h Atomic<u64> {
        // SAFETY: By `SharedField`'s invariant the field exists, and is aligned.
        unsafe { Atomic::from_ptr(field.of(self.as_ptr())) }
    }

    /// The value of a field. What its writer wrote before [`Own::release`] is seen afterwards.
    #[inline(always)]
    pub(super) fn acquire<A>(self, field: SharedField<S, u64, A>) -> u64 {
        self.atomic(field).load(Acquire)
    }

    /// Writes a number that other threads may read or write at the same time.
    #[inline(always)]
    pub(super) fn write<T: Word>(self, field: SharedNumber<S, T>, number: T) {
        // SAFETY: By `SharedField`'s invariant the field exists, and is aligned. One access writes
        // all of a `Word`. What is settable may be any number.
        unsafe { field.of(self.as_ptr()).write_volatile(number) };
    }
}

impl<'h, S> Own<'h, S> {
    /// The structure at `at`.
    ///
    /// # Safety
    ///
    /// The invariants of both types.
    #[inline(always)]
    pub(super) const unsafe fn from_raw(at: NonNull<S>) -> Self {
        // INVARIANT: As the caller promises.
        // SAFETY: The caller promises what `Live` asks, too.
        Self(unsafe { Live::from_raw(at) })
    }

    /// As any thread sees it.
    #[inline(always)]
    pub(super) const fn live(self) -> Live<'h, S> {
        self.0
    }

    /// The pointer, for C.
    #[inline(always)]
    pub(super) const fn as_ptr(self) -> *mut S {
        self.0.as_ptr()
    }

    /// The structure in one of its fields.
    #[inline(always)]
    pub(super) fn part<T, A>(self, field: Field<S, T, A>) -> Own<'h, T> {
        // INVARIANT: What is true of all fields is true of those in one of them.
        Own(self.0.part(field))
    }

    /// The value of a field.
    #[inline(always)]
    pub(super) fn get<T: Copy, A>(self, field: Field<S, T, A>) -> T {
        // SAFETY: By `Field`'s invariant the field exists, and by the type's no other thread writes
        // it now. vmcs12 is packed.
        unsafe { field.of(self.as_ptr()).read_unaligned() }
    }

    /// Sets a field to a number.
    #[inline(always)]
    pub(super) fn set<T: Copy>(self, field: Number<S, T>, number: T) {
        // SAFETY: By `Field`'s invariant the field exists, and no other thread uses it during the
        // hook, as it is settable. It may be any number.
        unsafe { field.of(self.as_ptr()).write_unaligned(number) };
    }

    /// Sets a field that other threads read with [`Live::acquire`].
    #[inline(always)]
    pub(super) fn release(self, field: SharedNumber<S, u64>, number: u64) {
        self.0.atomic(field).store(number, Release);
    }
}
