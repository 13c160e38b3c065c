// SPDX-License-Identifier: GPL-2.0

//! V22: which vCPUs may run an L2 that a flush call names, by one byte for each vCPU.
//!
//! The tag of a vCPU is a hash of its L2's ids, or [`Tag::UNKNOWN`]. A sender that finds another
//! tag than those of its targets need not look at the vCPU. It looks closely at all others (E8), so
//! a hash that two L2s share costs time and no flush.

use super::{
    history::mix,
    hv_call::Targets, //
};

/// A hash of an L2's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) u8);

impl Tag {
    /// Nothing is known of the vCPU's L2.
    pub(crate) const UNKNOWN: Self = Self(0);

    /// The tag of an L2 with these ids.
    ///
    /// KVM keeps tags when the module goes, and another build may find them. So a change of this
    /// requires another `KVM_NVMX_HOOKS_VERSION`.
    #[inline]
    pub(crate) const fn of(vm: u64, vp: u32) -> Self {
        let hash = (mix(vm) as u8).wrapping_add(vp as u8);

        // 0 stands for unknown.
        Self(if hash == 0 { 1 } else { hash })
    }
}

/// The tags of vCPUs that a sender has to look at.
pub(crate) struct Tags([u64; 4]);

impl Tags {
    /// `tags()`, if there are so many vCPUs that it is worth to hash the targets. `None` stands for
    /// all tags.
    #[inline]
    pub(crate) fn if_worth_it(vcpus: usize, tags: impl FnOnce() -> Option<Self>) -> Option<Self> {
        /// To look at a vCPU takes some 50 instructions, to hash a target some 20.
        const MANY: usize = 4;

        if vcpus > MANY {
            tags()
        } else {
            None
        }
    }

    /// Those that the targets of a call of the VM `vm` may have; `None` for all.
    #[inline(never)]
    pub(crate) fn of(vm: u64, targets: &Targets<'_>) -> Option<Self> {
        /// For more targets than this it takes longer to hash them all than to look at more vCPUs.
        const FEW: usize = 16;

        if *targets == Targets::All {
            return None;
        }
        let mut tags = Self([0; 4]);

        tags.add(Tag::UNKNOWN);
        for (number, vp) in targets.indexes().enumerate() {
            if number == FEW {
                return None;
            }
            tags.add(Tag::of(vm, vp as u32));
        }
        Some(tags)
    }

    #[inline]
    fn add(&mut self, tag: Tag) {
        if let Some(word) = self.0.get_mut(usize::from(tag.0 / 64)) {
            *word |= 1 << (tag.0 % 64);
        }
    }

    /// The vCPU with that tag has to be looked at. `None` stands for all tags.
    #[inline]
    pub(crate) fn may_have(tags: Option<&Self>, tag: impl FnOnce() -> Tag) -> bool {
        tags.is_none_or(|tags| tags.contain(tag()))
    }

    /// `tag` is among them.
    #[inline]
    fn contain(&self, tag: Tag) -> bool {
        self.0
            .get(usize::from(tag.0 / 64))
            .is_none_or(|word| word >> (tag.0 % 64) & 1 != 0)
    }
}
