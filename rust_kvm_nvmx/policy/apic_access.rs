// SPDX-License-Identifier: GPL-2.0

//! The flushes around the APIC-access page (rules A2 to A4, X7, X12).
//!
//! SDM volume 3C, "Virtualizing Memory-Mapped APIC Accesses": the translation that an access uses
//! decides whether it is an access to the APIC-access page. The CPU may still use a translation
//! that it cached while the page was ordinary memory.

use super::{
    flush,
    options::Options,
    types::{
        Caps,
        Invalidation,
        Vpid, //
    },
};

/// What runs when L1's page is turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// L1.
    L1,
    /// L2 on an EPT of its own: L1's root is the current one of L1's context.
    L2WithEpt,
    /// L2 in L1's context: the current root is L2's. L1's is among those that are kept for later.
    L2WithoutEpt,
}

/// The flush that turning on L1's APIC-access page requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    /// A request to flush the current context. KVM handles it before L1 continues.
    Request,
    /// An invalidation at once: nothing would cause it at the next VM exit to L1.
    Now(Option<Invalidation>),
    /// [`flush::current`] at once, for the current root of L1's context.
    OfCurrentRoot,
    /// [`flush::current`] at once, for each root that L1's context keeps for later.
    OfPreviousRoots,
}

/// A4: the flush that turning on L1's APIC-access page requires. It is for what was cached while
/// the page was off.
///
/// A root of L1's that is neither loaded nor kept is flushed when it is loaded (H10).
pub(crate) fn turned_on(caps: Caps, running: Running, vpid01: Option<Vpid>) -> Required {
    match running {
        Running::L1 => Required::Request,
        // Without EPT all of L1's translations have its VPID.
        _ if !caps.has(Caps::EPT) => Required::Now(flush::context(caps, vpid01)),
        Running::L2WithEpt => Required::OfCurrentRoot,
        Running::L2WithoutEpt => Required::OfPreviousRoots,
    }
}

/// What to do with the address of the page in vmcs01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Write it.
    Write,
    /// Look up the page again before the vCPU next runs: it may be gone already.
    LookAgain,
}

/// A2: whether the page that was found is still the right one. A3: a new page requires no flush,
/// because KVM flushed all roots when the old page was taken away.
pub(crate) fn address(invalidated_meanwhile: bool) -> Address {
    if invalidated_meanwhile {
        Address::LookAgain
    } else {
        Address::Write
    }
}

/// The APIC-access page of an L2 without an EPT of its own, in a word.
///
/// Bit 63 says that there is one. The others are then its page frame number in the host: the CPU
/// knows it by its address there, and the host may move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct L2Page(u64);

impl L2Page {
    const EXISTS: u64 = 1 << 63;

    /// The page with this number; `None` if L2 has none.
    #[inline(always)]
    pub(crate) fn new(pfn: Option<u64>) -> Self {
        match pfn {
            Some(pfn) => Self(pfn | Self::EXISTS),
            None => Self(0),
        }
    }

    /// The page from its word.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word.
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    fn exists(self) -> bool {
        self.0 & Self::EXISTS != 0
    }
}

/// X12: whether the VM entry of an L2 without EPT in vmcs12 requires [`flush::current`].
///
/// When L1 turns L2's page on or moves it, it invalidates linear addresses. It has no EPT to
/// invalidate. But KVM has one for such L2s, and the CPU may have cached by it that the page is
/// ordinary memory. C does not flush that.
///
/// `last` is the page that such an L2 ran with last on this vCPU. It counts with
/// [`Options::KNOW_L2_PAGE`] only.
#[inline]
pub(crate) fn l2_page_requires_flush(
    caps: Caps,
    page: L2Page,
    options: Options,
    last: impl FnOnce() -> L2Page,
) -> bool {
    caps.has(Caps::EPT) && page.exists() && !(options.has(Options::KNOW_L2_PAGE) && last() == page)
}
