// SPDX-License-Identifier: GPL-2.0

//! A buffer on the stack that C or a loop fills: nothing is spent on zeroing it first.

use core::{
    mem::MaybeUninit,
    slice, //
};

/// Room for `N` words.
pub(crate) struct Words<const N: usize>([MaybeUninit<u64>; N]);

impl<const N: usize> Words<N> {
    /// With nothing in it.
    pub(crate) fn new() -> Self {
        Self([MaybeUninit::uninit(); N])
    }

    /// Where to write the words; nothing but words may be written there.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u64 {
        self.0.as_mut_ptr().cast()
    }

    /// The first `len` words, or all if it has fewer.
    ///
    /// # Safety
    ///
    /// They have been written.
    pub(super) unsafe fn written(&mut self, len: usize) -> &mut [u64] {
        // SAFETY: There are that many, and by the caller's promise they have values.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), len.min(N)) }
    }

    /// The first `len` words of `first` and `then`, one after the other; `None` if there are not as
    /// many, or no room for them.
    pub(super) fn fill<const FIRST: usize>(
        &mut self,
        first: [u64; FIRST],
        then: &[u64],
        len: usize,
    ) -> Option<&mut [u64]> {
        if len > FIRST.checked_add(then.len())? {
            return None;
        }
        let words = self.0.get_mut(..len)?;

        for (word, value) in words.iter_mut().zip(first) {
            word.write(value);
        }
        for (word, &value) in words.iter_mut().skip(FIRST).zip(then) {
            word.write(value);
        }
        // SAFETY: Just written, all of them.
        Some(unsafe { self.written(len) })
    }
}
