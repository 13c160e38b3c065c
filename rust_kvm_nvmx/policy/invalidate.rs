// SPDX-License-Identifier: GPL-2.0

//! Which flush L1's own INVVPID and INVEPT require (rules T6 and T13).
//!
//! SDM volume 3C, "INVVPID—Invalidate Translations Based on VPID" and "INVEPT—Invalidate
//! Translations Derived from EPT". KVM has checked that L1 has the instruction, may execute it, and
//! is offered its type; and has read the 16 bytes of the operand.

use super::types::Gva;

/// INVVPID's type "individual address".
pub(crate) const VPID_ADDRESS: u64 = 0;
/// INVVPID's type "all contexts".
pub(crate) const VPID_ALL: u64 = 2;
/// INVEPT's type "single context". The other type that L1 is offered is "global".
pub(crate) const EPT_SINGLE: u64 = 1;

/// What an INVVPID of L1 asks for. The VPIDs are L1's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VpidScope {
    /// One address of one VPID.
    Address(u16, Gva),
    /// One VPID, with or without global translations.
    Context(u16),
    /// All VPIDs.
    All,
}

impl VpidScope {
    /// Whether translations of `vpid12` are among those to invalidate.
    #[inline]
    pub(crate) fn names(self, vpid12: u16) -> bool {
        match self {
            Self::Address(named, _) | Self::Context(named) => named == vpid12,
            Self::All => true,
        }
    }
}

/// What an INVVPID of type `kind` asks for; `None` if its operand is invalid. `canonical` says
/// whether an address is canonical for the CPU's linear-address width, without LAM.
#[inline]
pub(crate) fn vpid_scope(
    kind: u64,
    operand: [u64; 2],
    canonical: impl FnOnce(Gva) -> bool,
) -> Option<VpidScope> {
    let [vpid, address] = operand;

    // Bits 63:16 are reserved for all types. VPID 0 is L1's own. Only "all contexts" accepts it, as
    // it ignores the VPID.
    let vpid = u16::try_from(vpid).ok()?;
    if kind == VPID_ALL {
        return Some(VpidScope::All);
    }
    if vpid == 0 {
        return None;
    }
    if kind != VPID_ADDRESS {
        return Some(VpidScope::Context(vpid));
    }
    canonical(Gva(address)).then_some(VpidScope::Address(vpid, Gva(address)))
}

/// T6: where and when an INVVPID of L1 takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Invalidate at once the VPID that an L2 with a VPID runs with.
    Now,
    /// vpid02 has no translations on this CPU, but may have some on another one. Clear `last_vpid`,
    /// so that the next VM entry with a VPID flushes, on any CPU.
    AtNextEntry,
}

/// T6: where L2's translations are that an INVVPID must drop.
///
/// `cpu_of_vmcs02` is the CPU that vmcs02 was last loaded on, negative for none. It does not matter
/// whether there is a current vmcs12, or whether it uses VPIDs: INVVPID names a VPID, not a vmcs12.
#[inline]
pub(crate) fn where_vpid02_is(this_cpu: i32, cpu_of_vmcs02: i32) -> Where {
    if this_cpu == cpu_of_vmcs02 {
        Where::Now
    } else {
        Where::AtNextEntry
    }
}

/// The address bits of an EPT pointer. The CPU and INVEPT distinguish roots by these bits alone
/// (EP4TA; SDM, "Information That May Be Cached").
const EP4TA: u64 = 0x000f_ffff_ffff_f000;

/// T13: whether a root that KVM keeps for L1's EPT pointer `kept` must be freed for an INVEPT of
/// `named`.
#[inline]
pub(crate) fn same_ept(kept: u64, named: u64) -> bool {
    (kept ^ named) & EP4TA == 0
}
