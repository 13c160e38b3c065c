// SPDX-License-Identifier: GPL-2.0

//! Keeps the translations of several vpid12s at a time, each under a hardware VPID of its own
//! (rules V1, V4, V5, V7, V15).
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
//! This needs EPT (V7). With EPT, a change of KVM's page tables requires INVEPT, which reaches the
//! combined mappings of all VPIDs. Without EPT, it requires INVVPID of each VPID that may tag a
//! translation, and KVM's C code knows only two of them.

use super::{
    invalidate::VpidScope,
    types::Caps, //
};

/// The owner of a pair that has none. No vpid12 is 0, as VM entry fails for a vmcs12 that uses
/// VPIDs and has VPID 0.
pub(crate) const NOBODY: u16 = 0;

/// Of how many entries that find no pair one takes a parked pair from its owner.
const TURNS: u16 = 8;

/// V7: whether pairs may be parked on this CPU, with kvm_intel's parameters as they are.
pub(crate) const fn may_park(caps: Caps) -> bool {
    caps.has(Caps::EPT) && caps.has(Caps::VPID)
}

/// What an entry with another vpid12 than `last_vpid` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// V1: this parked pair has the vpid12's translations. It and the pair in use change places.
    Keep(usize),
    /// V4: this parked pair and the pair in use change places, and the new pair in use is flushed.
    Take(usize),
    /// T4: the pair in use is flushed.
    InUse,
    /// Park one more VPID, without an owner, and ask again; or, if there is none to be had, ask
    /// again with no more slots than there are pairs.
    Grow,
}

/// V1, V4, V15: which pair an entry of `vpid12` gets, which `last_vpid` does not own.
///
/// `owners` are the parked pairs'. `slots` is how many pairs the vCPU may have. `misses` is how
/// many entries have found no pair so far.
///
/// An owner loses its pair only if there is no other way. It is then that of the pair in use, i.e.
/// the vpid12 that ran last: of more vpid12s in turn than slots, those that are parked keep their
/// pairs, while the least recently used one would be the next to be needed. One of [`TURNS`] times
/// it is a parked one, in turn, so that a vpid12 that L1 no longer uses does not stay.
#[inline]
pub(crate) fn choose(
    vpid12: u16,
    last_vpid: u16,
    owners: impl Iterator<Item = u16>,
    slots: usize,
    misses: u16,
) -> Choice {
    let mut free = None;
    let mut parked = 0;

    for (number, owner) in owners.enumerate() {
        if owner == vpid12 {
            return Choice::Keep(number);
        }
        if owner == NOBODY && free.is_none() {
            free = Some(number);
        }
        parked += 1;
    }
    match free {
        _ if last_vpid == NOBODY => Choice::InUse,
        Some(number) => Choice::Take(number),
        None if parked + 1 < slots => Choice::Grow,
        None => evict(parked, misses),
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
    /// One address is invalidated at once. The pair keeps its owner.
    FlushAddress,
}

/// V5: what L1's INVVPID does to a parked pair that `owner` owns.
///
/// `here` says that vmcs02 was last loaded on this CPU. If so, no other CPU has translations that
/// the vCPU could use later: a vCPU that comes back to a CPU flushes everything there (H9).
#[inline]
pub(crate) fn invvpid_of_parked(scope: VpidScope, owner: u16, here: bool) -> Parked {
    if owner == NOBODY || !scope.names(owner) {
        Parked::Nothing
    } else if here && matches!(scope, VpidScope::Address(..)) {
        Parked::FlushAddress
    } else {
        Parked::Forget
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
