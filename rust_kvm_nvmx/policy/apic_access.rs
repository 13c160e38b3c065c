// SPDX-License-Identifier: GPL-2.0

//! The flushes around the APIC-access page (rules A1 to A4).
//!
//! SDM volume 3C, "Virtualizing Memory-Mapped APIC Accesses": whether an access is one to the
//! APIC-access page is decided by the translation that is used for it, and the CPU may go on using
//! one that it cached while the page was ordinary memory.

use super::{
    flush::{
        self,
        Root, //
    },
    types::{
        Caps,
        Invalidation,
        Vpid, //
    },
};

/// The roots that KVM keeps for later use in a context, beside the current one.
pub(crate) const PREVIOUS_ROOTS: usize = 3;

/// Who runs when L1's page is turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// L1.
    L1,
    /// L2 on an EPT of its own: L1's root is the current one of L1's context.
    L2WithEpt {
        /// L1's root.
        root01: Root,
    },
    /// L2 in L1's context: the current root is L2's, L1's is among those kept for later.
    L2WithoutEpt {
        /// The roots kept for later.
        previous: [Root; PREVIOUS_ROOTS],
    },
}

/// What turning on L1's APIC-access page owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// A request to flush the current context, served before L1 goes on.
    Request,
    /// Invalidations here and now: by the next VM exit to L1 nobody would remember.
    Now([Option<Invalidation>; PREVIOUS_ROOTS]),
}

/// A4: what turning on L1's APIC-access page owes, for whatever L1 cached while it was off.
///
/// A root of L1's that is neither loaded nor kept is flushed when it is loaded (H10).
pub(crate) fn turned_on(caps: Caps, running: Running, vpid01: Option<Vpid>) -> Owed {
    match running {
        Running::L1 => Owed::Request,
        // Without EPT all of L1's translations have its VPID.
        _ if !caps.ept => Owed::Now([flush::context(caps, vpid01), None, None]),
        Running::L2WithEpt { root01 } => {
            Owed::Now([flush::current(caps, root01, vpid01), None, None])
        }
        Running::L2WithoutEpt { previous } => {
            Owed::Now(previous.map(|root| flush::current(caps, root, vpid01)))
        }
    }
}

/// What to do with the address of the page in vmcs01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Write it.
    Write,
    /// It may be gone already: look again before the vCPU next runs.
    LookAgain,
}

/// A2: whether the page that was found is still the one. A3: nothing is flushed for it, as what
/// took the old page away has flushed all roots.
pub(crate) fn address(invalidated_meanwhile: bool) -> Address {
    if invalidated_meanwhile {
        Address::LookAgain
    } else {
        Address::Write
    }
}
