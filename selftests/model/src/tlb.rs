// SPDX-License-Identifier: GPL-2.0

//! The TLBs and paging-structure caches of the CPUs, as the SDM lets them behave ("Information That
//! May Be Cached").
//!
//! A CPU may cache anything that the active context can derive, at any time, and keep it until an
//! operation invalidates it. So the model needs no choice here: what *may* be cached is everything
//! that was derivable since the last invalidation. This is the worst case of all behaviours. A
//! translation and the paging-structure entries on its way have the same tags and go by the same
//! operations, so they are one thing here.

use crate::policy::types::Invalidation;

/// A page table root; 0 is none. Each has its own EP4TA.
pub type Root = u8;

/// Linear mappings, which have no root: the host uses no EPT.
pub const NO_ROOT: Root = 0;
/// KVM's direct root for L1.
pub const ROOT_L1: Root = 1;
/// KVM's direct root for an L2 without EPT in vmcs12.
pub const ROOT_L2: Root = 2;
/// KVM's roots for L1's EPT pointers begin here.
pub const ROOT_EPT12: Root = 3;
/// The root of another VM.
pub const ROOT_OTHER: Root = 7;

/// One of two groups of translations: those of the address that INVVPID type 0 and Hyper-V's
/// precise flushes name, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Page {
    Named,
    Others,
}

/// How old what is cached may be, as a set. A set with the worst needs no other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ages(u8);

impl Ages {
    /// The architecture allows its use.
    pub const ALLOWED: Self = Self(1);
    /// It is older than a flush that is under way. It may be used until the flush is complete.
    pub const CONDEMNED: Self = Self(2);
    /// It is older than a flush that was promised and is complete: it must not be used.
    pub const FORBIDDEN: Self = Self(4);

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Debug for Ages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (age, name) in [
            (Self::ALLOWED, "allowed "),
            (Self::CONDEMNED, "condemned "),
            (Self::FORBIDDEN, "FORBIDDEN "),
        ] {
            if self.has(age) {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// What was cached while one context ran.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mapping {
    pub cpu: u8,
    /// The hardware VPID; 0 for guest-physical mappings, which have none.
    pub vpid: u8,
    pub root: Root,
    /// The vCPU that ran. Of a guest-physical mapping: the vCPU that may use it, since vCPUs share
    /// roots.
    pub vcpu: u8,
    /// The context that ran, 0 for L1; 0 for guest-physical mappings.
    pub ctx: u8,
    pub page: Page,
    pub ages: Ages,
}

impl Mapping {
    fn key(&self) -> (u8, u8, Root, u8, u8, Page) {
        (
            self.cpu, self.vpid, self.root, self.vcpu, self.ctx, self.page,
        )
    }

    pub fn is_guest_physical(&self) -> bool {
        self.vpid == 0
    }

    pub fn is_forbidden(&self) -> bool {
        self.ages.has(Ages::FORBIDDEN)
    }
}

/// All that may be cached, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tlb(Vec<Mapping>);

impl Tlb {
    pub fn mappings(&self) -> &[Mapping] {
        &self.0
    }

    /// A context that runs may cache this. What is forbidden stays so, whatever comes beside it.
    pub fn cache(&mut self, mapping: Mapping) {
        match self
            .0
            .binary_search_by(|other| other.key().cmp(&mapping.key()))
        {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at).filter(|known| !known.is_forbidden()) {
                    known.ages.0 |= mapping.ages.0;
                }
            }
            Err(at) => self.0.insert(at, mapping),
        }
    }

    /// `cpu` executes `invalidation` (SDM, "INVVPID", "INVEPT"). It need not invalidate more than
    /// it must, so nothing else goes.
    pub(crate) fn execute(&mut self, cpu: u8, invalidation: Invalidation) {
        self.0.retain(|mapping| {
            let tagged = !mapping.is_guest_physical();
            let hit = match invalidation {
                Invalidation::InvvpidAddress(vpid, _) => {
                    tagged && u16::from(mapping.vpid) == vpid.get() && mapping.page == Page::Named
                }
                Invalidation::InvvpidSingle(vpid) => {
                    tagged && u16::from(mapping.vpid) == vpid.get()
                }
                Invalidation::InvvpidAll => tagged,
                Invalidation::InveptSingle(eptp) => {
                    mapping.root != NO_ROOT && u64::from(mapping.root) == eptp.0 >> 12
                }
                Invalidation::InveptAll => mapping.root != NO_ROOT,
            };
            mapping.cpu != cpu || !hit
        });
    }

    /// A flush of those mappings is under way.
    pub fn condemn(&mut self, which: impl Fn(&Mapping) -> bool) {
        self.age(Ages::ALLOWED, Ages::CONDEMNED, which);
    }

    /// The flush that condemned is complete.
    pub fn complete(&mut self) {
        self.age(Ages::CONDEMNED, Ages::FORBIDDEN, |_| true);
    }

    /// Those mappings must not be used from now on.
    pub fn forbid(&mut self, which: impl Fn(&Mapping) -> bool) {
        for mapping in &mut self.0 {
            if which(mapping) {
                mapping.ages = Ages::FORBIDDEN;
            }
        }
    }

    fn age(&mut self, from: Ages, to: Ages, which: impl Fn(&Mapping) -> bool) {
        for mapping in &mut self.0 {
            if mapping.ages.has(from) && which(mapping) {
                mapping.ages = if to == Ages::FORBIDDEN {
                    to
                } else {
                    Ages(mapping.ages.0 & !from.0 | to.0)
                };
            }
        }
    }
}
