// SPDX-License-Identifier: GPL-2.0

//! A view of one of a vCPU's MMU contexts.

use core::{
    marker::PhantomData,
    ptr::addr_of, //
};

use crate::{
    bindings,
    kvm::root,
    policy::{
        apic_access::PREVIOUS_ROOTS,
        flush::Root,
        types::Caps, //
    },
};

/// An MMU context of the vCPU that a hook was called for.
///
/// # Invariants
///
/// The pointer is valid for `'a` and only the vCPU's own thread, which runs the hook, changes the
/// context's roots.
#[derive(Clone, Copy)]
pub(crate) struct Mmu<'a> {
    mmu: *mut bindings::kvm_mmu,
    _hook: PhantomData<&'a bindings::kvm_mmu>,
}

/// A root that the context holds.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// Its host-physical address, or `INVALID_PAGE`.
    hpa: u64,
    /// What the guest calls it: a CR3, or an EPT pointer of L1's.
    pub(crate) name: u64,
}

impl Held {
    /// Whether there is one.
    pub(crate) fn is_valid(self) -> bool {
        self.hpa != root::INVALID_PAGE
    }
}

impl Mmu<'_> {
    /// Wraps a context.
    ///
    /// # Safety
    ///
    /// `mmu` is a context of the vCPU for which the hook runs, and the view must not outlive the
    /// hook.
    pub(crate) unsafe fn from_raw(mmu: *mut bindings::kvm_mmu) -> Self {
        Self {
            mmu,
            _hook: PhantomData,
        }
    }

    /// The pointer, for C.
    pub(crate) fn as_ptr(self) -> *mut bindings::kvm_mmu {
        self.mmu
    }

    /// The root that is in use, or was last.
    pub(crate) fn current(self) -> Held {
        // SAFETY: By the type invariant.
        let root = unsafe { addr_of!((*self.mmu).root).read() };

        Held {
            hpa: root.hpa,
            name: root.pgd,
        }
    }

    /// The roots that are kept for later use.
    pub(crate) fn previous(self) -> [Held; PREVIOUS_ROOTS] {
        // SAFETY: By the type invariant.
        let roots = unsafe { addr_of!((*self.mmu).prev_roots).read() };

        roots.map(|root| Held {
            hpa: root.hpa,
            name: root.pgd,
        })
    }

    /// The root in use, as far as flushing it goes.
    pub(crate) fn root(self, caps: Caps) -> Root {
        // SAFETY: By the type invariant.
        unsafe { root::of(self.current().hpa, caps) }
    }

    /// The roots kept for later, as far as flushing them goes.
    pub(crate) fn previous_roots(self, caps: Caps) -> [Root; PREVIOUS_ROOTS] {
        self.previous().map(|held| {
            // SAFETY: By the type invariant.
            unsafe { root::of(held.hpa, caps) }
        })
    }
}
