// SPDX-License-Identifier: GPL-2.0

//! The pairs of a hardware VPID and its owner that a vCPU has for its L2s.
//! (Rules: [`crate::policy::history`].)
//!
//! They are KVM's own, in `struct nested_vmx`. KVM frees their VPIDs at VMXOFF.
//!
//! What belongs to the pair in use is in two places. The VPID is `vpid02`. Its owner is `last_vpid`
//! while the owner's ids are where flush calls find them, and C may rely on it. While they are not,
//! `last_vpid` is 0, which is safe for C, and the owner is in `vpid02_owner`. The `vpid` of
//! `vpid02_owner` is no VPID, but the owner that this module has set last.

use super::{
    bindings,
    calls::call,
    fields::{
        self,
        Field, //
    },
    vcpu::Vcpu,
};
use crate::policy::{
    history::{
        Named,
        Rest,
        NOBODY, //
    },
    types::Vpid, //
};

/// The most pairs that are parked, in addition to the one in use.
pub(super) const MAX_PARKED: usize = bindings::NVMX_MAX_PARKED as usize;

/// [`Named::Nobody`] and [`Named::Unknown`] have no ids. In KVM's fields they are told from those
/// that have by the count of calls, which is never this large.
const NAMED_NOBODY: u64 = u64::MAX - 1;
const NAMED_UNKNOWN: u64 = u64::MAX - 2;

/// KVM's fields for one pair.
type Place = Field<bindings::vcpu_vmx, bindings::nested_vpid>;

const IN_USE: Place = fields::NESTED.then(fields::VPID02_OWNER);

impl<'h> Vcpu<'h> {
    /// How many pairs are parked.
    #[inline]
    fn nr_parked(self) -> usize {
        usize::from(self.get_vmx(fields::NESTED.then(fields::NR_PARKED))).min(MAX_PARKED)
    }

    /// Parked pair `number`; `None` if not as many are parked.
    #[inline]
    fn parked(self, number: usize) -> Option<Place> {
        if number >= self.nr_parked() {
            return None;
        }
        place(number)
    }

