// SPDX-License-Identifier: GPL-2.0

//! What L1's own INVVPID and INVEPT owe (rules T6 and T13).
//!
//! SDM volume 3C, "INVVPID—Invalidate Translations Based on VPID" and "INVEPT—Invalidate
//! Translations Derived from EPT". Both name their type in a register and the rest in 16 bytes of
//! memory, which are read whether the type needs them or not.

use super::types::Gva;

/// The type of an INVVPID or INVEPT as the register has it, if L1 is offered it: a bit of `offered`
/// for each. Anything else fails before the operand is read.
pub(crate) fn offered_type(register: u64, offered: u32) -> Option<u32> {
    let kind = u32::try_from(register).ok()?;

    match offered.checked_shr(kind) {
        Some(bits) if bits & 1 != 0 => Some(kind),
        _ => None,
    }
}

/// INVVPID's type "individual address".
pub(crate) const VPID_ADDRESS: u32 = 0;
/// INVVPID's type "all contexts".
pub(crate) const VPID_ALL: u32 = 2;
/// INVEPT's type "single context"; the other that is offered, "global", is about all.
pub(crate) const EPT_SINGLE: u32 = 1;

/// What an INVVPID of L1 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VpidScope {
    /// One address of one VPID.
    Address(Gva),
    /// One VPID, or all: L1's VPIDs share one vpid02, so that both mean all of it.
    Context,
}

/// What an INVVPID of type `kind` asks for; `None` if its operand is invalid. `canonical` says
/// whether an address is, by L1's paging mode and without linear-address masking.
pub(crate) fn vpid_scope(
    kind: u32,
    operand: [u64; 2],
    canonical: impl FnOnce(Gva) -> bool,
) -> Option<VpidScope> {
    let [vpid, address] = operand;

    // Bits 63:16 are reserved for all types. VPID 0 is L1's own and no type but "all contexts",
    // which ignores it, takes it.
    if vpid > u64::from(u16::MAX) || (vpid == 0 && kind != VPID_ALL) {
        return None;
    }
    if kind != VPID_ADDRESS {
        return Some(VpidScope::Context);
    }
    canonical(Gva(address)).then_some(VpidScope::Address(Gva(address)))
}

/// T6: what an INVVPID leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VpidOwed {
    /// Invalidate the VPID that L2 runs with if it has one, here and now.
    Now,
    /// It holds nothing on this CPU and may on another: forget whose it is, and the next VM entry
    /// with a VPID flushes it, on the CPU that then matters.
    AtNextEntry,
}

/// T6: where the translations of L2 are that an INVVPID is to drop.
///
/// `cpu_of_vmcs02` is the CPU that vmcs02 was last loaded on, negative for none. It does not matter
/// whether the current vmcs12 uses VPIDs, or whether there is one: INVVPID is about a VPID.
pub(crate) fn where_vpid02_is(this_cpu: i32, cpu_of_vmcs02: i32) -> VpidOwed {
    if this_cpu == cpu_of_vmcs02 {
        VpidOwed::Now
    } else {
        VpidOwed::AtNextEntry
    }
}

/// The address bits of an EPT pointer, which are what INVEPT and the CPU tell roots apart by
/// (EP4TA, SDM "Information That May Be Cached").
const EP4TA: u64 = 0x000f_ffff_ffff_f000;

/// T13: whether a root that KVM keeps for L1's EPT pointer `kept` has to go for an INVEPT of
/// `named`.
pub(crate) fn same_ept(kept: u64, named: u64) -> bool {
    (kept ^ named) & EP4TA == 0
}
