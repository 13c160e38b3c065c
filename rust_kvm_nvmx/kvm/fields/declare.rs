// SPDX-License-Identifier: GPL-2.0

//! A field of a structure of C's as a constant, and the macros that declare such constants.

use core::marker::PhantomData;

use crate::kvm::bindings::kvm_nvmx_layout;

/// A field of type `T` in a structure `S` of C's.
///
/// # Invariants
///
/// There is a `T` at `offset` in each `S`. While a hook runs for a vCPU, only the thread of that
/// vCPU writes this field of the vCPU's structures. If it is a number that this module sets, no
/// other thread reads it either.
pub(in crate::kvm) struct Field<S, T> {
    pub(super) offset: usize,
    pub(super) _types: PhantomData<(*const S, *const T)>,
}

/// A field that any thread may write at any time.
///
/// # Invariants
///
/// There is an aligned `T` at `offset` in each `S`.
pub(in crate::kvm) struct SharedField<S, T> {
    pub(super) offset: usize,
    pub(super) _types: PhantomData<(*const S, *const T)>,
}

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

impl<S, T> Clone for Field<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for Field<S, T> {}

impl<S, T> Clone for SharedField<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for SharedField<S, T> {}

impl<S, T> Field<S, T> {
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
    pub(in crate::kvm) const fn then<U>(self, inner: Field<T, U>) -> Field<S, U> {
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

impl<S, T, const N: usize> Field<S, [T; N]> {
    /// Element `number` of the array; `None` if it has no such element.
    #[inline(always)]
    pub(in crate::kvm) const fn at(self, number: usize) -> Option<Field<S, T>> {
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

impl<S, T, const N: usize> SharedField<S, [T; N]> {
    /// Element `number` of the array; `None` if it has no such element.
    #[inline(always)]
    pub(in crate::kvm) const fn at(self, number: usize) -> Option<SharedField<S, T>> {
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

impl<S, T> SharedField<S, T> {
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
macro_rules! parts {
    ($(
        $(#[$doc:meta])*
        $kind:ident $constant:ident: $s:ident . $first:ident $(. $rest:ident)* as $t:ty;
    )*) => {
        $(
            $(#[$doc])*
            // INVARIANT: `offset_of!` finds the field, the assertion compares its size, and
            // `SharedField::new` checks its alignment.
            pub(super) const $constant: $kind<bindings::$s, $t> = {
                assert!(size_of::<$t>() == size_in!($s . $first $(. $rest)*));
                $kind::new(offset_of!(bindings::$s, $first $(. $rest)*))
            };
        )*
    };
}

/// Constants for fields, and a line for each.
macro_rules! fields {
    ($(
        $(#[$doc:meta])*
        $kind:ident $constant:ident: $s:ident . $first:ident $(. $rest:ident)* as $t:ty;
    )*) => {
        parts! {
            $(
                $(#[$doc])*
                $kind $constant: $s . $first $(. $rest)* as $t;
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

/// The size of a field.
macro_rules! size_in {
    ($s:ident . $first:ident $(. $rest:ident)*) => {{
        let value = core::mem::MaybeUninit::<bindings::$s>::uninit();
        // SAFETY: `value` is large enough for the field, of which only the address is taken.
        size_behind(unsafe { &raw const (*value.as_ptr()).$first $(. $rest)* })
    }};
}

macro_rules! used_by_helpers {
    ($($s:ident . $first:ident $(. $rest:ident)*;)*) => {
        const HELPERS: &[kvm_nvmx_layout] = &[$(
            line(
                name!($s . $first $(. $rest)*),
                offset_of!(bindings::$s, $first $(. $rest)*),
                size_in!($s . $first $(. $rest)*),
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
