// SPDX-License-Identifier: GPL-2.0

//! What invalidations are made of.

use core::num::NonZeroU16;

/// A virtual-processor identifier, 1 to 65,535.
///
/// VPID 0 is the host's own; INVVPID refuses it for single contexts and single addresses, and a
/// vCPU that has no VPID has `Option::<Vpid>::None`. (SDM, "Virtual-Processor Identifiers".)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vpid(NonZeroU16);

impl Vpid {
    /// `None` for 0, which in KVM's fields means that no VPID was allocated.
    pub(crate) const fn new(raw: u16) -> Option<Self> {
        match NonZeroU16::new(raw) {
            Some(vpid) => Some(Self(vpid)),
            None => None,
        }
    }

    /// The number as INVVPID takes it.
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
    /// Bits 63:47 are alike: the address is canonical, however many bits the paging mode
    /// translates. (SDM, "Canonical Addressing".)
    pub(crate) const fn is_canonical_with_48_bits(self) -> bool {
        let top = self.0 as i64 >> 47;

        top == 0 || top == -1
    }
}

/// What this CPU and kvm_intel's parameters allow; constant while kvm_intel is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    /// KVM runs guests with EPT.
    pub(crate) ept: bool,
    /// KVM sets the accessed and dirty flags of EPT entries.
    pub(crate) ept_ad: bool,
    /// KVM runs guests with VPIDs.
    pub(crate) vpid: bool,
    /// INVEPT knows the single-context type.
    pub(crate) invept_single: bool,
    /// INVVPID knows the individual-address type.
    pub(crate) invvpid_address: bool,
    /// INVVPID knows the single-context type.
    pub(crate) invvpid_single: bool,
    /// INVVPID knows the all-contexts type.
    pub(crate) invvpid_all: bool,
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
