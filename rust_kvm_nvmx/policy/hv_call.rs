// SPDX-License-Identifier: GPL-2.0

//! What a flush hypercall asks for (rules E2, E5 to E7, E9, E17, X2, X5).
//!
//! The four calls (TLFS, `HvCallFlushVirtualAddressSpace[Ex]`, `HvCallFlushVirtualAddressList[Ex]`)
//! have their input as 8-byte words in the same order, be it in one page of memory ("slow") or in
//! RDX, R8 and XMM0 to XMM5 ("fast"):
//!
//! ```text
//! space, flags, processor mask,                         range, range, ...
//! space, flags, format, valid banks, bank, bank, ...    range, range, ...     (Ex)
//! ```
//!
//! The control word says how many words there are. The numbers are checked first ([`Shape`]). Then
//! the words are read once, into one buffer, and parsed in full ([`Shape::split`],
//! [`Shape::parse`]). Nothing is flushed before that.

use core::iter;

use super::{
    hv_ranges::Queued,
    options::Options, //
};

/// The status of a call, bits 15:0 of its result (TLFS, "Hypercall Status Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Status {
    /// HV_STATUS_INVALID_HYPERCALL_INPUT.
    InvalidInput = 3,
    /// HV_STATUS_INVALID_ALIGNMENT.
    InvalidAlignment = 4,
}

// Call codes (TLFS, "Hypercall Reference").
const FLUSH_SPACE: u16 = 0x0002;
const FLUSH_LIST: u16 = 0x0003;
const FLUSH_SPACE_EX: u16 = 0x0013;
const FLUSH_LIST_EX: u16 = 0x0014;

// Flags.
const ALL_PROCESSORS: u64 = 1 << 0;
const EXTENDED_RANGES: u64 = 1 << 3;

/// The format of a processor set that lists banks. Any other format means all processors (E6).
const SPARSE_4K: u64 = 0;
/// Banks that a set can have, of 64 processors each.
const MAX_BANKS: usize = 64;
/// Ranges that can be queued; a call with more flushes everything (E7).
pub(crate) const MAX_RANGES: usize = 15;
/// The most words of a call that matter.
pub(crate) const MAX_WORDS: usize = 4 + MAX_BANKS + MAX_RANGES;
/// Words in RDX, R8 and the six XMM registers.
pub(crate) const FAST_WORDS: usize = 2 + 2 * 6;

const WORD: u64 = 8;
const PAGE: u64 = 4096;

/// What a call's control word says of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    ex: bool,
    list: bool,
    banks: usize,
    ranges: usize,
}

/// The code is one of the four flush calls.
#[inline]
fn is_flush(code: u16) -> bool {
    matches!(
        code,
        FLUSH_SPACE | FLUSH_LIST | FLUSH_SPACE_EX | FLUSH_LIST_EX
    )
}

/// Bits 31:0 of a call's control word (TLFS, "Hypercall Inputs").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control(pub(crate) u32);

impl Control {
    /// E2: the call is a flush.
    #[inline]
    pub(crate) fn is_flush(self) -> bool {
        // The code is bits 15:0.
        is_flush(self.0 as u16)
    }

    /// E2: "Is Nested": the call is not for the hypervisor that runs the caller, but for the one
    /// below.
    #[inline]
    pub(crate) fn is_nested(self) -> bool {
        self.0 & 1 << 31 != 0
    }
}

impl Shape {
    /// The shape of a call with `code`, `var_cnt` words of variable header and `rep_cnt` ranges.
    ///
    /// [`Status::InvalidInput`] for another code, a variable header where there is none, or more
    /// banks than a set has. (KVM refuses most of these before it comes here, E14.)
    #[inline]
    pub(crate) fn new(code: u16, var_cnt: u16, rep_cnt: u16) -> Result<Self, Status> {
        let shape = Self {
            ex: matches!(code, FLUSH_SPACE_EX | FLUSH_LIST_EX),
            list: matches!(code, FLUSH_LIST | FLUSH_LIST_EX),
            banks: usize::from(var_cnt),
            ranges: usize::from(rep_cnt),
        };
        let most = if shape.ex { MAX_BANKS } else { 0 };

        if !is_flush(code) || shape.banks > most {
            return Err(Status::InvalidInput);
        }
        Ok(shape)
    }

    /// Words before the banks and ranges.
    fn header(self) -> usize {
        if self.ex {
            4
        } else {
            3
        }
    }

    /// Words with that many ranges. This cannot overflow: the parts have 16 bits at most.
    fn words_with(self, ranges: usize) -> usize {
        self.header().wrapping_add(self.banks).wrapping_add(ranges)
    }

    /// Words of the whole input.
    fn words(self) -> usize {
        self.words_with(if self.list { self.ranges } else { 0 })
    }

    /// E7: everything must be flushed, whatever the ranges are.
    fn flushes_everything(self) -> bool {
        !self.list || self.ranges > MAX_RANGES
    }

    /// Words that must be read, at most [`MAX_WORDS`].
    #[inline]
    pub(crate) fn words_to_read(self) -> usize {
        self.words_with(if self.flushes_everything() {
            0
        } else {
            self.ranges
        })
    }

    /// X5: the input may be at guest-physical address `gpa`: it is aligned, and all of it is in one
    /// page. The next page need not be the guest's. (TLFS, "Hypercall Inputs".)
    #[inline]
    pub(crate) fn may_lie_at(self, gpa: u64) -> Result<(), Status> {
        let end = (self.words() as u64)
            .wrapping_mul(WORD)
            .wrapping_add(gpa % PAGE);

        if gpa % WORD != 0 || end > PAGE {
            return Err(Status::InvalidAlignment);
        }
        Ok(())
    }

