// SPDX-License-Identifier: GPL-2.0

//! The types that the rules use: VPIDs, EPT pointers, addresses, capabilities, flushes.

use core::num::NonZeroU16;

/// A virtual-processor identifier, 1 to 65,535.
///
/// VPID 0 is the host's own. INVVPID rejects it for single contexts and single addresses. `None` of
/// `Option<Vpid>` stands for no VPID. (SDM, "Virtual-Processor Identifiers".)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vpid(NonZeroU16);

impl Vpid {
    /// `None` for 0, which in KVM's fields means that no VPID was allocated.
    #[inline(always)]
    pub(crate) const fn new(raw: u16) -> Option<Self> {
        match NonZeroU16::new(raw) {
            Some(vpid) => Some(Self(vpid)),
            None => None,
        }
    }

    /// The number as INVVPID takes it.
    #[inline(always)]
    pub(crate) const fn get(self) -> u16 {
        self.0.get()
    }
}

/// An EPT pointer as it is written to a VMCS: the root's host-physical address and, in the low
/// bits, how to walk from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Eptp(pub(crate) u64);

/// A guest's linear address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gva(pub(crate) u64);

impl Gva {
    /// Bits 63:47 are equal, so the address is canonical in every paging mode. (SDM, "Canonical
    /// Addressing".)
    pub(crate) const fn is_canonical_with_48_bits(self) -> bool {
        let top = self.0 as i64 >> 47;

        top == 0 || top == -1
    }
}

/// What this CPU and kvm_intel's parameters allow: a set of bits, constant while kvm_intel is
/// loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps(u8);

impl Caps {
    /// Nothing is allowed.
    pub(crate) const NONE: Self = Self(0);
    /// KVM runs guests with EPT.
    pub(crate) const EPT: Self = Self(1 << 0);
    /// INVVPID has the all-contexts type.
    pub(crate) const INVVPID_ALL: Self = Self(1 << 1);
    /// KVM runs guests with VPIDs.
    pub(crate) const VPID: Self = Self(1 << 2);
    /// INVEPT has the single-context type.
    pub(crate) const INVEPT_SINGLE: Self = Self(1 << 3);
    /// INVVPID has the individual-address type.
    pub(crate) const INVVPID_ADDRESS: Self = Self(1 << 4);
    /// INVVPID has the single-context type.
    pub(crate) const INVVPID_SINGLE: Self = Self(1 << 5);
    /// KVM sets the accessed and dirty flags of EPT entries. (It is the bit of an EPT pointer that
    /// says so: it need not be shifted there.)
    pub(crate) const EPT_AD: Self = Self(1 << 6);

    /// The set with `cap` added if `on`.
    pub(crate) const fn with(self, cap: Self, on: bool) -> Self {
        if on {
            Self(self.0 | cap.0)
        } else {
            self
        }
    }

    /// Whether all of `caps` are in the set.
    #[inline(always)]
    pub(crate) const fn has(self, caps: Self) -> bool {
        self.0 & caps.0 == caps.0
    }
}

/// The root of the page tables that a vCPU runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// No root is loaded, so nothing can have been cached from one.
    Invalid,
    /// EPT is on and this pointer names the root.
    Ept(Eptp),
    /// EPT is on, but no pointer can be built for the root.
    EptUnknown,
    /// EPT is off: the root is an ordinary page table and its entries are tagged by VPID alone.
    Shadow,
}

/// A flush that must be done before the vCPU next runs a guest, in the context it then has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The guest's own translations, and a sync of shadow page tables where there are any.
    Guest,
    /// The translations of the current context.
    Current,
}

/// The level that a Hyper-V flush is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The guest hypervisor.
    L1,
    /// Its guests.
    L2,
}

impl Level {
    /// L2 if `l2`, which says that L2 is active; L1 otherwise.
    pub(crate) const fn running(l2: bool) -> Self {
        if l2 {
            Self::L2
        } else {
            Self::L1
        }
    }

    /// The other level.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::L1 => Self::L2,
            Self::L2 => Self::L1,
        }
    }
}

/// One INVVPID or INVEPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// Linear and combined mappings of one address and VPID.
    InvvpidAddress(Vpid, Gva),
    /// Linear and combined mappings of one VPID.
    InvvpidSingle(Vpid),
    /// Linear and combined mappings of all VPIDs but 0.
    InvvpidAll,
    /// Guest-physical and combined mappings of one EPT pointer's root.
    InveptSingle(Eptp),
    /// Guest-physical and combined mappings of all roots.
    InveptAll,
}
