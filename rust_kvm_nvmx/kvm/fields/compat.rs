// SPDX-License-Identifier: GPL-2.0

//! All that differs for Rust between the kernels that there are patches for (`docs/porting.md`).
//!
//! Where nothing compiles on all of them, Kbuild looks into the kernel's headers and sets a `cfg`.

use core::borrow::Borrow;

use kernel::{
    ffi::c_int,
    prelude::*, //
};

use super::*;
use crate::kvm::vcpu::Vcpu;

// Since 7.3, the walk of a guest's page tables has a structure of its own. Before, a whole MMU
// context described it.

#[cfg(nvmx_gva_walk)]
fields! {
    /// How the page tables of the running guest are walked.
    Field GVA_WALK: kvm_vcpu.arch.gva_walk is bindings::kvm_pagewalk;
}

#[cfg(not(nvmx_gva_walk))]
fields! {
    /// The MMU context by which the page tables of the running guest are walked.
    Field WALK_MMU: kvm_vcpu.arch.walk_mmu is *mut bindings::kvm_mmu;
}

/// What is compared of this file's fields.
pub(super) const LINES: &[kvm_nvmx_layout] = FIELDS;

/// What `kvm_translate_gpa()` takes for an address of the running guest.
#[cfg(nvmx_gva_walk)]
#[inline(always)]
pub(in crate::kvm) fn gva_walk(vcpu: Vcpu<'_>) -> *mut bindings::kvm_pagewalk {
    vcpu.own().part(GVA_WALK).as_ptr()
}

/// What `kvm_translate_gpa()` takes for an address of the running guest.
#[cfg(not(nvmx_gva_walk))]
#[inline(always)]
pub(in crate::kvm) fn gva_walk(vcpu: Vcpu<'_>) -> *mut bindings::kvm_mmu {
    vcpu.get(WALK_MMU)
}

/// A full barrier. `kernel`'s own takes an argument since 7.3.
#[inline(always)]
pub(in crate::kvm) fn full_barrier() {
    // SAFETY: A barrier asks for nothing.
    unsafe { kernel::bindings::smp_mb() };
}

/// EOPNOTSUPP, which `kernel` names since 7.3.
pub(in crate::kvm) fn unsupported() -> Error {
    Error::from_errno(-(kernel::bindings::EOPNOTSUPP as c_int))
}

/// What a parameter's `value()` returns, which is a reference before 7.3.
pub(crate) fn parameter(value: impl Borrow<u8>) -> u8 {
    *value.borrow()
}