    /// E5: the input fits in the registers.
    #[inline]
    pub(crate) fn fits_registers(self) -> Result<(), Status> {
        if self.words() > FAST_WORDS {
            return Err(Status::InvalidInput);
        }
        Ok(())
    }

    /// Splits `words`, the call's [`Shape::words_to_read`] words, into the header and the others.
    #[inline]
    pub(crate) fn split(self, words: &mut [u64]) -> Result<(Header, &mut [u64]), Status> {
        if words.len() != self.words_to_read() {
            return Err(Status::InvalidInput);
        }
        let (header, rest) = words
            .split_at_mut_checked(self.header())
            .ok_or(Status::InvalidInput)?;

        Ok((Header::new(header).ok_or(Status::InvalidInput)?, rest))
    }

    /// E5 to E7: what the call asks for. `header` and `rest` are what [`Shape::split`] gave.
    ///
    /// [`Status::InvalidInput`] if a set has not as many banks as its mask of valid banks says.
    #[inline]
    pub(crate) fn parse(
        self,
        header: Header,
        rest: &mut [u64],
        options: Options,
    ) -> Result<Call<'_>, Status> {
        let (banks, ranges) = rest
            .split_at_mut_checked(self.banks)
            .ok_or(Status::InvalidInput)?;

        Ok(Call {
            targets: header.targets(banks)?,
            what: if self.flushes_everything() {
                Queued::Everything
            } else {
                Queued::new(ranges, header.flags & EXTENDED_RANGES != 0, options)
            },
        })
    }
}

/// The fixed words of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The address space. KVM flushes all of them, because it may not know a running vCPU's CR3.
    pub(crate) space: u64,
    /// HV_FLUSH_*.
    pub(crate) flags: u64,
    /// Which processors to flush.
    pub(crate) processors: Processors,
}

/// The fixed words that say which processors to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processors {
    /// Processors 0 to 63.
    Mask(u64),
    /// A set, whose banks follow the header.
    Set {
        /// How to read it.
        format: u64,
        /// The banks that are present.
        valid: u64,
    },
}

impl Header {
    /// `None` unless `words` are the three or four that a header has.
    fn new(words: &[u64]) -> Option<Self> {
        let (space, flags, processors) = match *words {
            [space, flags, mask] => (space, flags, Processors::Mask(mask)),
            [space, flags, format, valid] => (space, flags, Processors::Set { format, valid }),
            _ => return None,
        };

        Some(Self {
            space,
            flags,
            processors,
        })
    }

    /// E6, X2: which processors to flush.
    fn targets(self, banks: &[u64]) -> Result<Targets<'_>, Status> {
        let all = self.flags & ALL_PROCESSORS != 0;

        match self.processors {
            // Windows Server 2012 sends an empty mask and expects all to be flushed.
            Processors::Mask(mask) if all || mask == 0 => Ok(Targets::All),
            Processors::Mask(mask) => Ok(Targets::Mask(mask)),
            Processors::Set { valid, .. } if valid.count_ones() as usize != banks.len() => {
                Err(Status::InvalidInput)
            }
            Processors::Set { format, .. } if all || format != SPARSE_4K => Ok(Targets::All),
            Processors::Set { valid, .. } => Ok(Targets::Sparse { valid, banks }),
        }
    }
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    /// Which processors to flush.
    pub(crate) targets: Targets<'a>,
    /// What to flush there.
    pub(crate) what: Queued<'a>,
}

/// Virtual processors, by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Targets<'a> {
    /// All of them.
    All,
    /// Processors 0 to 63.
    Mask(u64),
    /// `banks` has one word for each bit that is set in `valid`, in ascending order.
    Sparse {
        /// The banks that are present.
        valid: u64,
        /// 64 processors each.
        banks: &'a [u64],
    },
}

impl<'a> Targets<'a> {
    /// Processors 64 * `bank` to 64 * `bank` + 63.
    #[inline]
    pub(crate) fn bank(&self, bank: u32) -> u64 {
        match *self {
            Self::All => u64::MAX,
            Self::Mask(mask) if bank == 0 => mask,
            Self::Mask(_) => 0,
            Self::Sparse { valid, banks } => {
                let Some(bit) = 1u64.checked_shl(bank).filter(|bit| valid & bit != 0) else {
                    return 0;
                };
                let before = (valid & bit.wrapping_sub(1)).count_ones() as usize;

                banks.get(before).copied().unwrap_or(0)
            }
        }
    }

    /// Processor `vp` is among them.
    #[inline]
    pub(crate) fn contains(&self, vp: u32) -> bool {
        self.bank(vp / 64) >> (vp % 64) & 1 != 0
    }

    /// E17: all of them, in no order. For [`Targets::All`] these are 4,096, so avoid it.
    pub(crate) fn indexes(self) -> impl Iterator<Item = usize> + use<'a> {
        let banks = match self {
            Self::All => u64::MAX,
            Self::Mask(_) => 1,
            Self::Sparse { valid, .. } => valid,
        };

        set_bits(banks).flat_map(move |bank| {
            set_bits(self.bank(bank)).map(move |bit| (bank << 6 | bit) as usize)
        })
    }
}

/// The numbers of the bits that are set, the highest first.
#[inline(always)]
pub(super) fn set_bits(mut bits: u64) -> impl Iterator<Item = u32> {
    iter::from_fn(move || {
        let bit = bits.checked_ilog2()?;
        bits ^= 1 << bit;
        Some(bit)
    })
}

/// E9: the result of a successful call: status 0, and all ranges are complete.
#[inline]
pub(crate) fn result_of_success(rep_cnt: u16) -> u64 {
    u64::from(rep_cnt) << 32
}

/// The result of a failed call: the status, and no range is complete.
#[inline]
pub(crate) fn result_of_failure(status: Status) -> u64 {
    status as u64
}
