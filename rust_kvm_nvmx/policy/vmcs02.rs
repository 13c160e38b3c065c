// SPDX-License-Identifier: GPL-2.0

//! What L2 runs with, and what follows when L1 lets it change its own EPT (rules T8 and T11).

use super::{
    flush,
    types::Vpid, //
};

/// T8: the VPID to be written to vmcs02 for a VM entry, `None` to leave what is in it.
///
/// `dirty` says that vmcs12 may have changed since vmcs02 was last written. The decision whether
/// the VPID's old contents have to go comes later, with the transition (T2 to T5).
pub(crate) fn vpid(
    dirty: bool,
    vpid_enabled: bool,
    vmcs12_uses_vpid: bool,
    vpid01: Option<Vpid>,
    vpid02: Option<Vpid>,
) -> Option<Vpid> {
    if !dirty || !vpid_enabled {
        return None;
    }
    flush::current_vpid(Some(vmcs12_uses_vpid), vpid01, vpid02)
}

/// T11: whether L2's VMFUNC to another EPT pointer owes a flush of L2's own translations.
///
/// With a VPID the CPU keeps combined mappings apart by EPT pointer and may use old ones again when
/// L2 comes back. Without, VM entries and exits invalidate VPID 0, and KVM emulates the VMFUNC by
/// leaving and entering L2, which for the CPU that L2 believes to run on are neither; all that is
/// cached is tagged with vpid01 in common with L1.
pub(crate) fn vmfunc_owes_guest_flush(vmcs12_uses_vpid: bool) -> bool {
    !vmcs12_uses_vpid
}
