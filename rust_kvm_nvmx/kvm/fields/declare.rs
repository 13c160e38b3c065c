// SPDX-License-Identifier: GPL-2.0

//! A field of a structure of C's as a constant, and the macros that declare such constants.

use core::marker::PhantomData;

use crate::kvm::bindings::kvm_nvmx_layout;

/// This module only reads the field.
pub(in crate::kvm) struct ReadOnly;

/// This module may set the field, to any number.
///
/// So what memory KVM uses must not depend on the number. These are VPIDs, vpid12s, ids and tags of
/// L2s, page frames that are compared, sets of vCPUs, and counts.
pub(in crate::kvm) struct Settable;

/// A field of type `T` in a structure `S` of C's.
///
/// # Invariants
///
/// There is a `T` at `offset` in each `S`. While a hook runs for a vCPU, only the thread of that
/// vCPU writes this field of the vCPU's structures. If the field is [`Settable`], no other thread
/// reads it either.
pub(in crate::kvm) struct Field<S, T, A = ReadOnly> {
    offset: usize,
    _types: PhantomData<(*const S, *const T, A)>,
}

/// A field that any thread may write at any time.
///
/// # Invariants
///
/// There is an aligned `T` at `offset` in each `S`.
pub(in crate::kvm) struct SharedField<S, T, A = ReadOnly> {
    offset: usize,
    _types: PhantomData<(*const S, *const T, A)>,
}

/// A [`Field`] that this module sets.
pub(in crate::kvm) type Number<S, T> = Field<S, T, Settable>;

/// A [`SharedField`] that this module sets.
pub(in crate::kvm) type SharedNumber<S, T> = SharedField<S, T, Settable>;

/// What one access reads or writes.
///
/// # Safety
///
/// It is no larger than a machine word. Any bit pattern is a value of the type.
pub(in crate::kvm) unsafe trait Word: Copy {}

// SAFETY: A byte is no larger, and any byte is a value.
unsafe impl Word for u8 {}
// SAFETY: 32 bits are no larger, and any of them are a number.
unsafe impl Word for u32 {}
// SAFETY: 32 bits are no larger, and are a number with a sign, too.
unsafe impl Word for i32 {}
// SAFETY: A word is 64 bits, which are a number.
unsafe impl Word for u64 {}
// SAFETY: A pointer to a sized type is a word, and may have any address.
unsafe impl<T> Word for *mut T {}

impl<S, T, A> Clone for Field<S, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T, A> Copy for Field<S, T, A> {}

impl<S, T, A> Clone for SharedField<S, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T, A> Copy for SharedField<S, T, A> {}

impl<S, T, A> Field<S, T, A> {
    /// For the declarations below, which make sure of the type's invariant.
    pub(super) const fn new(offset: usize) -> Self {
        Self {
            offset,
            _types: PhantomData,
        }
    }

    /// Where the field is in `base`.
    #[inline(always)]
    pub(in crate::kvm) const fn of(self, base: *mut S) -> *mut T {
        base.wrapping_byte_add(self.offset).cast()
    }

    /// The structure whose field is at `field`. (`container_of`.)
    #[inline(always)]
    pub(in crate::kvm) const fn container(self, field: *mut T) -> *mut S {
        field.wrapping_byte_sub(self.offset).cast()
    }

    /// The field `inner` of this field.
    #[inline(always)]
    pub(in crate::kvm) const fn then<U, B>(self, inner: Field<T, U, B>) -> Field<S, U, B> {
        // INVARIANT: The outer field has a `T`, and that has a `U`.
        Field {
            offset: self.offset + inner.offset,
            _types: PhantomData,
        }
    }
}

impl<S, T> Field<S, *mut T> {
    /// The pointer, for threads that compare it and do not follow it.
    pub(in crate::kvm) const fn shared(self) -> SharedField<S, *mut T> {
        // INVARIANT: C aligns pointers.
        SharedField {
            offset: self.offset,
            _types: PhantomData,
        }
    }
}

impl<S, T, A, const N: usize> Field<S, [T; N], A> {
    /// Element `number` of the array; `None` if it has no such element.
    #[inline(always)]
    pub(in crate::kvm) const fn at(self, number: usize) -> Option<Field<S, T, A>> {
        if number >= N {
            return None;
        }
        // INVARIANT: The array has a `T` there.
        Some(Field {
            offset: self.offset + number * size_of::<T>(),
            _types: PhantomData,
        })
    }
}

impl<S, T, A, const N: usize> SharedField<S, [T; N], A> {
    /// Element `number` of the array; `None` if it has no such element.
    #[inline(always)]
    pub(in crate::kvm) const fn at(self, number: usize) -> Option<SharedField<S, T, A>> {
        if number >= N {
            return None;
        }
        // INVARIANT: The array has a `T` there.
        Some(SharedField {
            offset: self.offset + number * size_of::<T>(),
            _types: PhantomData,
        })
    }
}

