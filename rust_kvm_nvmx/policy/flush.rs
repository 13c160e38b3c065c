// SPDX-License-Identifier: GPL-2.0

//! What to invalidate on this CPU for each kind of flush that KVM asks for (rules H1 to H5, H15).
//!
//! Two facts from the SDM ("Operations that Invalidate Cached Mappings") decide nearly all of it:
//!
//! - INVVPID need not touch guest-physical mappings. They belong to an EPT pointer and to no VPID.
//! - INVEPT need not touch linear mappings. There are none while EPT is on: what a guest's own
//!   tables map is then cached as combined mappings, which belong to a VPID *and* an EPT pointer.
//!
//! So a change of the hypervisor's tables is an INVEPT with EPT and an INVVPID without it, and a
//! change of the guest's own tables is an INVVPID always. A guest without a VPID runs with VPID 0,
//! whose linear and combined mappings each VM entry and VM exit invalidates by itself.

use super::types::{
    Caps,
    Eptp,
    Gva,
    Invalidation,
    Vpid, //
};

/// The root of the page tables that the vCPU runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// None is loaded: nothing can have been cached from it.
    Invalid,
    /// EPT is on and this pointer names the root.
    Ept(Eptp),
    /// EPT is on, but no pointer can be built for the root; its owner has warned.
    EptUnknown,
    /// EPT is off: the root is an ordinary page table and its entries are tagged by VPID alone.
    Shadow,
}

/// H1: what to invalidate when every translation of the vCPU may be stale.
///
/// The order of the result is of no consequence. Without INVVPID's all-contexts type each VPID of
/// the vCPU has to be named; a VPID that was not allocated holds nothing.
pub(crate) fn all(
    caps: Caps,
    vpid01: Option<Vpid>,
    vpid02: Option<Vpid>,
) -> [Option<Invalidation>; 2] {
    if caps.ept {
        return [Some(Invalidation::InveptAll), None];
    }
    if !caps.vpid {
        return [None, None];
    }
    if caps.invvpid_all {
        return [Some(Invalidation::InvvpidAll), None];
    }
    [
        vpid01.map(Invalidation::InvvpidSingle),
        vpid02.map(Invalidation::InvvpidSingle),
    ]
}

/// H2: what to invalidate when the page tables that KVM keeps for the current context changed.
pub(crate) fn current(caps: Caps, root: Root, vpid: Option<Vpid>) -> Option<Invalidation> {
    match root {
        Root::Invalid => None,
        Root::Ept(eptp) if caps.invept_single => Some(Invalidation::InveptSingle(eptp)),
        Root::Ept(_) | Root::EptUnknown => Some(Invalidation::InveptAll),
        Root::Shadow => context(caps, vpid),
    }
}

/// H3: what to invalidate when the current context's translation of `gva` changed.
pub(crate) fn address(caps: Caps, vpid: Option<Vpid>, gva: Gva) -> Option<Invalidation> {
    match vpid {
        Some(vpid) if caps.invvpid_address => Some(Invalidation::InvvpidAddress(vpid, gva)),
        _ => context(caps, vpid),
    }
}

/// H4 and H15: what to invalidate when a guest's own translations may be stale. Never an INVEPT.
pub(crate) fn context(caps: Caps, vpid: Option<Vpid>) -> Option<Invalidation> {
    let vpid = vpid?;

    if caps.invvpid_single {
        Some(Invalidation::InvvpidSingle(vpid))
    } else {
        Some(Invalidation::InvvpidAll)
    }
}

/// X3: what to invalidate beside a guest flush of the current context, when it is L1 that asked for
/// its own translations to be flushed.
///
/// In an L2 with a VPID of its own the guest flush is for that VPID, and L1's translations stay.
pub(crate) fn of_l1_while_away(
    caps: Caps,
    current: Option<Vpid>,
    vpid01: Option<Vpid>,
) -> Option<Invalidation> {
    if current == vpid01 {
        return None;
    }
    context(caps, vpid01)
}

/// H5: the VPID that the vCPU runs with now.
///
/// `vmcs12_uses_vpid` is `None` while L1 runs. An L2 whose vmcs12 has no VPID shares vpid01, since
/// for L1 it shares VPID 0 with L1 itself; so does one for which no vpid02 could be allocated.
pub(crate) fn current_vpid(
    vmcs12_uses_vpid: Option<bool>,
    vpid01: Option<Vpid>,
    vpid02: Option<Vpid>,
) -> Option<Vpid> {
    match vmcs12_uses_vpid {
        Some(true) => vpid02.or(vpid01),
        Some(false) | None => vpid01,
    }
}
