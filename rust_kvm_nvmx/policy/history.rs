// SPDX-License-Identifier: GPL-2.0

//! Keeps the translations of several vpid12s at a time, each under a hardware VPID of its own
//! (rules V1, V4, V5, V7 to V10, V15, V19).
//!
//! KVM's C code runs all L2s of a vCPU on one hardware VPID, and flushes it whenever L1 enters an
//! L2 with another vpid12 than the last one (T4). Here a vCPU has several *pairs*. A pair is a
//! hardware VPID and its owner: the vpid12 whose translations the VPID may tag.
//!
//! - One pair is in use: KVM's own `vpid02` and `last_vpid`. All other rules are about this pair,
//!   and need not know that there are others. Whatever clears `last_vpid` takes its owner from it.
//! - The others are parked. No L2 runs on their VPIDs, so no new translations come under them.
//! - A pair without an owner is flushed before an L2 runs on it.
//!
//! If an entry finds its vpid12 among the owners of the parked pairs, that pair and the one in use
//! change places, and nothing is flushed. If L1 executes INVVPID for the owner of a parked pair,
//! the pair loses its owner, and nothing is flushed until it is used again.
//!
//! An L2 on an enlightened VMCS may make flush calls for other L2s of its VM, and KVM looks for
//! them among the L2s that run. So each call is counted, and a pair remembers the count of the time
//! when its L2 last left the CPU. If it is another one when the L2 comes back, or if its ids are
//! others, the pair is flushed (V9, V10).
//!
//! This needs EPT (V7). With EPT, a change of KVM's page tables requires INVEPT, which reaches the
//! combined mappings of all VPIDs. Without EPT, it requires INVVPID of each VPID that may tag a
//! translation, and KVM's C code knows only two of them.

use super::{
    hv_call::{
        set_bits,
        Targets, //
    },
    invalidate::VpidScope,
    types::{
        Caps,
        Gva, //
    },
};

/// The L2 that a pair's translations are of, as other vCPUs name it in flush calls (V10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// On an ordinary VMCS: no flush call names it.
    Nobody,
    /// On an enlightened VMCS whose ids KVM has not read: any flush call may mean it (X8).
    Unknown,
    /// By its ids.
    Ids {
        /// The VM id.
        vm: u64,
        /// The VP id.
        vp: u32,
    },
}

/// [`Rest::calls`] if calls may have been missed.
const MISSED: u64 = u64::MAX;

/// What is known of the L2 that a pair's translations are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Which L2 it is.
    pub(crate) named: Named,
    /// How many flush calls there were for it when it last left the CPU.
    calls: u64,
}

impl Rest {
    /// An L2 that runs. Until it leaves the CPU, calls for it are in its queue (E8).
    #[inline]
    pub(crate) const fn running(named: Named) -> Self {
        Self {
            named,
            calls: MISSED,
        }
    }

    /// V8, V9: an L2 that has just exited, with its ids still in place.
    ///
    /// If a call was under way when the counts were read, it may find the ids or not. If the queue
    /// was not empty afterwards, it has what a finished call queued.
    #[inline]
    pub(crate) const fn at_exit(named: Named, seen: Calls, queue_is_empty: bool) -> Self {
        Self {
            named,
            calls: if seen.under_way || !queue_is_empty {
                MISSED
            } else {
                seen.count
            },
        }
    }

    /// From KVM's fields.
    pub(crate) const fn from_fields(named: Named, calls: u64) -> Self {
        Self { named, calls }
    }

    /// For KVM's field.
    pub(crate) const fn calls(self) -> u64 {
        self.calls
    }

    /// V9, V10: whether a pair's translations are still right for an entry of the L2 `entering`.
    /// `now` gives the counts of the calls for ids, read after they were in place.
    #[inline]
    pub(crate) fn missed_nothing(
        self,
        entering: Named,
        now: impl FnOnce(u64, u32) -> Calls,
    ) -> bool {
        match (self.named, entering) {
            (Named::Nobody, Named::Nobody) => true,
            (Named::Ids { .. }, Named::Ids { vm, vp }) if self.named == entering => {
                self.calls != MISSED && self.calls == now(vm, vp).count
            }
            _ => false,
        }
    }
}

