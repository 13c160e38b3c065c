// SPDX-License-Identifier: GPL-2.0

//! How C reads a flush call: `kvm_hv_hypercall()` and `kvm_hv_flush_tlb()` of Linux 7.3.
//!
//! The memory after the input is there, so no read fails.

use crate::call::Call;

/// HV_STATUS_INVALID_HYPERCALL_INPUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// KVM_HV_MAX_SPARSE_VCPU_SET_BITS: banks of a set that C reads. It has no more vCPUs.
const BANKS: u16 = 16;
/// Entries that fit in a queue, but for the last one.
const RANGES: u16 = 15;

/// What C has read.
pub(crate) struct Read {
    pub(crate) all: bool,
    valid: u64,
    banks: Vec<u64>,
    /// `None`: everything.
    pub(crate) ranges: Option<Vec<u64>>,
}

impl Read {
    /// hv_is_vp_in_sparse_set(), and the flag for all.
    pub(crate) fn names(&self, vp: u32) -> bool {
        let bank = vp / 64;

        self.all
            || (bank < 64 && self.valid >> bank & 1 != 0) && {
                let before = (self.valid & ((1 << bank) - 1)).count_ones() as usize;
                self.banks
                    .get(before)
                    .is_some_and(|mask| mask >> (vp % 64) & 1 != 0)
            }
    }
}

/// kvm_hv_hypercall(): the call comes to the hook.
pub(crate) fn reaches_the_hook(call: &Call) -> bool {
    let (idx, cnt) = (call.rep_idx(), call.rep_cnt());

    match call.code() {
        _ if call.control & RESERVED != 0 => false,
        0x02 => call.var_cnt() == 0 && cnt == 0 && idx == 0,
        0x03 => call.var_cnt() == 0 && cnt != 0 && idx == 0,
        0x13 => cnt == 0 && idx == 0,
        0x14 => cnt != 0 && idx == 0,
        _ => false,
    }
}

/// HV_HYPERCALL_RSVD_MASK. "Is Nested", bit 31, is one of them.
const RESERVED: u64 = 0xf << 60 | 0xf << 44 | 0x1f << 27;

/// kvm_hv_flush_tlb().
pub(crate) fn read(call: &Call) -> Result<Read, Refused> {
    let [_, flags, third, fourth] = *call.words.first_chunk().expect("there are more words");
    let mut read = Read {
        all: false,
        valid: 1,
        banks: vec![third],
        ranges: None,
    };
    let mut offset = 3;

    if call.is_ex() {
        offset = 4;
        read.all = third != 0;
        read.valid = fourth;
        read.banks.clear();
        if u32::from(call.var_cnt()) != fourth.count_ones() {
            return Err(Refused);
        }
        if !read.all && call.var_cnt() == 0 && flags & 1 == 0 {
            // C ends here, with the flag for all, too (X2): then its ranges are still to be read.
            read.ranges = Some(Vec::new());
            return Ok(read);
        }
        if !read.all {
            read.banks = data(call, offset, call.var_cnt(), BANKS)?;
        }
        offset += call.var_cnt();
    } else {
        read.all = flags & 1 != 0 || third == 0;
    }
    if call.is_list() && call.rep_cnt() <= RANGES {
        read.ranges = Some(data(call, offset, call.rep_cnt(), RANGES)?);
    }
    Ok(read)
}

/// kvm_hv_get_hc_data(). The registers' first two words are not in XMM registers.
fn data(call: &Call, offset: u16, count: u16, cap: u16) -> Result<Vec<u64>, Refused> {
    let first = usize::from(offset);

    if call.is_fast() && i32::from(count) > 12 - (i32::from(offset) - 2) {
        return Err(Refused);
    }
    Ok(call.words[first..first + usize::from(count.min(cap))].to_vec())
}
