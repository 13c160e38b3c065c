// SPDX-License-Identifier: GPL-2.0

//! What a change of CR0 or CR4 by the guest requires (rules R1 to R6).
//!
//! SDM volume 3A, "Operations that Invalidate TLBs and Paging-Structure Caches". These rules are
//! about moves to control registers. Nested transitions, KVM_SET_SREGS and reset set the registers
//! in other ways and have rules of their own (R7).

use super::types::Request;

const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_LA57: u64 = 1 << 12;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const CR4_PKE: u64 = 1 << 22;

/// The bits of CR0 that decide how KVM's MMU reads the guest's tables.
pub(crate) const CR0_ROLE: u64 = CR0_PG | CR0_WP;
/// The same for CR4.
pub(crate) const CR4_ROLE: u64 = CR4_PSE | CR4_PAE | CR4_LA57 | CR4_SMEP | CR4_SMAP | CR4_PKE;

/// What becomes of the MMU context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// It stays.
    Keep,
    /// KVM must read the guest's tables in another way, but all roots stay valid.
    Reread,
    /// All roots are freed.
    Unload,
    /// All roots are freed, and the context is rebuilt for the new role.
    Reset,
}

/// R1: the flush that a move to CR0 requires.
#[inline(always)]
pub(crate) fn cr0_request(old: u64, new: u64) -> Option<Request> {
    (old & !new & CR0_PG != 0).then_some(Request::Guest)
}

/// R5: what a move to CR0 does to the MMU context.
#[inline(always)]
pub(crate) fn cr0_context(old: u64, new: u64, ept: bool) -> Context {
    let changed = old ^ new;

    // With paging off, WP changes no rights. With EPT, KVM's own entries do not depend on WP. KVM
    // needs it only to walk the guest's tables itself.
    if changed == CR0_WP && new & CR0_PG == 0 {
        Context::Keep
    } else if changed == CR0_WP && ept {
        Context::Reread
    } else if changed & CR0_ROLE != 0 {
        Context::Reset
    } else {
        Context::Keep
    }
}

/// R6: with asynchronous page faults, the guest must be told of pages that have become ready.
#[inline(always)]
pub(crate) fn cr0_looks_for_pages(old: u64, new: u64) -> bool {
    new & !old & CR0_PG != 0
}

/// R2, R3: the flush that a move to CR4 requires.
#[inline(always)]
pub(crate) fn cr4_request(old: u64, new: u64) -> Option<Request> {
    let changed = old ^ new;
    let set = changed & new;
    let cleared = changed & old;

    if changed & CR4_PGE != 0 || cleared & CR4_PCIDE != 0 {
        // R2: all PCIDs, and global translations.
        Some(Request::Guest)
    } else if changed & CR4_PAE != 0 || set & CR4_SMEP != 0 {
        // R3: the current PCID.
        Some(Request::Current)
    } else {
        None
    }
}

/// R4, R5: what a move to CR4 does to the MMU context.
///
/// The SDM requires nothing when PCIDE is set. But a later move to CR3 that keeps its PCID's
/// translations could reuse a shadow root that was not kept up to date while PCIDs were off.
#[inline(always)]
pub(crate) fn cr4_context(old: u64, new: u64, ept: bool) -> Context {
    if (old ^ new) & CR4_ROLE != 0 {
        Context::Reset
    } else if new & !old & CR4_PCIDE != 0 && !ept {
        Context::Unload
    } else {
        Context::Keep
    }
}
