// SPDX-License-Identifier: GPL-2.0

//! What to invalidate on this CPU for each kind of flush that KVM asks for (rules H1 to H5, H15,
//! V23, V25, X3).
//!
//! Two facts from the SDM ("Operations that Invalidate Cached Mappings") decide nearly all of it:
//!
//! - INVVPID need not invalidate guest-physical mappings. They belong to an EPT pointer, not to a
//!   VPID.
//! - INVEPT need not invalidate linear mappings. There are none while EPT is on: what a guest's own
//!   tables map is then cached as combined mappings, which belong to a VPID *and* an EPT pointer.
//!
//! So a change of the hypervisor's tables requires INVEPT with EPT and INVVPID without it. A change
//! of the guest's own tables always requires INVVPID. A guest without a VPID runs with VPID 0,
//! whose linear and combined mappings each VM entry and VM exit invalidates by itself.

use super::{
    options::Options,
    types::{
        Caps,
        Eptp,
        Gva,
        Invalidation,
        Root,
        Vpid, //
    },
};

/// H1: what to invalidate when every translation of the vCPU may be stale.
///
/// Without INVVPID's all-contexts type, each VPID of the vCPU takes one INVVPID ([`All::Each`]).
#[inline(always)]
pub(crate) fn all(caps: Caps, options: Options) -> All {
    if caps.has(Caps::EPT) {
        if options.has(Options::OWN_ROOTS) && caps.has(Caps::INVEPT_SINGLE) {
            All::OwnRoots
        } else {
            All::Once(Invalidation::InveptAll)
        }
    } else if !caps.has(Caps::VPID) {
        All::Nothing
    } else if caps.has(Caps::INVVPID_ALL) {
        All::Once(Invalidation::InvvpidAll)
    } else {
        All::Each
    }
}

/// The answers of [`all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum All {
    /// KVM uses no VPIDs: VM entries and VM exits invalidate everything by themselves.
    Nothing,
    /// One invalidation reaches everything.
    Once(Invalidation),
    /// One invalidation for [`each`] VPID of the vCPU.
    Each,
    /// V25: what [`OwnRoots`] says of the roots that the vCPU has.
    OwnRoots,
}

/// V25: the roots that a vCPU has, as far as they are flushed one by one.
///
/// With EPT, each translation belongs to a root. Those of a root that the vCPU does not have are
/// not used before the root is loaded, and then it is flushed (H10).
#[derive(Default)]
pub(crate) struct OwnRoots {
    first: [Option<Eptp>; Self::MAX],
    number: u8,
    /// One has no EPT pointer, or there are more.
    others: bool,
}

impl OwnRoots {
    /// The most that are flushed one by one.
    pub(crate) const MAX: usize = 3;

    /// One more.
    #[inline(always)]
    pub(crate) fn add(&mut self, root: Root) {
        match (root, self.first.get_mut(usize::from(self.number))) {
            (Root::Invalid, _) => (),
            (Root::Ept(eptp), Some(place)) => {
                *place = Some(eptp);
                self.number = self.number.saturating_add(1);
            }
            _ => self.others = true,
        }
    }

    /// V25: calls `act` with what to invalidate when every translation of the vCPU may be stale.
    ///
    /// One INVEPT for the roots of all VMs takes the place of many.
    #[inline(always)]
    pub(crate) fn for_each_required(&self, mut act: impl FnMut(Invalidation)) {
        if self.others {
            return act(Invalidation::InveptAll);
        }
        for &eptp in self.first.iter().flatten() {
            act(Invalidation::InveptSingle(eptp));
        }
    }
}

/// H1: one of the invalidations for [`All::Each`]. A VPID that was not allocated has no mappings.
#[inline(always)]
pub(crate) fn each(vpid: Option<Vpid>) -> Option<Invalidation> {
    vpid.map(Invalidation::InvvpidSingle)
}

/// H2: what to invalidate when the page tables that KVM keeps for the current context changed.
#[inline(always)]
pub(crate) fn current(
    caps: Caps,
    root: Root,
    vpid: impl FnOnce() -> Option<Vpid>,
) -> Option<Invalidation> {
    match root {
        Root::Invalid => None,
        Root::Ept(eptp) if caps.has(Caps::INVEPT_SINGLE) => Some(Invalidation::InveptSingle(eptp)),
        Root::Ept(_) | Root::EptUnknown => Some(Invalidation::InveptAll),
        Root::Shadow => context(caps, vpid()),
    }
}

/// H3: what to invalidate when the current context's translation of `gva` changed.
#[inline(always)]
pub(crate) fn address(caps: Caps, vpid: Option<Vpid>, gva: Gva) -> Option<Invalidation> {
    match vpid {
        Some(vpid) if caps.has(Caps::INVVPID_ADDRESS) => {
            Some(Invalidation::InvvpidAddress(vpid, gva))
        }
        _ => context(caps, vpid),
    }
}

/// H4 and H15: what to invalidate when a guest's own translations may be stale. Never an INVEPT.
#[inline(always)]
pub(crate) fn context(caps: Caps, vpid: Option<Vpid>) -> Option<Invalidation> {
    let vpid = vpid?;

    if caps.has(Caps::INVVPID_SINGLE) {
        Some(Invalidation::InvvpidSingle(vpid))
    } else {
        Some(Invalidation::InvvpidAll)
    }
}

/// X3: what to invalidate if L1 asked for a flush of its own translations, and a guest flush of the
/// current context does not cover them.
///
/// While an L2 with a VPID of its own is active, the guest flush is for that VPID only.
#[inline(always)]
pub(crate) fn l1_flush_while_in_l2(
    caps: Caps,
    current: Option<Vpid>,
    vpid01: Option<Vpid>,
) -> Option<Invalidation> {
    if current == vpid01 {
        return None;
    }
    context(caps, vpid01)
}

/// X3: whether L1's flush of its own translations requires one of the running guest as well.
///
/// C flushes the running guest. V23: with EPT, [`Options::L1_FLUSH_ALONE`] leaves that out for an
/// L2 with a VPID of its own: to L1 its own flush is one of VPID 0. Without EPT KVM must sync its
/// shadow page tables.
#[inline(always)]
pub(crate) fn l1_flush_concerns_running_guest(
    caps: Caps,
    current: Option<Vpid>,
    vpid01: Option<Vpid>,
    options: Options,
) -> bool {
    current == vpid01 || !caps.has(Caps::EPT) || !options.has(Options::L1_FLUSH_ALONE)
}

/// H5: the VPID that the vCPU runs with now.
///
/// `vmcs12_uses_vpid` is `None` while L1 runs. An L2 whose vmcs12 has no VPID shares vpid01 with
/// L1, as it shares VPID 0 with L1 from L1's point of view. An L2 for which no vpid02 could be
/// allocated shares vpid01, too. The VPIDs are functions, so that only the one that is used is
/// read.
#[inline(always)]
pub(crate) fn current_vpid(
    vmcs12_uses_vpid: Option<bool>,
    vpid01: impl FnOnce() -> Option<Vpid>,
    vpid02: impl FnOnce() -> Option<Vpid>,
) -> Option<Vpid> {
    match vmcs12_uses_vpid {
        Some(true) => vpid02().or_else(vpid01),
        Some(false) | None => vpid01(),
    }
}