/// V9: how many flush calls of L2s there were so far for what an L2 is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    /// All that have begun.
    pub(crate) count: u64,
    /// Some of them have not ended.
    pub(crate) under_way: bool,
}

impl Calls {
    /// Bits 15:0 of a word are the calls that are under way, the others those that have begun.
    const SHIFT: u32 = 16;
    const BEGUN: u64 = 1 << Self::SHIFT;

    /// What a call adds to each of its words before it looks for targets.
    pub(crate) const BEGIN: u64 = Self::BEGUN + 1;

    /// What a call takes from each of its words when all targets have their entries and requests.
    pub(crate) const END: u64 = 1;

    /// Of an L2 that both words are for.
    #[inline]
    pub(crate) const fn of(one: u64, all: u64) -> Self {
        Self {
            count: (one >> Self::SHIFT) + (all >> Self::SHIFT),
            under_way: (one | all) % Self::BEGUN != 0,
        }
    }
}

/// Words for single virtual processors.
const ONES: usize = u64::BITS as usize;
/// Words for all virtual processors of a VM.
const ALLS: usize = 16;
/// All words.
pub(crate) const WORDS: usize = ONES + ALLS;
/// A call that has more words than this counts as one for all of the VM.
const FEW: u32 = 8;

/// The word that counts calls for one virtual processor. Others may share it, which costs a flush.
#[inline]
pub(crate) const fn word_of_one(vm: u64, vp: u32) -> usize {
    (mix(vm) as usize).wrapping_add(vp as usize) % ONES
}

/// The word that counts calls for all virtual processors of a VM.
#[inline]
pub(crate) const fn word_of_all(vm: u64) -> usize {
    ONES + (mix(vm) >> 8) as usize % ALLS
}

/// Fibonacci hashing: multiplication by 2^64 divided by the golden ratio.
pub(super) const fn mix(vm: u64) -> u64 {
    vm.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// V9: the words that count a call: one for each processor that it names, or one for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallWords {
    /// The number of the word that bit 0 stands for.
    first: usize,
    /// A bit for each word.
    bits: u64,
}

impl CallWords {
    /// Those of a call of the VM `vm` for `targets`.
    #[inline]
    pub(crate) fn of(vm: u64, targets: &Targets<'_>) -> Self {
        let processors = match *targets {
            Targets::All => u64::MAX,
            Targets::Mask(mask) => mask,
            // All banks have the same words.
            Targets::Sparse { banks, .. } => banks.iter().fold(0, |all, bank| all | bank),
        };

        if processors.count_ones() > FEW {
            Self {
                first: word_of_all(vm),
                bits: 1,
            }
        } else {
            Self {
                first: 0,
                bits: processors.rotate_left(word_of_one(vm, 0) as u32),
            }
        }
    }

    /// Their numbers.
    #[inline(always)]
    pub(crate) fn numbers(self) -> impl Iterator<Item = usize> {
        set_bits(self.bits).map(move |bit| self.first.wrapping_add(bit as usize))
    }
}

/// The owner of a pair that has none. No vpid12 is 0, as VM entry fails for a vmcs12 that uses
/// VPIDs and has VPID 0.
pub(crate) const NOBODY: u16 = 0;

/// One of this many entries that find no pair takes a parked pair from its owner.
const TURNS: u16 = 8;

/// V7: whether pairs may be parked on this CPU, with kvm_intel's parameters as they are.
pub(crate) const fn may_park(caps: Caps) -> bool {
    caps.has(Caps::EPT) && caps.has(Caps::VPID)
}

