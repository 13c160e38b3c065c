// SPDX-License-Identifier: GPL-2.0

//! What is L2's alone: who serves its call, and how the call ends (rules E1, E2, E11, E12, X6).

use core::ffi::c_int;

use kernel::jump_label::static_branch_unlikely;

use crate::{
    bindings,
    hooks::unless_c,
    kvm::{
        host::Host,
        vcpu::Vcpu, //
    },
    policy::hv_l2::{
        self,
        Call,
        Completion, //
    },
    registration,
    stats::{
        self,
        Counter, //
    },
};

/// E1, E2: L0 serves the VMCALL that L2 has just made.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn l2_tlb_flush_wanted(vcpu: *mut bindings::kvm_vcpu) -> bool {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_l2_tlb_flush_wanted,
        HvWantedC,
        host.l2_tlb_flush_wanted(vcpu)
    );
    stats::count::<{ Counter::HvWantedRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };

    vcpu.hyperv().is_some_and(|hv| {
        hv_l2::l0_serves(Call {
            offered: hv.offers_direct_flush(),
            evmcs_enables: vcpu.evmcs_enables_direct_flush(),
            assist_page_enables: hv.assist_page_enables_direct_flush(),
            code: vcpu.hypercall_code(host.is_64_bit_hypercall(vcpu)),
        })
    })
}

/// E11: a hypercall, any of L1's or L2's, ends with `result`. What KVM's exit handlers return.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn hv_hypercall_complete(
    vcpu: *mut bindings::kvm_vcpu,
    result: u64,
) -> c_int {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_hv_hypercall_complete,
        HvCompleteC,
        kvm host.hv_hypercall_complete(vcpu, result)
    );
    stats::count::<{ Counter::HvCompleteRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let is_64_bit = host.is_64_bit_hypercall(vcpu);
    let end = completion(host, vcpu, is_64_bit, result);

    host.trace_hypercall_done(end.result);
    vcpu.set_hypercall_result(is_64_bit, end.result);
    let ret = host.skip_instruction(vcpu);
    if end.exit_to_l1 {
        // SAFETY: L2 is active.
        unsafe { exit_after_l2_tlb_flush(vcpu.as_ptr()) };
    }
    ret
}

fn completion(host: Host<'_>, vcpu: Vcpu<'_>, is_64_bit: bool, result: u64) -> Completion {
    let code = || vcpu.hypercall_code(is_64_bit);

    if !hv_l2::lock_count_matters(result, vcpu.runs_l2(), code) {
        return Completion {
            result,
            exit_to_l1: false,
        };
    }
    let lock_count = vcpu
        .hyperv()
        .and_then(|hv| host.read_u32(vcpu, hv.partition_assist_page()));

    hv_l2::completion(result, lock_count)
}

/// E12: L2's flush is done, and L1 is to know: a nested exit behind L2's VMCALL.
///
/// # Safety
///
/// Called by KVM's hook table, see the module's documentation, and by [`hv_hypercall_complete`];
/// L2 is active.
pub(crate) unsafe extern "C" fn exit_after_l2_tlb_flush(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_exit_after_l2_tlb_flush,
        HvExitC,
        host.exit_after_l2_tlb_flush(vcpu)
    );
    stats::count::<{ Counter::HvExitRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    host.exit_to_l1(vcpu, hv_l2::EXIT_AFTER_FLUSH);
}

/// X6: who the vCPU's L2 is has changed, or it has none any more that others can name. What it left
/// under its vpid12 is flushed when a vpid12 is next used, even if it is the same.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn evmcs_ids_changed(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_evmcs_ids_changed,
        HvIdsC,
        host.evmcs_ids_changed(vcpu)
    );
    stats::count::<{ Counter::HvIdsRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    if hv_l2::may_leave_an_l2_behind(vcpu.has_evmcs(), vcpu.has_plain_vmcs()) {
        // T4: no vpid12 is 0.
        vcpu.set_last_vpid(0);
    }
}
