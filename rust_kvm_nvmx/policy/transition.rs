// SPDX-License-Identifier: GPL-2.0

//! What a nested VM entry or VM exit owes L1 (rules T1 to T5).

use super::types::Vpid;

/// Which way the vCPU goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// L1 to L2.
    Enter,
    /// L2 to L1.
    Exit,
}

/// What is true at the transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Which way the vCPU goes.
    pub(crate) direction: Direction,
    /// The VPID that L1 gave L2, if its vmcs12 uses VPIDs. VM entry has failed by now for a vmcs12
    /// that uses VPIDs and names VPID 0.
    pub(crate) vpid12: Option<u16>,
    /// The vpid12 that vpid02 was last used for; 0 after VMXON, which no vpid12 equals.
    pub(crate) last_vpid: u16,
    /// A hardware VPID was allocated for L2.
    pub(crate) vpid02: Option<Vpid>,
    /// KVM runs guests with EPT.
    pub(crate) ept: bool,
    /// KVM runs guests with VPIDs.
    pub(crate) vpid: bool,
    /// The vCPU has Hyper-V state, and with it a queue of addresses to flush for each level.
    pub(crate) hyperv: bool,
}

/// A flush to be done before the vCPU next runs a guest, in the context it then has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The guest's own translations, and a sync of shadow page tables where there are any.
    Guest,
    /// The translations of the current context.
    Current,
}

/// What the transition owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    /// T1: look at the other level's queue of Hyper-V flushes.
    pub(crate) hyperv: bool,
    /// T2, T4, T5: the flush to request.
    pub(crate) request: Option<Request>,
    /// T4: the vpid12 that vpid02 stands for from now on.
    pub(crate) new_last_vpid: Option<u16>,
    /// T3: L2 has a VPID although KVM uses none. Must not happen.
    pub(crate) impossible_vpid: bool,
}

/// T1 to T5: what the transition owes.
pub(crate) fn owed(facts: Facts) -> Owed {
    let mut owed = Owed {
        // T1. Requests for Hyper-V's flushes are made per vCPU, the addresses are queued per
        // level: what was queued for the level that did not run is still to be served.
        // Without EPT a guest flush does for all of it.
        hyperv: facts.hyperv && facts.ept,
        request: None,
        new_last_vpid: None,
        impossible_vpid: false,
    };

    let Some(vpid12) = facts.vpid12 else {
        // T2. Without VPIDs L2 runs with VPID 0 like L1, and VM entries and exits invalidate all
        // linear and combined mappings of VPID 0 (SDM, "Operations that Invalidate Cached
        // Mappings"). KVM runs both on vpid01 and has to do the same to it; even where KVM has no
        // VPIDs itself, since the MMU may have shadow page tables to sync. Guest-physical mappings
        // survive in hardware too, so what KVM keeps for L1's EPT needs no sync.
        owed.request = Some(Request::Guest);
        return owed;
    };

    // T3. Without VPIDs KVM does not offer them to L1.
    owed.impossible_vpid = !facts.vpid;

    if facts.direction == Direction::Enter && vpid12 != facts.last_vpid {
        // T4. The one vpid02 of the vCPU held another vpid12's translations, or (after VMXON) those
        // of whoever had the VPID before.
        owed.new_last_vpid = Some(vpid12);
        owed.request = Some(Request::Guest);
    } else if !facts.ept && facts.vpid02.is_none() {
        // T5. L2 has no tag of its own: with EPT, L1 and L2 differ in the root at least, but here
        // both run on vpid01 and neither may see the other's translations.
        owed.request = Some(Request::Current);
    }
    owed
}