    /// The owners of the parked pairs, [`NOBODY`] for none.
    #[inline]
    pub(crate) fn owners(self) -> impl Iterator<Item = u16> + 'h {
        (0..self.nr_parked())
            .filter_map(place)
            .map(move |pair| self.get_vmx(pair.then(fields::PAIR_OWNER)))
    }

    /// The VPID of parked pair `number`.
    #[inline]
    pub(crate) fn parked_vpid(self, number: usize) -> Option<Vpid> {
        Vpid::new(self.get_vmx(self.parked(number)?.then(fields::PAIR_VPID)))
    }

    /// Takes the owner from parked pair `number`.
    #[inline]
    pub(crate) fn forget_parked(self, number: usize) {
        if let Some(pair) = self.parked(number) {
            self.set_vmx(pair.then(fields::PAIR_OWNER), NOBODY);
        }
    }

    /// Parks one more VPID, without an owner. False if there is no room, or VPIDs are scarce (V15).
    ///
    /// Only for a vCPU in VMX operation: KVM frees parked VPIDs when that ends.
    #[inline]
    pub(crate) fn park_vpid(self) -> bool {
        // SAFETY: kvm_intel's function, for a vCPU whose thread this is. It allocates a number, and
        // writes it where there is room.
        unsafe { call!(self.vmx_functions.nested_vmx_park_vpid(self.as_ptr())) }
    }

    /// Parked pair `number` and the pair in use change places. Returns what is known of the L2 that
    /// owns what is now in use; `None`, and no change, if there is no place with this number.
    #[inline]
    #[must_use]
    pub(crate) fn exchange_pair(self, number: usize) -> Option<Rest> {
        let pair = self.parked(number)?;
        let vpid02 = fields::NESTED.then(fields::VPID02);
        let (vpid, rest) = (self.get_vmx(pair.then(fields::PAIR_VPID)), self.rest(pair));

        self.set_vmx(pair.then(fields::PAIR_VPID), self.get_vmx(vpid02));
        self.set_vmx(pair.then(fields::PAIR_OWNER), self.owner_in_use());
        self.set_rest(pair, self.rest(IN_USE));
        self.set_vmx(vpid02, vpid);
        Some(rest)
    }

    /// The owner of the pair in use, whether flush calls find it or not; [`NOBODY`] for none.
    #[inline]
    pub(crate) fn owner_in_use(self) -> u16 {
        match self.last_vpid() {
            NOBODY => self.get_vmx(IN_USE.then(fields::PAIR_OWNER)),
            last_vpid => last_vpid,
        }
    }

    /// The owner that [`Vcpu::set_owner_in_use`] has set last. If the pair in use has another one,
    /// it came without a look at the parked pairs.
    #[inline]
    pub(crate) fn owner_last_set(self) -> u16 {
        self.get_vmx(IN_USE.then(fields::PAIR_VPID))
    }

    /// What is known of the L2 that owns the pair in use.
    #[inline]
    pub(crate) fn rest_in_use(self) -> Rest {
        self.rest(IN_USE)
    }

    /// `vpid12` owns the pair in use from now on.
    #[inline]
    pub(crate) fn set_owner_in_use(self, vpid12: u16, rest: Rest) {
        self.set_last_vpid(vpid12);
        self.set_vmx(IN_USE.then(fields::PAIR_VPID), vpid12);
        self.set_hidden_owner(NOBODY);
        self.set_rest(IN_USE, rest);
    }

    /// Records what is known of the L2 that owns the pair in use, which leaves the CPU.
    #[inline]
    pub(crate) fn set_rest_in_use(self, rest: Rest) {
        self.set_rest(IN_USE, rest);
    }

    /// Flush calls no longer find the L2 that owns the pair in use.
    #[inline]
    pub(crate) fn hide_owner_in_use(self) {
        let owner = self.owner_in_use();

        self.set_last_vpid(NOBODY);
        self.set_hidden_owner(owner);
    }

    /// The owner of the pair in use while `last_vpid` is 0.
    #[inline]
    pub(super) fn set_hidden_owner(self, vpid12: u16) {
        self.set_vmx(IN_USE.then(fields::PAIR_OWNER), vpid12);
    }

    /// How many entries found no pair so far.
    #[inline]
    pub(crate) fn vpid_misses(self) -> u16 {
        self.get_vmx(fields::NESTED.then(fields::VPID_MISSES))
    }

    /// Counts an entry that found no pair.
    #[inline]
    pub(crate) fn count_vpid_miss(self) {
        let misses = self.vpid_misses().wrapping_add(1);

        self.set_vmx(fields::NESTED.then(fields::VPID_MISSES), misses);
    }

    #[inline]
    fn rest(self, pair: Place) -> Rest {
        match self.get_vmx(pair.then(fields::PAIR_CALLS)) {
            NAMED_NOBODY => Rest::running(Named::Nobody),
            NAMED_UNKNOWN => Rest::running(Named::Unknown),
            calls => {
                let vm = self.get_vmx(pair.then(fields::PAIR_VM));
                let vp = self.get_vmx(pair.then(fields::PAIR_VP));
                Rest::from_fields(Named::Ids { vm, vp }, calls)
            }
        }
    }

    #[inline]
    fn set_rest(self, pair: Place, rest: Rest) {
        let calls = match rest.named {
            Named::Nobody => NAMED_NOBODY,
            Named::Unknown => NAMED_UNKNOWN,
            Named::Ids { vm, vp } => {
                self.set_vmx(pair.then(fields::PAIR_VM), vm);
                self.set_vmx(pair.then(fields::PAIR_VP), vp);
                rest.calls()
            }
        };

        self.set_vmx(pair.then(fields::PAIR_CALLS), calls);
    }
}

#[inline]
fn place(number: usize) -> Option<Place> {
    Some(fields::NESTED.then(fields::PARKED.at(number)?))
}
