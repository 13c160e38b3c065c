// SPDX-License-Identifier: GPL-2.0

//! A vCPU's MMU contexts and the roots in them.

use core::ptr::NonNull;

use super::{
    bindings,
    fields::{
        self,
        Field, //
    },
    live::{
        Live,
        Own, //
    }, //
};
use crate::policy::eptp::RootPage;

/// The address that means "no root". (KVM's macro of that name, which bindgen cannot evaluate.)
const INVALID_PAGE: u64 = u64::MAX;

/// The roots that KVM keeps for later use in a context, in addition to the current one.
pub(super) const PREVIOUS: usize = bindings::NVMX_KVM_MMU_NUM_PREV_ROOTS as usize;

/// An MMU context of the vCPU that a hook is about.
#[derive(Clone, Copy)]
pub(crate) struct Mmu<'h>(pub(super) Own<'h, bindings::kvm_mmu>);

/// A place for a root in a context. It is read when it is asked for, and not kept: a hook may free
/// roots while it has this.
///
/// # Invariants
///
/// `hpa` is where the context has a root's address, or INVALID_PAGE.
#[derive(Clone, Copy)]
pub(crate) struct CachedRoot<'h> {
    mmu: Mmu<'h>,
    hpa: Field<bindings::kvm_mmu, u64>,
    pgd: Field<bindings::kvm_mmu, u64>,
}

impl CachedRoot<'_> {
    /// The host-physical address of the root that is there now; `None` if there is none.
    #[inline(always)]
    pub(crate) fn hpa(self) -> Option<u64> {
        let Mmu(mmu) = self.mmu;
        let hpa = mmu.get(self.hpa);

        (hpa != INVALID_PAGE).then_some(hpa)
    }

    /// Its name for the guest: a CR3, or an EPT pointer of L1's.
    #[inline(always)]
    pub(crate) fn pgd(self) -> u64 {
        let Mmu(mmu) = self.mmu;

        mmu.get(self.pgd)
    }
}

/// The way from a root's address to what the MMU knows of its page.
///
/// # Invariants
///
/// `private_of_first` is the `private` field in the kernel's `struct page` of pfn 0. Those of all
/// other pages follow, because SPARSEMEM_VMEMMAP is on.
pub(super) struct Pages {
    private_of_first: *const *mut bindings::kvm_mmu_page,
    dummy_root: u64,
}

// SAFETY: The field of pfn 0 is the kernel's, and not of one thread.
unsafe impl Send for Pages {}
// SAFETY: Nothing in it changes.
unsafe impl Sync for Pages {}

impl Pages {
    /// Asks the kernel.
    pub(super) fn new() -> Self {
        // INVARIANT: `helpers.c` asserts that SPARSEMEM_VMEMMAP is on.
        // SAFETY: Both functions return what has been constant since boot.
        unsafe {
            Self {
                private_of_first: bindings::nvmx_private_of_first_page().cast(),
                dummy_root: bindings::nvmx_dummy_root(),
            }
        }
    }

    /// What the MMU knows of the page of `root`. (`kvm_mmu_is_dummy_root`, `root_to_sp`.)
    #[inline(always)]
    pub(super) fn of_root(&self, root: CachedRoot<'_>) -> RootPage {
        let Some(hpa) = root.hpa() else {
            return RootPage::UNKNOWN;
        };
        let page = hpa as usize >> bindings::NVMX_PAGE_SHIFT;
        let offset = page.wrapping_mul(bindings::NVMX_SIZE_OF_PAGE);
        // SAFETY: By the invariants this is the field of the page of a root that the context has
        // now. Only this thread frees the context's roots, and it does not while it is here. The
        // field is NULL, or constant and points to what the MMU knows. Any word is a role.
        let role = unsafe {
            let known = self.private_of_first.wrapping_byte_add(offset).read();
            let Some(known) = NonNull::new(known) else {
                return self.of_unknown(hpa);
            };
            // Other threads may mark the root as invalid, which is another bit.
            let word = Live::from_raw(known).read(fields::ROLE);

            bindings::kvm_mmu_page_role { word }.__bindgen_anon_1
        };

        RootPage {
            is_known: true,
            has_five_levels: role.level() == bindings::NVMX_5_LEVELS,
            may_have_ad: role.ad_disabled() == 0,
        }
    }

    /// The dummy root is the kernel's zero page.
    #[cold]
    fn of_unknown(&self, hpa: u64) -> RootPage {
        if hpa == self.dummy_root {
            RootPage::DUMMY
        } else {
            RootPage::UNKNOWN
        }
    }
}

impl<'h> Mmu<'h> {
    /// The pointer, for C.
    pub(super) fn as_ptr(self) -> *mut bindings::kvm_mmu {
        self.0.as_ptr()
    }

    /// The root that is in use, or was last.
    #[inline(always)]
    pub(crate) fn current(self) -> CachedRoot<'h> {
        // INVARIANT: This is the place of the root in use.
        CachedRoot {
            mmu: self,
            hpa: fields::ROOT_HPA,
            pgd: fields::ROOT_PGD,
        }
    }

    /// The roots that are kept for later use.
    pub(crate) fn previous(self) -> impl Iterator<Item = CachedRoot<'h>> {
        // KVM has no more. The compiler cannot know, and would check a count of them for overflow.
        (0..PREVIOUS.min(self.0.get(fields::NR_PREVIOUS) as usize))
            .filter_map(|number| fields::PREVIOUS_ROOTS.at(number))
            .map(move |root| {
                // INVARIANT: This is the place of one of the roots that are kept.
                CachedRoot {
                    mmu: self,
                    hpa: root.then(fields::PREVIOUS_HPA),
                    pgd: root.then(fields::PREVIOUS_PGD),
                }
            })
    }
}

/// Some of a context's roots.
#[derive(Clone, Copy, Default)]
pub(crate) struct RootSet(pub(super) usize);

impl RootSet {
    /// All of them.
    pub(crate) const ALL: Self = Self(bindings::NVMX_KVM_MMU_ROOTS_ALL as usize);

    /// Adds the current one if `add`.
    pub(crate) fn add_current(&mut self, add: bool) {
        if add {
            self.0 |= bindings::NVMX_KVM_MMU_ROOT_CURRENT as usize;
        }
    }

    /// Adds the one that is number `number` of those kept for later, if `add`.
    pub(crate) fn add_previous(&mut self, number: usize, add: bool) {
        if add && number < PREVIOUS {
            self.0 |= bindings::NVMX_ROOT_PREVIOUS_0 << number;
        }
    }

    /// The set has no root.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}
