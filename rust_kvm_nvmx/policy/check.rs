// SPDX-License-Identifier: GPL-2.0

//! To compare what C did at a hook with what Rust would have done from the same facts.

use super::types::{
    Invalidation,
    Request, //
};

/// Requests that a hook made of its own vCPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// KVM_REQ_TLB_FLUSH_GUEST.
    pub(crate) guest: bool,
    /// KVM_REQ_TLB_FLUSH_CURRENT.
    pub(crate) current: bool,
    /// KVM_REQ_HV_TLB_FLUSH.
    pub(crate) hyperv: bool,
}

impl From<Option<Request>> for Requests {
    fn from(request: Option<Request>) -> Self {
        Self {
            guest: request == Some(Request::Guest),
            current: request == Some(Request::Current),
            hyperv: false,
        }
    }
}

/// The invalidations that a hook executed, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invalidations {
    /// The first ones.
    first: [Option<Invalidation>; Self::ROOM],
    /// How many there are, with those for which there is no room.
    number: u32,
}

impl Invalidations {
    /// So many are compared one by one, of the others only the number.
    const ROOM: usize = 3;

    /// One more; `None` if it has a type that KVM does not use.
    pub(crate) fn add(&mut self, invalidation: Option<Invalidation>) {
        if let Some(room) = self.first.get_mut(self.number as usize) {
            *room = invalidation;
        }
        self.number = self.number.saturating_add(1);
    }
}

impl FromIterator<Invalidation> for Invalidations {
    fn from_iter<T: IntoIterator<Item = Invalidation>>(all: T) -> Self {
        let mut these = Self::default();

        all.into_iter().for_each(|one| these.add(Some(one)));
        these
    }
}

/// What a hook does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// The requests that it makes.
    pub(crate) requests: Requests,
    /// The invalidations that it executes.
    pub(crate) invalidations: Invalidations,
    /// The vpid12 that vpid02 stands for afterwards.
    pub(crate) last_vpid: u16,
    /// What it returns, as C's number; 0 for nothing.
    pub(crate) answer: u64,
}

/// A known difference of C's from Rust, by its rule. The X ones are bugs of C's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// L1's paravirtual flush while an L2 with a VPID runs.
    X3,
    /// The status of misplaced input.
    X5,
    /// An L2 whose ids change.
    X6,
    /// The APIC-access page, turned on by an L2 without EPT.
    X7,
    /// L2's flush call that is for a nested hypervisor.
    E2,
    /// A fast call whose input does not fit in the registers.
    E5,
}

/// What Rust would do. If C is known to differ there, also what C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nobody can tell without doing it.
    Unknown,
    /// Only this answer can be told. The guest may change its input meanwhile. C's may be any.
    Answer(u64, Option<Known>),
    /// All of this.
    Effects(Effects, Option<(Known, Effects)>),
}

/// How the two compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was compared.
    NotCompared,
    /// They agree.
    Same,
    /// They differ, and the reason has a name.
    Known(Known),
    /// They differ.
    Different,
}

/// Compares what C `did` with what was `expected`. `again` is asked after C acted: what is expected
/// of the guest's input then.
pub(crate) fn compare(
    expected: &Expected,
    did: &Effects,
    again: impl FnOnce() -> Expected,
) -> Verdict {
    match verdict(expected, did) {
        Verdict::Different if matches!(expected, Expected::Answer(..)) => {
            let again = again();

            match verdict(&again, did) {
                Verdict::Different if again != *expected => Verdict::NotCompared,
                verdict => verdict,
            }
        }
        verdict => verdict,
    }
}

fn verdict(expected: &Expected, did: &Effects) -> Verdict {
    let (same, known) = match expected {
        Expected::Unknown => return Verdict::NotCompared,
        Expected::Answer(answer, known) => (*answer == did.answer, *known),
        Expected::Effects(effects, c) => (
            effects == did,
            c.filter(|(_, effects)| effects == did).map(|c| c.0),
        ),
    };

    match known {
        _ if same => Verdict::Same,
        Some(known) => Verdict::Known(known),
        None => Verdict::Different,
    }
}
