// SPDX-License-Identifier: GPL-2.0

//! The hooks that Rust serves: KVM's table, and a switch for each.

use super::{
    apic,
    instructions,
    l2,
    roles, //
};
use crate::{
    bindings,
    hyperv,
    mode::Switch,
    registration, //
};

macro_rules! switch {
    ($name:literal, $key:ident) => {
        // SAFETY: A switch of `helpers.c`.
        unsafe { Switch::new($name, &raw mut bindings::$key) }
    };
}

/// All hooks that Rust can serve.
pub(crate) static SWITCHES: [Switch; 22] = [
    switch!(c"flush_tlb_all", nvmx_switch_flush_tlb_all),
    switch!(c"flush_tlb_current", nvmx_switch_flush_tlb_current),
    switch!(c"flush_tlb_gva", nvmx_switch_flush_tlb_gva),
    switch!(c"flush_tlb_guest", nvmx_switch_flush_tlb_guest),
    switch!(c"flush_tlb_reset", nvmx_switch_flush_tlb_reset),
    switch!(c"transition_tlb_flush", nvmx_switch_transition_tlb_flush),
    switch!(c"vmcs02_vpid", nvmx_switch_vmcs02_vpid),
    switch!(c"vmfunc_tlb_flush", nvmx_switch_vmfunc_tlb_flush),
    switch!(c"handle_invvpid", nvmx_switch_handle_invvpid),
    switch!(c"handle_invept", nvmx_switch_handle_invept),
    switch!(c"flush_tlb_apic_access", nvmx_switch_flush_tlb_apic_access),
    switch!(
        c"set_apic_access_page_addr",
        nvmx_switch_set_apic_access_page_addr
    ),
    switch!(c"post_set_cr0", nvmx_switch_post_set_cr0),
    switch!(c"post_set_cr4", nvmx_switch_post_set_cr4),
    switch!(c"steal_time_tlb_flush", nvmx_switch_steal_time_tlb_flush),
    switch!(c"hv_flush_tlb", nvmx_switch_hv_flush_tlb),
    switch!(c"hv_vcpu_flush_tlb", nvmx_switch_hv_vcpu_flush_tlb),
    switch!(c"hv_purge_flush_tlb", nvmx_switch_hv_purge_flush_tlb),
    switch!(c"hv_hypercall_complete", nvmx_switch_hv_hypercall_complete),
    switch!(c"l2_tlb_flush_wanted", nvmx_switch_l2_tlb_flush_wanted),
    switch!(
        c"exit_after_l2_tlb_flush",
        nvmx_switch_exit_after_l2_tlb_flush
    ),
    switch!(c"evmcs_ids_changed", nvmx_switch_evmcs_ids_changed),
];

/// The table that KVM calls through; `None` is C's.
pub(crate) const OPS: bindings::kvm_nvmx_ops = bindings::kvm_nvmx_ops {
    flush_tlb_all: Some(super::flush_tlb_all),
    flush_tlb_current: Some(super::flush_tlb_current),
    flush_tlb_gva: Some(super::flush_tlb_gva),
    flush_tlb_guest: Some(super::flush_tlb_guest),
    flush_tlb_reset: Some(super::flush_tlb_reset),
    transition_tlb_flush: Some(super::transition_tlb_flush),
    vmcs02_vpid: Some(l2::vmcs02_vpid),
    vmfunc_tlb_flush: Some(l2::vmfunc_tlb_flush),
    handle_invvpid: Some(instructions::handle_invvpid),
    handle_invept: Some(instructions::handle_invept),
    flush_tlb_apic_access: Some(apic::flush_tlb_apic_access),
    set_apic_access_page_addr: Some(apic::set_apic_access_page_addr),
    post_set_cr0: Some(roles::post_set_cr0),
    post_set_cr4: Some(roles::post_set_cr4),
    steal_time_tlb_flush: Some(super::steal_time_tlb_flush),
    hv_flush_tlb: Some(hyperv::flush::hv_flush_tlb),
    hv_vcpu_flush_tlb: Some(hyperv::serve::hv_vcpu_flush_tlb),
    hv_purge_flush_tlb: Some(hyperv::serve::hv_purge_flush_tlb),
    hv_hypercall_complete: Some(hyperv::l2::hv_hypercall_complete),
    l2_tlb_flush_wanted: Some(hyperv::l2::l2_tlb_flush_wanted),
    exit_after_l2_tlb_flush: Some(hyperv::l2::exit_after_l2_tlb_flush),
    evmcs_ids_changed: Some(hyperv::l2::evmcs_ids_changed),
    ..registration::NO_OPS
};
