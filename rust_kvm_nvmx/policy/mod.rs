// SPDX-License-Identifier: GPL-2.0

//! The decisions: which invalidation does KVM owe, and when.
//!
//! Facts go in, invalidations and requests come out. Nothing here knows of the kernel, so the
//! same files are compiled and tested exhaustively on a development machine (`make check-policy`).
//! Whoever wants to know *when* KVM flushes reads this directory and nothing else:
//!
//! - [`flush`]: what to invalidate when KVM asks for all, the current, one address, or the guest's
//!   own translations (rules H1 to H5, H15),
//! - [`eptp`]: which EPT pointer names a root (H6),
//! - [`transition`]: what a nested VM entry or VM exit owes L1 (T1 to T5),
//! - [`vmcs02`]: the VPID that L2 runs with, and L2's switches between EPTs (T8, T11),
//! - [`invalidate`]: L1's own INVVPID and INVEPT (T6, T13),
//! - [`apic_access`]: the APIC-access page (A1 to A4),
//! - [`roles`]: changes of CR0 and CR4 (R1 to R6),
//! - [`types`]: VPIDs, EPT pointers and addresses that cannot be mistaken for each other.
//!
//! "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3C; chapter
//! "VMX support for address translation", section "Caching translation information".

#![forbid(unsafe_code)]

pub(crate) mod apic_access;
pub(crate) mod eptp;
pub(crate) mod flush;
pub(crate) mod invalidate;
pub(crate) mod roles;
pub(crate) mod transition;
pub(crate) mod types;
pub(crate) mod vmcs02;