impl<S, T, A> SharedField<S, T, A> {
    /// For the declarations below, which make sure that the field exists. Structures with such
    /// fields are aligned: C allocates all of them, and an enlightened VMCS starts a page.
    pub(super) const fn new(offset: usize) -> Self {
        assert!(offset % align_of::<T>() == 0);
        Self {
            offset,
            _types: PhantomData,
        }
    }

    /// The field's offset in bytes, for assembly.
    pub(in crate::kvm) const fn offset(&self) -> usize {
        self.offset
    }

    /// Where the field is in `base`.
    #[inline(always)]
    pub(in crate::kvm) const fn of(self, base: *mut S) -> *mut T {
        base.wrapping_byte_add(self.offset).cast()
    }
}

pub(super) const fn line(name: &'static str, offset: usize, size: usize) -> kvm_nvmx_layout {
    kvm_nvmx_layout {
        name: name.as_ptr().cast(),
        offset: offset as u32,
        size: size as u32,
    }
}

/// The size of the type that a raw pointer points to.
pub(super) const fn size_behind<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! name {
    ($s:ident . $first:ident $(. $rest:ident)*) => {
        concat!(stringify!($s), ".", stringify!($first), $(".", stringify!($rest),)* "\0")
    };
}

/// Constants for fields that are not compared: parts of those that are.
///
/// `is` says that C's type is this one. `as` says that a value of C's type, e.g. an atomic counter,
/// a union or an `unsigned long`, is one of this type, too.
macro_rules! parts {
    ($(
        $(#[$doc:meta])*
        $kind:ident $constant:ident: $s:ident . $first:ident $(. $rest:ident)* $how:ident $t:ty;
    )*) => {
        $(
            $(#[$doc])*
            // INVARIANT: `offset_of!` finds the field, `assert_type!` compares its type or at least
            // its size, and `SharedField::new` checks its alignment.
            pub(super) const $constant: $kind<bindings::$s, $t> = {
                assert_type!($how $t, pointer_to!($s . $first $(. $rest)*));
                $kind::new(offset_of!(bindings::$s, $first $(. $rest)*))
            };
        )*
    };
}

/// Fails to compile if `$pointer` does not point to a `$t`.
macro_rules! assert_type {
    (is $t:ty, $pointer:expr) => {
        let _: *const $t = $pointer;
    };
    (as $t:ty, $pointer:expr) => {
        assert!(size_of::<$t>() == size_behind($pointer));
    };
}

/// Constants for fields, and a line for each.
macro_rules! fields {
    ($(
        $(#[$doc:meta])*
        $kind:ident $constant:ident: $s:ident . $first:ident $(. $rest:ident)* $how:ident $t:ty;
    )*) => {
        parts! {
            $(
                $(#[$doc])*
                $kind $constant: $s . $first $(. $rest)* $how $t;
            )*
        }

        const FIELDS: &[kvm_nvmx_layout] = &[$(
            line(
                name!($s . $first $(. $rest)*),
                offset_of!(bindings::$s, $first $(. $rest)*),
                size_of::<$t>(),
            ),
        )*];
    };
}

/// A pointer to a field, for its type.
macro_rules! pointer_to {
    ($s:ident . $first:ident $(. $rest:ident)*) => {{
        let value = core::mem::MaybeUninit::<bindings::$s>::uninit();
        // SAFETY: `value` is large enough for the field, of which only the address is taken.
        unsafe { &raw const (*value.as_ptr()).$first $(. $rest)* }
    }};
}

macro_rules! used_by_helpers {
    ($($s:ident . $first:ident $(. $rest:ident)*;)*) => {
        const HELPERS: &[kvm_nvmx_layout] = &[$(
            line(
                name!($s . $first $(. $rest)*),
                offset_of!(bindings::$s, $first $(. $rest)*),
                size_behind(pointer_to!($s . $first $(. $rest)*)),
            ),
        )*];
    };
}

macro_rules! sizes {
    ($($s:ident;)*) => {
        const SIZES: &[kvm_nvmx_layout] = &[$(
            line(concat!(stringify!($s), "\0"), 0, size_of::<bindings::$s>()),
        )*];
    };
}

macro_rules! numbers {
    ($($number:ident;)*) => {
        kernel::macros::paste! {
            const NUMBERS: &[kvm_nvmx_layout] = &[$(
                line(
                    concat!(stringify!($number), "\0"),
                    bindings::[<NVMX_ $number>] as usize,
                    0,
                ),
            )*];
        }
    };
}
