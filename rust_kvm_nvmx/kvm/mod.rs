// SPDX-License-Identifier: GPL-2.0

//! Nested VMX's TLB flushes as KVM offers them to a client, without `unsafe` for the client.
//!
//! C headers: `arch/x86/kvm/nvmx_hooks.h`, `nvmx-hooks.h` and `nvmx-functions.h`.
//!
//! How the parts fit:
//!
//! - A client implements [`hooks::NestedTlbHooks`]: one safe function for each decision that KVM
//!   offers. It need not implement all of them: the others stay with KVM's C code.
//! - While a [`registration::Registration`] of the client lives, KVM calls these functions. It also
//!   says which side decides at each hook. What KVM and the module know of each other is in
//!   [`client`].
//! - A hook is given views that end with its call: its [`vcpu::Vcpu`] and [`vcpu::Vmcs12`], its
//!   [`hypercall::Hypercall`]. From the vCPU come others: its [`mmu::Mmu`], its own
//!   [`hyperv::Hyperv`] state with the [`queue`]s of addresses to flush, and its [`peers`].
//! - What a hook may do are methods of its vCPU: INVVPID and INVEPT ([`insn`]), requests that are
//!   handled before the guest runs ([`request`]), and calls into KVM ([`calls`]).
//! - A hook may be compared with C instead of replacing it ([`hooks::NestedTlbChecks`], `check`).
//! - Each decision has a tracepoint ([`trace`]).
//! - [`live`] reads and writes the fields of C's structures. [`fields`] declares each. Registration
//!   compares all of them with the running kernel's.
//! - [`compat`] has what differs between kernels.
//!
//! All `unsafe` code of the module is in this directory. [`example`] is a small client.
//!
//! One thing binds this directory to its client: types and some rules of [`crate::policy`]. The
//! registration knows the client's options (V14), and a queue knows when it has room (X4). They are
//! there because the policy is also built without a kernel.

#![allow(unsafe_code)]

pub(crate) mod apic_page;
mod bindings;
pub(crate) mod calls;
mod check;
mod client;
pub(crate) mod counters;
pub(crate) mod debugfs;
mod example;
mod fields;
mod flush_calls;
pub(crate) mod hooks;
pub(crate) mod host;
pub(crate) mod hypercall;
pub(crate) mod hyperv;
mod insn;
mod live;
pub(crate) mod mmu;
mod pairs;
pub(crate) mod peers;
pub(crate) mod queue;
pub(crate) mod registration;
mod request;
pub(crate) mod trace;
pub(crate) mod vcpu;
pub(crate) mod words;

pub(crate) use fields::compat;

// The policy defines these numbers itself, because it does not use the kernel.
const _: () = {
    use crate::policy::{
        invalidate,
        roles, //
    };

    assert!(invalidate::VPID_ADDRESS == insn::INDIVIDUAL_ADDRESS as u64);
    assert!(invalidate::VPID_ALL == insn::ALL_CONTEXTS as u64);
    assert!(invalidate::EPT_SINGLE == insn::EPT_SINGLE_CONTEXT as u64);
    assert!(roles::CR0_ROLE == bindings::NVMX_KVM_MMU_CR0_ROLE_BITS);
    assert!(roles::CR4_ROLE == bindings::NVMX_KVM_MMU_CR4_ROLE_BITS);
};
