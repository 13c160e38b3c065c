// SPDX-License-Identifier: GPL-2.0

//! Where the rules may flush less than KVM's C code does.
//!
//! An option leaves out flushes that no guest is owed, or says that Rust keeps an account of which
//! these are. Without any, nothing is left out that C flushes.

/// A set of options, in a word that can be read at once.
///
/// Bits 7:0 are the number of VPIDs that the L2s of a vCPU may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options(u32);

impl Options {
    /// Nothing is left out that C flushes.
    pub(crate) const STOCK: Self = Self(0);
    /// V18: KVM keeps its roots for L1's EPTs when L1 leaves a VMCS.
    pub(crate) const KEEP_ROOTS: Self = Self(1 << 8);
    /// V16: a VM exit of an L2 without a VPID requires no flush with EPT.
    pub(crate) const NO_EXIT_FLUSH: Self = Self(1 << 9);
    /// T1: an empty queue of Hyper-V flushes is not handled at a transition.
    pub(crate) const SKIP_EMPTY_QUEUE: Self = Self(1 << 10);

    /// V9: flush calls of L2s are counted. This holds from before the first call that Rust handles.
    pub(crate) const COUNT_CALLS: Self = Self(1 << 11);

    /// V23: a flush of L1's own translations is none of L2's.
    pub(crate) const L1_FLUSH_ALONE: Self = Self(1 << 12);
    /// V24: ranges of addresses that overlap or adjoin are joined.
    pub(crate) const JOIN_RANGES: Self = Self(1 << 13);
    /// X12: it is known which APIC-access page L2s without EPT in vmcs12 ran with last. What ran
    /// before the hooks were Rust's does not matter: the change of hands has flushed it, or the
    /// root is flushed when it is loaded (V25).
    pub(crate) const KNOW_L2_PAGE: Self = Self(1 << 14);
    /// V25: a flush of everything names the vCPU's own roots, and leaves those of other VMs alone.
    pub(crate) const OWN_ROOTS: Self = Self(1 << 15);

    /// What the module's parameter `skip_needless` stands for, besides [`Self::KNOW_L2_PAGE`]
    /// and [`Self::OWN_ROOTS`].
    pub(crate) const SKIP_NEEDLESS: Self = Self(
        Self::NO_EXIT_FLUSH.0
            | Self::SKIP_EMPTY_QUEUE.0
            | Self::L1_FLUSH_ALONE.0
            | Self::JOIN_RANGES.0,
    );

    const SLOTS: u32 = 0xff;

    /// The most VPIDs that the L2s of a vCPU may have: KVM's own, and 15 more.
    pub(crate) const MAX_SLOTS: u8 = 16;

    /// The set with `option` added if `on`.
    pub(crate) const fn with(self, option: Self, on: bool) -> Self {
        if on {
            Self(self.0 | option.0)
        } else {
            self
        }
    }

    /// The set with this number of VPIDs for L2s.
    pub(crate) const fn with_slots(self, slots: u8) -> Self {
        Self(self.0 & !Self::SLOTS | slots as u32)
    }

    /// V7, V18, V25: what is left of the set if KVM flushes only the roots that vCPUs have loaded
    /// last. Nothing else may be kept then.
    pub(crate) const fn where_a_flush_misses_roots(self) -> Self {
        let kept =
            Self::KEEP_ROOTS.0 | Self::COUNT_CALLS.0 | Self::KNOW_L2_PAGE.0 | Self::OWN_ROOTS.0;

        Self(self.0 & !kept).with_slots(1)
    }

    /// V14: what is left of the set while a hook is C's.
    pub(crate) const fn while_a_hook_is_c_s(self) -> Self {
        Self::STOCK.with(Self::COUNT_CALLS, self.has(Self::COUNT_CALLS))
    }

    /// The set from its word.
    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The word.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Whether `options` are in the set.
    #[inline(always)]
    pub(crate) const fn has(self, options: Self) -> bool {
        self.0 & options.0 == options.0
    }

    /// V1: whether a vCPU's L2s may have more than one VPID.
    #[inline(always)]
    pub(crate) const fn parks(self) -> bool {
        self.slots() > 1
    }

    /// How many VPIDs a vCPU's L2s may have. Less than two stand for KVM's own alone.
    #[inline(always)]
    pub(crate) const fn slots(self) -> usize {
        (self.0 & Self::SLOTS) as usize
    }
}
