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
pub(crate) enum RootPage {
    /// The dummy root that stands in for one that could not be built: the zero page.
    Dummy,
    /// A table that KVM's MMU accounts for.
    Table {
        /// Levels of the table, 5 or (anything else) 4.
        level: u32,
        /// L1 runs L2 without accessed and dirty flags in its EPT.
        ad_disabled: bool,
    },
    /// Nothing that the MMU knows. Must not happen.
    Unknown,
}

/// H6: the EPT pointer of the root at host-physical address `root`; `None` if there is none to
/// trust, and more than this root has to be flushed.
#[inline]
pub(crate) fn of_root(root: u64, page: RootPage, ad_enabled: bool) -> Option<Eptp> {
    let walk = match page {
        RootPage::Unknown => return None,
        RootPage::Table { level: 5, .. } => WALK_5_LEVELS,
        RootPage::Table { .. } | RootPage::Dummy => WALK_4_LEVELS,
    };
    let ad = match page {
        RootPage::Table {
            ad_disabled: false, ..
        } if ad_enabled => ACCESSED_DIRTY,
        _ => 0,
    };

    Some(Eptp(root | MEMORY_TYPE_WRITE_BACK | walk | ad))
}
