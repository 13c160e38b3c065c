// SPDX-License-Identifier: GPL-2.0

//! The root of the page tables that a vCPU runs on.

use core::ptr::addr_of;

use kernel::{
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    warn_on, //
};

use crate::{
    bindings,
    policy::{
        eptp::{
            self,
            RootPage, //
        },
        flush::Root,
        types::Caps, //
    },
};

/// The address of no root. (`INVALID_PAGE`, which bindgen cannot evaluate.)
pub(crate) const INVALID_PAGE: u64 = u64::MAX;

/// What page the root at host-physical address `hpa` is. (`kvm_mmu_is_dummy_root`, `root_to_sp`.)
///
/// # Safety
///
/// `hpa` is the valid root of a vCPU that is loaded on this CPU, so that its page stays.
unsafe fn page_of(hpa: u64) -> RootPage {
    // SAFETY: The function only compares page numbers.
    if unsafe { bindings::nvmx_root_is_dummy(hpa) } {
        return RootPage::Dummy;
    }
    // SAFETY: By the caller's promise `hpa` has a `struct page`.
    let page = unsafe { bindings::nvmx_root_to_sp(hpa) };
    if page.is_null() {
        return RootPage::Unknown;
    }
    // Other threads mark a root as invalid in the same word while it is in use; the bits that are
    // read here stay for as long as the root does.
    // SAFETY: The MMU keeps the accounting of a loaded root.
    let word = unsafe { addr_of!((*page).role.word).read_volatile() };
    let role = bindings::kvm_mmu_page_role { word };
    // SAFETY: The word is all there is, and each of its bits is valid in both views.
    let role = unsafe { role.__bindgen_anon_1 };

    RootPage::Table {
        level: role.level(),
        ad_disabled: role.ad_disabled() != 0,
    }
}

/// H6's warning, once: a root that the MMU does not know.
#[cold]
fn warn_unknown_root() {
    static WARNED: Atomic<bool> = Atomic::<bool>::new(false);

    if !WARNED.xchg(true, Relaxed) {
        warn_on!(true);
    }
}

/// The root at `hpa`, as far as flushing it goes.
///
/// # Safety
///
/// `hpa` is what the vCPU's current MMU context says, and the vCPU is loaded on this CPU.
pub(crate) unsafe fn of(hpa: u64, caps: Caps) -> Root {
    if hpa == INVALID_PAGE {
        return Root::Invalid;
    }
    if !caps.ept {
        return Root::Shadow;
    }
    // SAFETY: `hpa` is a valid root by the first check, and the caller's by its promise.
    let page = unsafe { page_of(hpa) };

    match eptp::of_root(hpa, page, caps.ept_ad) {
        Some(eptp) => Root::Ept(eptp),
        None => {
            warn_unknown_root();
            Root::EptUnknown
        }
    }
}
