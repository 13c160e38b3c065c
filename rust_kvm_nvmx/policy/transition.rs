// SPDX-License-Identifier: GPL-2.0

//! Which flush a nested VM entry, VM exit or VMFUNC requires, and the VPID that L2 runs with (rules
//! T1 to T5, T8, T11 and V16).
//!
//! There is a function for each question. A caller asks those that apply, in this order: T1, T3, T4
//! and its record of the new owner, then the flush (T2, T4, T5), then the VPID (T8).

use super::{
    options::Options,
    types::{
        Caps,
        Request,
        Vpid, //
    },
};

/// T1: whether the queue of Hyper-V flushes of the level that becomes active must be handled.
///
/// One request stands for both levels, but each level has a queue. What was queued for the level
/// that was not active is still there. Without EPT, a request flushes all translations of both
/// levels, and nothing is left for a transition (X9).
///
/// C checks the queue always. [`Options::SKIP_EMPTY_QUEUE`] leaves that out for an empty one. Who
/// adds an entry makes the request afterwards, so there is a request for an entry that `is_empty`
/// comes too early for.
#[inline(always)]
pub(crate) fn must_check_hyperv_queue(
    has_hyperv: bool,
    caps: Caps,
    options: impl FnOnce() -> Options,
    is_empty: impl FnOnce() -> bool,
) -> bool {
    has_hyperv && caps.has(Caps::EPT) && !(options().has(Options::SKIP_EMPTY_QUEUE) && is_empty())
}

/// T3: L2 has a VPID although KVM uses none. KVM does not offer VPIDs then, so this is a bug.
#[inline(always)]
pub(crate) fn is_impossible(vpid12: Option<u16>, caps: Caps) -> bool {
    vpid12.is_some() && !caps.has(Caps::VPID)
}

/// T4: the vpid12 that vpid02 stands for from now on, if that changes.
///
/// `last_vpid` is the vpid12 that vpid02 was last used for. It is 0 after VMXON. No vpid12 is 0, as
/// VM entry fails for a vmcs12 that uses VPIDs and has VPID 0.
#[inline(always)]
pub(crate) fn new_owner(vpid12: Option<u16>, last_vpid: u16) -> Option<u16> {
    vpid12.filter(|&vpid12| vpid12 != last_vpid)
}

/// T2, T4, T5: the flush that a VM entry requires. `new_owner` is the answer of that question.
#[inline(always)]
pub(crate) fn required_on_entry(
    vpid12: Option<u16>,
    new_owner: Option<u16>,
    vpid02: impl FnOnce() -> Option<Vpid>,
    caps: Caps,
) -> Option<Request> {
    if new_owner.is_some() {
        // T4. vpid02 holds the translations of another vpid12, or, after VMXON, of another vCPU.
        return Some(Request::Guest);
    }
    required(vpid12.is_some(), vpid02, caps)
}

/// T2, T5: the flush that a VM exit requires.
///
/// V16: with EPT, [`Options::NO_EXIT_FLUSH`] leaves T2's out. L1 and L2 then run on roots of their
/// own, and the EPT pointer tags their mappings in addition to the VPID. The flush of the VM entry
/// left L1 without mappings, and none of L1's can have come while L2 ran. L2's own are flushed by
/// the VM entry that comes before L2 runs again. `entry_failed` says that this is the exit of a VM
/// entry that has failed: its flush may not have come.
///
/// Without a vpid02, L2s with a vpid12 run on vpid01, too. They may share a root with this L2, and
/// their VM entries flush nothing. So T2's flush is required then. Without any VPIDs, each VM entry
/// and VM exit flushes by itself.
#[inline(always)]
pub(crate) fn required_on_exit(
    uses_vpid: bool,
    vpid02: impl Fn() -> Option<Vpid>,
    caps: Caps,
    options: impl FnOnce() -> Options,
    entry_failed: impl FnOnce() -> bool,
) -> Option<Request> {
    if !uses_vpid
        && caps.has(Caps::EPT)
        && options().has(Options::NO_EXIT_FLUSH)
        && (vpid02().is_some() || !caps.has(Caps::VPID))
        && !entry_failed()
    {
        return None;
    }
    required(uses_vpid, vpid02, caps)
}

#[inline(always)]
fn required(uses_vpid: bool, vpid02: impl FnOnce() -> Option<Vpid>, caps: Caps) -> Option<Request> {
    if !uses_vpid {
        // T2. Without VPIDs, L2 runs with VPID 0 like L1. VM entries and VM exits invalidate all
        // linear and combined mappings of VPID 0 (SDM, "Operations that Invalidate Cached
        // Mappings"). KVM runs both on vpid01 and must do the same to it, even if KVM itself uses
        // no VPIDs, because the MMU may have shadow page tables to sync. Guest-physical mappings
        // survive in hardware too, so KVM's copy of L1's EPT needs no sync.
        return Some(Request::Guest);
    }
    if caps.has(Caps::EPT) || vpid02().is_some() {
        // L2's translations have a tag of their own: vpid02, or at least the EPT pointer.
        return None;
    }
    // T5. Both run on vpid01, and neither may see the other's translations.
    Some(Request::Current)
}

/// Why a transition requires what it does, for tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// L2's translations have a tag that neither L1 nor another L2 has.
    OwnTag,
    /// V1: a parked VPID has the translations of this vpid12.
    ParkedVpid,
    /// V16.
    FlushedOnEntry,
    /// T2.
    NoVpid,
    /// T4.
    OtherVpid12,
    /// T5.
    SharedVpid01,
    /// T11.
    VmfuncNoVpid,
}

/// Why [`required_on_entry`] or [`required_on_exit`] answered `required`.
pub(crate) fn reason(uses_vpid: bool, required: Option<Request>) -> Reason {
    match required {
        None if !uses_vpid => Reason::FlushedOnEntry,
        None => Reason::OwnTag,
        Some(_) if !uses_vpid => Reason::NoVpid,
        Some(Request::Guest) => Reason::OtherVpid12,
        Some(Request::Current) => Reason::SharedVpid01,
    }
}

/// T8, X11: whether vmcs02's VPID must be written for a VM entry. It is then the VPID that L2 runs
/// with ([`super::flush::current_vpid`]).
///
/// It does not matter whether KVM takes vmcs12 for changed. The primary controls are a shadowed
/// field, which L1 may write without that. One of their bits turns the secondary controls off and
/// on, and vpid12 with them.
#[inline(always)]
pub(crate) fn must_write_vpid(caps: Caps) -> bool {
    caps.has(Caps::VPID)
}

/// T11: whether L2's VMFUNC to another EPT pointer requires a flush of L2's own translations.
///
/// SDM, "EPTP Switching": without a VPID, it invalidates the combined mappings of VPID 0 for all
/// EPT pointers, so also those that L2 may come back to. With one, it invalidates nothing: combined
/// mappings are tagged with the EPT pointer, and L2 now runs on another one.
#[inline(always)]
pub(crate) fn vmfunc_requires_guest_flush(uses_vpid: bool) -> bool {
    !uses_vpid
}
