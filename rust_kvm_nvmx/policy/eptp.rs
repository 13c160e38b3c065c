// SPDX-License-Identifier: GPL-2.0

//! Which EPT pointer names a root (rule H6; SDM, "Extended-Page-Table Pointer (EPTP)").

use super::types::Eptp;

/// Bits 2:0, memory type of the EPT's own tables: write-back.
const MEMORY_TYPE_WRITE_BACK: u64 = 6;
/// Bits 5:3, the number of levels minus 1.
const WALK_4_LEVELS: u64 = 3 << 3;
/// See [`WALK_4_LEVELS`].
const WALK_5_LEVELS: u64 = 4 << 3;
/// Bit 6, the CPU sets accessed and dirty flags.
const ACCESSED_DIRTY: u64 = 1 << 6;

/// What is known of the page that a root's address points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootPage {
    /// The MMU knows the page, or it is the zero page: the dummy root, which replaces a root that
    /// could not be built. If this is false, there is a bug.
    pub(crate) is_known: bool,
    /// The table has five levels. All others, and the dummy root, have four.
    pub(crate) has_five_levels: bool,
    /// The CPU may set accessed and dirty flags. It may not in the dummy root, and not if L1 has
    /// disabled them in its EPT pointer.
    pub(crate) may_have_ad: bool,
}

impl RootPage {
    /// A page that the MMU does not know.
    pub(crate) const UNKNOWN: Self = Self {
        is_known: false,
        has_five_levels: false,
        may_have_ad: false,
    };

    /// The dummy root's.
    pub(crate) const DUMMY: Self = Self {
        is_known: true,
        has_five_levels: false,
        may_have_ad: false,
    };
}

/// H6: the EPT pointer of the root at host-physical address `root`. `None` if the page is unknown:
/// then more than this root must be flushed.
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
