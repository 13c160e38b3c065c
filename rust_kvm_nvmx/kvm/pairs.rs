// SPDX-License-Identifier: GPL-2.0

//! The pairs of a hardware VPID and its owner that a vCPU has for its L2s.
//! (Rules: [`crate::policy::history`].)
//!
//! They are KVM's own, in `struct nested_vmx`. KVM frees their VPIDs at VMXOFF.

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
    history::NOBODY,
    types::Vpid, //
};

/// The most pairs that are parked, in addition to the one in use.
pub(crate) const MAX_PARKED: usize = bindings::NVMX_MAX_PARKED as usize;

impl<'h> Vcpu<'h> {
    /// How many pairs are parked.
    #[inline]
    pub(crate) fn nr_parked(self) -> usize {
        usize::from(self.get_vmx(fields::NESTED.then(fields::NR_PARKED))).min(MAX_PARKED)
    }

    /// The owners of the parked pairs, [`NOBODY`] for none.
    #[inline]
    pub(crate) fn owners(self) -> impl Iterator<Item = u16> + 'h {
        (0..self.nr_parked())
            .filter_map(|number| fields::PARKED.at(number))
            .map(move |pair| self.get_vmx(fields::NESTED.then(pair.then(fields::PAIR_OWNER))))
    }

    /// The VPID of parked pair `number`.
    #[inline]
    pub(crate) fn parked_vpid(self, number: usize) -> Option<Vpid> {
        Vpid::new(self.get_vmx(vpid_of(number)?))
    }

    /// Takes the owner from parked pair `number`.
    #[inline]
    pub(crate) fn forget_parked(self, number: usize) {
        if let Some(owner) = owner_of(number) {
            self.set_vmx(owner, NOBODY);
        }
    }

    /// Parked pair `number` and the pair in use change places, and `vpid12` owns what is then the
    /// pair in use. False, and no change, if there is no such pair.
    #[inline]
    #[must_use]
    pub(crate) fn exchange_pair(self, number: usize, vpid12: u16) -> bool {
        let (Some(vpid), Some(owner)) = (vpid_of(number), owner_of(number)) else {
            return false;
        };
        let vpid02 = fields::NESTED.then(fields::VPID02);
        let parked = self.get_vmx(vpid);

        self.set_vmx(vpid, self.get_vmx(vpid02));
        self.set_vmx(owner, self.last_vpid());
        self.set_vmx(vpid02, parked);
        self.set_last_vpid(vpid12);
        true
    }

    /// Parks one more VPID, without an owner. False if there is no room, or VPIDs are scarce (V15).
    #[inline]
    pub(crate) fn park_vpid(self) -> bool {
        // SAFETY: kvm_intel's function, for a vCPU in VMX operation whose thread this is.
        unsafe { call!(self.vmx_functions.nested_vmx_park_vpid(self.as_ptr())) }
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
}

#[inline]
fn vpid_of(number: usize) -> Option<Field<bindings::vcpu_vmx, u16>> {
    Some(fields::NESTED.then(fields::PARKED.at(number)?.then(fields::PAIR_VPID)))
}

#[inline]
fn owner_of(number: usize) -> Option<Field<bindings::vcpu_vmx, u16>> {
    Some(fields::NESTED.then(fields::PARKED.at(number)?.then(fields::PAIR_OWNER)))
}
