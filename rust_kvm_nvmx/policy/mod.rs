// SPDX-License-Identifier: GPL-2.0

//! The rules: which TLB flush KVM must do, and when.
//!
//! Facts go in, invalidations and requests come out. Nothing here uses the kernel, so the same
//! files are compiled on a development machine, where all rules are tested with every input that
//! can make a difference (`make check-policy`). This directory alone says *when* KVM flushes:
//!
//! - [`types`]: VPIDs, EPT pointers and addresses, each with a type of its own,
//! - [`flush`]: what to invalidate when KVM asks for everything, the current context, one address,
//!   or the guest's own translations (rules H1 to H5, H15, V23, V25, X3),
//! - [`eptp`]: which EPT pointer names a root (H6),
//! - [`transition`]: what a nested VM entry, VM exit or VMFUNC requires, and L2's VPID (T1 to T5,
//!   T8, T11, V16),
//! - [`history`]: how the translations of several vpid12s are kept (V1, V4, V5, V7 to V10,
//!   V15, V19),
//! - [`invalidate`]: L1's own INVVPID and INVEPT (T6, T13),
//! - [`apic_access`]: the APIC-access page (A2 to A4, X7, X12),
//! - [`roles`]: changes of CR0 and CR4 (R1 to R6),
//! - [`options`]: where the rules may flush less than C (T1, V1, V7, V9, V14, V16, V18, V23 to
//!   V25, X12),
//! - [`hv_call`]: what a Hyper-V flush hypercall asks for (E2, E5 to E7, E9, E17, X2, X5),
//! - [`tags`]: which vCPUs a sender must look at (V22),
//! - [`hv_ranges`]: what a call queues, and how a queue is handled (E7, E10, V24, X1, X4, X6,
//!   X9),
//! - [`hv_l2`]: which of L2's hypercalls L0 handles, for which vCPUs, and how they end (E1, E2, E8,
//!   E11, E12, X8, X10),
//! - [`check`]: how C's actions compare with Rust's decisions.
//!
//! "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3C; chapter
//! "VMX support for address translation", section "Caching translation information".
//! "TLFS" is Microsoft's Hypervisor Top Level Functional Specification.

#![forbid(unsafe_code)]

pub(crate) mod apic_access;
pub(crate) mod check;
pub(crate) mod eptp;
pub(crate) mod flush;
pub(crate) mod history;
pub(crate) mod hv_call;
pub(crate) mod hv_l2;
pub(crate) mod hv_ranges;
pub(crate) mod invalidate;
pub(crate) mod options;
pub(crate) mod roles;
pub(crate) mod tags;
pub(crate) mod transition;
pub(crate) mod types;
