// SPDX-License-Identifier: GPL-2.0

//! A buffer on the stack that C or a loop fills. It is not zeroed first, to save time.

use core::{
    mem::MaybeUninit,
    slice, //
};

/// Room for `N` words.
pub(crate) struct Words<const N: usize>([MaybeUninit<u64>; N]);

impl<const N: usize> Words<N> {
    /// An empty buffer.
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
        // SAFETY: `len.min(N)` words are in the buffer, and the caller promises that they have
        // values.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), len.min(N)) }
    }

    /// The first `len` words of `first` and `then`, one after the other; `None` if there are not as
    /// many, or no room for them.
    pub(super) fn fill(&mut self, first: [u64; 2], then: &[u64], len: usize) -> Option<&mut [u64]> {
        if len > first.len().checked_add(then.len())? {
            return None;
        }
        let words = self.0.get_mut(..len)?;

        for (word, value) in words.iter_mut().zip(first) {
            word.write(value);
        }
        for (word, &value) in words.iter_mut().skip(first.len()).zip(then) {
            word.write(value);
        }
        // SAFETY: The loops above have written `len` words.
        Some(unsafe { self.written(len) })
    }
}
