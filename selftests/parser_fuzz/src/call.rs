// SPDX-License-Identifier: GPL-2.0

//! A flush call as a guest makes it.

use crate::policy::hv_call::MAX_WORDS;

/// Words in RDX, R8 and XMM0 to XMM5.
pub(crate) const REGISTERS: usize = 14;

/// The call's registers, and the memory from the address of its input on.
pub(crate) struct Call {
    /// TLFS, "Hypercall Inputs".
    pub(crate) control: u64,
    /// Where the input of a slow call is.
    pub(crate) gpa: u64,
    /// The input and what follows it.
    pub(crate) words: [u64; MAX_WORDS],
}

impl Call {
    /// Each 8 bytes are a word; what is missing is 0.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut all = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let mut next = || all.next().unwrap_or(0);

        Self {
            control: next(),
            gpa: next(),
            words: [(); MAX_WORDS].map(|()| next()),
        }
    }

    pub(crate) fn code(&self) -> u16 {
        self.control as u16
    }

    pub(crate) fn is_fast(&self) -> bool {
        self.control >> 16 & 1 != 0
    }

    /// Bits 26:17.
    pub(crate) fn var_cnt(&self) -> u16 {
        (self.control >> 17 & 0x3ff) as u16
    }

    /// Bits 43:32.
    pub(crate) fn rep_cnt(&self) -> u16 {
        (self.control >> 32 & 0xfff) as u16
    }

    /// Bits 59:48.
    pub(crate) fn rep_idx(&self) -> u16 {
        (self.control >> 48 & 0xfff) as u16
    }

    /// The call has a list of ranges.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.code(), 0x03 | 0x14)
    }

    /// The call has a set of processors.
    pub(crate) fn is_ex(&self) -> bool {
        matches!(self.code(), 0x13 | 0x14)
    }

    /// Words of the whole input, as the TLFS counts them.
    pub(crate) fn input_words(&self) -> u64 {
        let ranges = if self.is_list() { self.rep_cnt() } else { 0 };

        u64::from(3 + u16::from(self.is_ex())) + u64::from(self.var_cnt()) + u64::from(ranges)
    }
}
