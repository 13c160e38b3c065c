// SPDX-License-Identifier: GPL-2.0

//! What this module does at each of KVM's hooks: it reads what is true, asks the policy, and acts.
//!
//! Functions of more than a few lines are in files of their own:
//!
//! - [`flush`]: the flushes that KVM asks for by name (H1 to H6, H15, V23, V25, X3); how any flush
//!   is executed,
//! - [`transition`]: nested VM entries, VM exits and VMFUNC (T1 to T5, T8, T11, V1, V3, V8, V9,
//!   V16, X11),
//! - [`history`]: the VPIDs of several vpid12s (V1, V4, V5, V8 to V10, V15, V19, X6),
//! - [`instructions`]: L1's INVVPID and INVEPT (T6, T13, V5, V18),
//! - [`apic`]: the APIC-access pages of L1 and of L2s without EPT (A1 to A4, X12),
//! - [`control_regs`]: changes of CR0 and CR4 (R1 to R6),
//! - [`hv_send`]: a Hyper-V flush hypercall, from its input to the targets' queues (E5 to E9, E16,
//!   E17, V9, V22, V24, X1, X2, X4, X5, X8, X9),
//! - [`hv_drain`]: a target handles its queue (E10, V24, X4, X6, X8, X9, H8's purge),
//! - [`hv_l2`]: which of L2's hypercalls L0 handles, and how they end (E1, E2, E11, E12, X10),
//! - [`check`]: what the hooks would do, to compare it with C.
//!
//! The context of all hooks is in [`crate::kvm::hooks`].

use kernel::{
    ffi::c_ulong,
    prelude::*, //
};

use crate::{
    kvm::{
        hooks::{
            Handled,
            Ignored,
            NestedTlbHooks,
            VpidToWrite, //
        },
        hypercall::Hypercall,
        vcpu::{
            Vcpu,
            Vmcs12,
            WithSlots, //
        },
    },
    policy::types::Gva,
};

mod apic;
mod check;
mod control_regs;
mod flush;
mod history;
mod hv_drain;
mod hv_l2;
mod hv_send;
mod instructions;
mod transition;

/// The client of KVM's hooks.
pub(crate) struct NestedTlb;

#[vtable]
impl NestedTlbHooks for NestedTlb {
    #[inline(always)]
    fn flush_tlb_all(vcpu: Vcpu<'_>) {
        flush::all(vcpu);
    }

    #[inline(always)]
    fn flush_tlb_current(vcpu: Vcpu<'_>) {
        flush::current(vcpu);
    }

    #[inline(always)]
    fn flush_tlb_gva(vcpu: Vcpu<'_>, gva: Gva, _full: Ignored<*mut bool>) {
        flush::address(vcpu, gva);
    }

    #[inline(always)]
    fn flush_tlb_guest(vcpu: Vcpu<'_>) {
        flush::guest(vcpu);
    }

    #[inline(always)]
    fn flush_tlb_reset(vcpu: Vcpu<'_>) {
        flush::reset(vcpu);
    }

    #[inline(always)]
    fn set_apic_access_page_addr(vcpu: WithSlots<'_>) {
        apic::set_page(vcpu);
    }

    #[inline(always)]
    fn flush_tlb_apic_access(vcpu: Vcpu<'_>) {
        apic::turned_on(vcpu);
    }

    #[inline(always)]
    fn enter_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, _dirty: bool) -> VpidToWrite {
        transition::enter(vcpu, vmcs12)
    }

    #[inline(always)]
    fn exit_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
        transition::exit(vcpu, vmcs12);
    }

    #[inline(always)]
    fn handle_invvpid(vcpu: WithSlots<'_>) -> Handled {
        instructions::invvpid(vcpu)
    }

    #[inline(always)]
    fn handle_invept(vcpu: WithSlots<'_>) -> Handled {
        instructions::invept(vcpu)
    }

    #[inline(always)]
    fn vmfunc_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
        transition::vmfunc(vcpu, vmcs12);
    }

    #[inline(always)]
    fn vmcs12_released(vcpu: WithSlots<'_>) {
        instructions::vmcs12_released(vcpu);
    }

    #[inline(always)]
    fn evmcs_ids_changed(vcpu: Vcpu<'_>) {
        history::ids_changed(vcpu);
    }

    #[inline(always)]
    fn l2_tlb_flush_wanted(vcpu: Vcpu<'_>) -> bool {
        hv_l2::l0_handles_vmcall(vcpu)
    }

    #[inline(always)]
    fn exit_after_l2_tlb_flush(vcpu: Vcpu<'_>) {
        hv_l2::exit_after_flush(vcpu);
    }

    #[inline(always)]
    fn hv_flush_tlb(vcpu: WithSlots<'_>, call: Hypercall<'_>) -> u64 {
        hv_send::flush(vcpu, call)
    }

    #[inline(always)]
    fn hv_vcpu_flush_tlb(vcpu: Vcpu<'_>) -> Result {
        hv_drain::flush_queued(vcpu)
    }

    #[inline(always)]
    fn hv_purge_flush_tlb(vcpu: Vcpu<'_>) {
        hv_drain::purge(vcpu);
    }

    #[inline(always)]
    fn hv_hypercall_complete(vcpu: WithSlots<'_>, result: u64) -> Handled {
        hv_l2::complete(vcpu, result)
    }

    #[inline(always)]
    fn post_set_cr0(vcpu: WithSlots<'_>, old: c_ulong, new: c_ulong) {
        control_regs::cr0(vcpu, old as u64, new as u64);
    }

    #[inline(always)]
    fn post_set_cr4(vcpu: WithSlots<'_>, old: c_ulong, new: c_ulong) {
        control_regs::cr4(vcpu, old as u64, new as u64);
    }

    #[inline(always)]
    fn steal_time_tlb_flush(vcpu: WithSlots<'_>) {
        flush::steal_time(vcpu);
    }
}