/// V1: the parked pair that `vpid12` owns. It and the pair in use change places.
#[inline(always)]
pub(crate) fn find(vpid12: u16, mut owners: impl Iterator<Item = u16>) -> Option<usize> {
    owners.position(|owner| owner == vpid12)
}

/// V19: the parked pair that the owner of the pair in use owns, too. It loses its owner.
///
/// No entry makes one. But without pairs, any vpid12 may come to own the pair in use (V14). Then
/// the twin is empty, since everything was flushed meanwhile. It must not be found later: an L2's
/// own INVLPG and MOV to CR3 reach the pair that it runs on, and no other.
#[inline(always)]
pub(crate) fn twin(in_use: u16, owners: impl Iterator<Item = u16>) -> Option<usize> {
    if in_use == NOBODY {
        return None;
    }
    find(in_use, owners)
}

/// What an entry does whose vpid12 owns no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// V4: this parked pair and the pair in use change places, and the new pair in use is flushed.
    Take(usize),
    /// T4: the pair in use is flushed.
    InUse,
    /// Park one more VPID, without an owner, and ask again; or, if there is none to be had, ask
    /// again with no more slots than there are pairs.
    Grow,
}

/// V4, V15: which pair a vpid12 gets that owns none.
///
/// `owners` are the parked pairs', and `last_vpid` owns the pair in use. `slots` is how many pairs
/// the vCPU may have. `misses` is how many entries have found no pair so far.
///
/// An owner loses its pair only if there is no other way. It is then that of the pair in use, i.e.
/// the vpid12 that ran last. If L1 runs more vpid12s in turn than there are slots, the parked ones
/// stay useful so, while the least recently used one is the next that is needed. One of [`TURNS`]
/// times a parked one loses its pair, in turn. So a vpid12 that L1 no longer uses does not stay.
#[inline]
pub(crate) fn choose(
    last_vpid: u16,
    owners: impl Iterator<Item = u16>,
    slots: usize,
    misses: u16,
) -> Choice {
    if last_vpid == NOBODY {
        return Choice::InUse;
    }
    let mut parked = 0;

    for (number, owner) in owners.enumerate() {
        if owner == NOBODY {
            return Choice::Take(number);
        }
        parked = number + 1;
    }
    if parked + 1 < slots {
        Choice::Grow
    } else {
        evict(parked, misses)
    }
}

#[inline]
fn evict(parked: usize, misses: u16) -> Choice {
    if misses % TURNS != TURNS - 1 {
        return Choice::InUse;
    }
    usize::from(misses / TURNS)
        .checked_rem(parked)
        .map_or(Choice::InUse, Choice::Take)
}

/// V5: what L1's INVVPID does to a parked pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// The INVVPID does not name the pair's owner.
    Nothing,
    /// The pair loses its owner. Its next use flushes it, on the CPU that then matters.
    Forget,
    /// This address is invalidated at once. The pair keeps its owner.
    FlushAddress(Gva),
}

/// V5: what L1's INVVPID does to a parked pair that `owner` owns.
///
/// `here` says that vmcs02 was last loaded on this CPU. If so, no other CPU has translations that
/// the vCPU could use later: a vCPU that comes back to a CPU flushes everything there (H9).
#[inline]
pub(crate) fn invvpid_of_parked(scope: VpidScope, owner: u16, here: bool) -> Parked {
    match scope {
        _ if owner == NOBODY || !scope.names(owner) => Parked::Nothing,
        VpidScope::Address(_, gva) if here => Parked::FlushAddress(gva),
        _ => Parked::Forget,
    }
}

/// V5: whether L1's INVVPID concerns the pair in use.
///
/// A pair that the INVVPID does not name has none of the translations that it must drop. A pair
/// without an owner is flushed before it is used.
#[inline]
pub(crate) fn invvpid_concerns_pair_in_use(scope: VpidScope, last_vpid: u16) -> bool {
    last_vpid != NOBODY && scope.names(last_vpid)
}
