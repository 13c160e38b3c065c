// SPDX-License-Identifier: GPL-2.0

//! Which EPT pointer names a root (rule H6; SDM, "Extended-Page-Table Pointer (EPTP)").

use super::types::Eptp;

/// Bits 2:0, memory type of the EPT's own tables: write-back.
const MEMORY_TYPE_WRITE_BACK: u64 = 6;
/// Bits 5:3, one less than the levels to walk.
const WALK_4_LEVELS: u64 = 3 << 3;
/// See [`WALK_4_LEVELS`].
const WALK_5_LEVELS: u64 = 4 << 3;
/// Bit 6, the CPU sets accessed and dirty flags.
const ACCESSED_DIRTY: u64 = 1 << 6;

/// What is known of the page that a root's address points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootPage {
    /// The MMU accounts for it, or it is the dummy root that stands in for one that could not be
    /// built: the zero page. Must not be false.
    pub(crate) is_known: bool,
    /// It is a table of five levels; else of four, and so is the dummy root.
    pub(crate) has_five_levels: bool,
    /// The CPU may set accessed and dirty flags: not in the dummy root, and not if L1 runs L2 without
    /// them in its EPT.
    pub(crate) may_have_ad: bool,
}

/// H6: the EPT pointer of the root at host-physical address `root`; `None` if there is none to
/// trust, and more than this root must be flushed.
#[inline(always)]
pub(crate) fn of_root(root: u64, page: RootPage, ad_enabled: bool) -> Option<Eptp> {
    if !page.is_known {
        return None;
    }
    let walk = if page.has_five_levels {
        WALK_5_LEVELS
    } else {
        WALK_4_LEVELS
    };
    let ad = if page.may_have_ad && ad_enabled {
        ACCESSED_DIRTY
    } else {
        0
    };

    Some(Eptp(root | MEMORY_TYPE_WRITE_BACK | walk | ad))
}
