// SPDX-License-Identifier: GPL-2.0

//! Which of L2's hypercalls L0 handles, and how a hypercall ends (rules E1, E2, E11, E12, X10).

use crate::{
    kvm::{
        hooks::Handled,
        hyperv::Hyperv,
        vcpu::{
            Vcpu,
            WithSlots, //
        }, //
    },
    policy::{
        hv_call::Control,
        hv_l2::{
            self,
            Completion,
            Vmcall, //
        },
    },
};

/// E1, E2: L0 handles the VMCALL that L2 has just executed.
#[inline(always)]
pub(super) fn l0_handles_vmcall(vcpu: Vcpu<'_>) -> bool {
    if vcpu.traces_vmcall() {
        return trace_vmcall(vcpu);
    }
    would_handle_vmcall(vcpu)
}

/// E2: a flush call that is not for L0, though C takes it.
pub(super) fn is_nested_flush(vcpu: Vcpu<'_>) -> bool {
    let control = control(vcpu, vcpu.is_64_bit_hypercall());

    control.is_flush() && control.is_nested()
}

/// E1, E2: the decision alone.
#[inline(always)]
pub(super) fn would_handle_vmcall(vcpu: Vcpu<'_>) -> bool {
    vcpu.hyperv()
        .is_some_and(|hv| l0_handles(vcpu, &vmcall(vcpu, hv)))
}

#[inline(always)]
fn vmcall(vcpu: Vcpu<'_>, hv: Hyperv<'_>) -> Vmcall {
    Vmcall {
        offered: hv.offers_direct_flush(),
        evmcs_enables: vcpu.evmcs_enables_direct_flush(),
        assist_page_enables: hv.assist_page_enables_direct_flush(),
    }
}

#[inline(always)]
fn l0_handles(vcpu: Vcpu<'_>, call: &Vmcall) -> bool {
    hv_l2::l0_handles(call, || control(vcpu, vcpu.is_64_bit_hypercall()))
}

#[inline(always)]
fn control(vcpu: Vcpu<'_>, is_64_bit: bool) -> Control {
    Control(vcpu.hypercall_control(is_64_bit))
}

#[cold]
#[inline(never)]
fn trace_vmcall(vcpu: Vcpu<'_>) -> bool {
    let Some(hv) = vcpu.hyperv() else {
        return false;
    };
    let call = vmcall(vcpu, hv);
    let l0 = l0_handles(vcpu, &call);

    vcpu.trace_vmcall(|| {
        (
            call.offered,
            call.evmcs_enables,
            call.assist_page_enables,
            l0,
        )
    });
    l0
}

/// E11: any hypercall of L1's or L2's ends with `result`.
#[inline(always)]
pub(super) fn complete(vcpu: WithSlots<'_>, result: u64) -> Handled {
    let is_64_bit = vcpu.is_64_bit_hypercall();
    let end = completion(vcpu, is_64_bit, result);

    vcpu.trace_hv_complete(|| (vcpu.runs_l2(), end.result, end.exit_to_l1));
    vcpu.set_hypercall_result(is_64_bit, end.result);
    let handled = vcpu.skip_instruction();
    if end.exit_to_l1 {
        vcpu.end_flush_with_exit();
    }
    handled
}

#[inline(always)]
fn completion(vcpu: WithSlots<'_>, is_64_bit: bool, result: u64) -> Completion {
    if !hv_l2::lock_count_matters(result, vcpu.runs_l2(), || control(*vcpu, is_64_bit)) {
        return Completion {
            result,
            exit_to_l1: false,
        };
    }
    let lock_count = vcpu
        .hyperv()
        .and_then(|hv| vcpu.read_u32(hv.partition_assist_page()));

    hv_l2::completion(result, lock_count)
}

/// E12, X10: L2's flush is done and L1 must be told, by a nested VM exit after L2's VMCALL.
pub(super) fn exit_after_flush(vcpu: Vcpu<'_>) {
    if let Some(trap) = hv_l2::pending_after_flush(vcpu.queued_db()) {
        vcpu.set_pending_debug(trap);
    }
    vcpu.exit_to_l1(hv_l2::EXIT_AFTER_FLUSH);
}
