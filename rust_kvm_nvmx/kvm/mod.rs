// SPDX-License-Identifier: GPL-2.0

//! What is true now: KVM's structures behind views that do not outlive the hook.

pub(crate) mod apic_page;
pub(crate) mod functions;
pub(crate) mod host;
pub(crate) mod hv_functions;
pub(crate) mod hypercall;
pub(crate) mod hyperv;
pub(crate) mod layout;
pub(crate) mod mmu;
pub(crate) mod queue;
pub(crate) mod root;
pub(crate) mod vcpu;
pub(crate) mod vmcs01;
pub(crate) mod words;
