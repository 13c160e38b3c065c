// SPDX-License-Identifier: GPL-2.0

//! Nested VM entries, VM exits, and L2's own switch to another EPT ([`super`] lists the rules).
//!
//! Nothing is flushed here: KVM handles the requests when the new context is complete.
//!
//! A tracepoint that is off costs one NOP and no registers: while it is on, a cold copy runs.

use kernel::warn_on;

use crate::{
    flush,
    kvm::{
        hooks::VpidToWrite,
        trace::Step,
        vcpu::{
            Vcpu,
            Vmcs12, //
        },
    },
    policy::{
        flush::current_vpid,
        history::Named,
        options::Options,
        transition::{
            self,
            Reason, //
        },
        types::{
            Level,
            Request, //
        },
    },
};

use super::{
    apic,
    history, //
};

/// L1 enters L2. Returns the VPID to write to vmcs02.
///
/// What takes long is in functions of its own, which end the hook: so it needs no stack frame.
#[inline(always)]
pub(super) fn enter(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    if vmcs12.has_apic_page_without_ept() {
        enter_with_apic_page(vcpu, vmcs12)
    } else {
        enter_any(vcpu, vmcs12)
    }
}

#[inline(never)]
fn enter_with_apic_page(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    apic::request_for_l2(vcpu, vmcs12);
    enter_any(vcpu, vmcs12)
}

/// What every L2 requires.
#[inline(always)]
fn enter_any(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    if vcpu.traces_transition() {
        trace_entry(vcpu, vmcs12)
    } else if vcpu.hyperv().is_some() {
        enter_with_hyperv(vcpu, vmcs12)
    } else {
        enter_with_vpid12(vcpu, vmcs12)
    }
}

#[inline(never)]
fn enter_with_hyperv(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    check_hyperv_queue(vcpu, Level::L2);
    enter_with_vpid12(vcpu, vmcs12)
}

/// One path each for the compiler, since the rules for L2s with and without a VPID have nothing in
/// common.
#[inline(always)]
fn enter_with_vpid12(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    match vmcs12.vpid12() {
        vpid12 if transition::is_impossible(vpid12, vcpu.caps()) => enter_impossible(vcpu, vpid12),
        Some(vpid12) if needs_other_pair(vcpu, vpid12) => enter_other_pair(vcpu, vpid12),
        vpid12 @ Some(_) => flush_on_entry(vcpu, vpid12).1,
        None => flush_on_entry(vcpu, None).1,
    }
}

/// V1: the pair in use is another vpid12's, and there may be a parked one.
#[inline(always)]
fn needs_other_pair(vcpu: Vcpu<'_>, vpid12: u16) -> bool {
    transition::new_owner(Some(vpid12), vcpu.last_vpid()).is_some() && history::is_on(vcpu)
}

/// On an ordinary VMCS. Nothing is compared or counted then, which leaves a short path.
#[inline(never)]
fn enter_other_pair(vcpu: Vcpu<'_>, vpid12: u16) -> VpidToWrite {
    if vcpu.has_evmcs() {
        enter_other_pair_by_name(vcpu, vpid12)
    } else {
        flush_on_other_pair(vcpu, vpid12, Named::Nobody).1
    }
}

/// On an enlightened VMCS.
#[inline(never)]
fn enter_other_pair_by_name(vcpu: Vcpu<'_>, vpid12: u16) -> VpidToWrite {
    flush_on_other_pair(vcpu, vpid12, vcpu.l2_name()).1
}

/// Enters a vpid12 that does not own the pair in use: makes the request that this requires. Returns
/// it, and the VPID to write.
#[inline(always)]
fn flush_on_other_pair(
    vcpu: Vcpu<'_>,
    vpid12: u16,
    named: Named,
) -> (Option<Request>, VpidToWrite) {
    let required = history::enter(vcpu, vpid12, named);

    flush::request(vcpu, required);
    // V3: the pair may have changed.
    (required, VpidToWrite::new(vcpu.vpid02()))
}

/// Makes the request that the entry requires. Returns it, and the VPID to write.
#[inline(always)]
fn flush_on_entry(vcpu: Vcpu<'_>, vpid12: Option<u16>) -> (Option<Request>, VpidToWrite) {
    let own = |vpid12| {
        vcpu.set_last_vpid(vpid12);
    };

    decide_entry(vcpu, vpid12, own, |required| {
        flush::request(vcpu, required);
    })
}

/// T2, T4, T5, T8: what an entry requires without a history of vpid12s, and the VPID to write.
///
/// Calls `own` with the vpid12 that vpid02 stands for from now on, if that changes, and `request`
/// before the VPID is chosen: in this order the compiler keeps least in registers.
#[inline(always)]
pub(super) fn decide_entry(
    vcpu: Vcpu<'_>,
    vpid12: Option<u16>,
    own: impl FnOnce(u16),
    request: impl FnOnce(Option<Request>),
) -> (Option<Request>, VpidToWrite) {
    let caps = vcpu.caps();
    let vpid01 = || vcpu.vpid01();
    let vpid02 = || vcpu.vpid02();

    let new_owner = transition::new_owner(vpid12, vcpu.last_vpid());
    if let Some(vpid12) = new_owner {
        own(vpid12);
    }
    let required = transition::required_on_entry(vpid12, new_owner, vpid02, caps);
    request(required);

    let vpid = if transition::must_write_vpid(caps) {
        VpidToWrite::new(current_vpid(Some(vpid12.is_some()), vpid01, vpid02))
    } else {
        VpidToWrite::NONE
    };
    (required, vpid)
}

/// T3. A function of its own because the warning costs its function a stack frame.
#[cold]
#[inline(never)]
fn enter_impossible(vcpu: Vcpu<'_>, vpid12: Option<u16>) -> VpidToWrite {
    warn_on!(true);
    flush_on_entry(vcpu, vpid12).1
}

/// The same as [`enter_any`], step by step.
#[cold]
#[inline(never)]
fn trace_entry(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    let vpid12 = vmcs12.vpid12();
    let last_vpid = vcpu.last_vpid();

    check_hyperv_queue(vcpu, Level::L2);
    warn_on!(transition::is_impossible(vpid12, vcpu.caps()));
    let (required, vpid) = match vpid12 {
        Some(vpid12) if needs_other_pair(vcpu, vpid12) => {
            flush_on_other_pair(vcpu, vpid12, vcpu.l2_name())
        }
        _ => flush_on_entry(vcpu, vpid12),
    };
    let why = match transition::reason(vpid12.is_some(), required) {
        Reason::OwnTag if vpid12 != Some(last_vpid) => Reason::ParkedVpid,
        why => why,
    };

    trace(vcpu, Step::Enter, vmcs12, last_vpid, required, why);
    vpid
}

/// L2 exits to L1.
#[inline(always)]
pub(super) fn exit(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    apic::record_of_l2(vcpu, vmcs12);
    if vcpu.traces_transition() {
        trace_exit(vcpu, vmcs12);
    } else if vcpu.hyperv().is_some() {
        exit_with_hyperv(vcpu, vmcs12);
    } else if vmcs12.uses_vpid() {
        flush_on_exit(vcpu, true);
    } else {
        exit_without_vpid12(vcpu);
    }
}

/// A function of its own, because V16 looks at more than the other path needs.
#[inline(never)]
fn exit_without_vpid12(vcpu: Vcpu<'_>) {
    flush_on_exit(vcpu, false);
}

#[inline(never)]
fn exit_with_hyperv(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    leave_hyperv_queue(vcpu, vmcs12);
    flush_on_exit(vcpu, vmcs12.uses_vpid());
}

/// T1, V8, V9.
#[inline(always)]
fn leave_hyperv_queue(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    let Some(hv) = vcpu.hyperv() else {
        return;
    };

    check_hyperv_queue(vcpu, Level::L1);
    if history::records_exits(vcpu) && vmcs12.uses_vpid() && !vcpu.entry_has_failed() {
        history::exit(vcpu, hv);
    }
}

#[inline(always)]
fn flush_on_exit(vcpu: Vcpu<'_>, uses_vpid: bool) -> Option<Request> {
    let required = decide_exit(vcpu, uses_vpid, || vcpu.options());

    flush::request(vcpu, required);
    required
}

/// T2, T5, V16: what an exit requires.
#[inline(always)]
pub(super) fn decide_exit(
    vcpu: Vcpu<'_>,
    uses_vpid: bool,
    options: impl FnOnce() -> Options,
) -> Option<Request> {
    transition::required_on_exit(
        uses_vpid,
        || vcpu.vpid02(),
        vcpu.caps(),
        options,
        || vcpu.entry_has_failed(),
    )
}

#[cold]
#[inline(never)]
fn trace_exit(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    leave_hyperv_queue(vcpu, vmcs12);
    let uses_vpid = vmcs12.uses_vpid();
    let required = flush_on_exit(vcpu, uses_vpid);
    let why = transition::reason(uses_vpid, required);

    trace(vcpu, Step::Exit, vmcs12, vcpu.last_vpid(), required, why);
}

/// T1. `level` is the one that becomes active.
#[inline(always)]
fn check_hyperv_queue(vcpu: Vcpu<'_>, level: Level) {
    if must_check_hyperv_queue(vcpu, level, || vcpu.options()) {
        vcpu.request_hyperv_flush();
    }
}

/// T1: the decision alone.
#[inline(always)]
pub(super) fn must_check_hyperv_queue(
    vcpu: Vcpu<'_>,
    level: Level,
    options: impl FnOnce() -> Options,
) -> bool {
    let hyperv = vcpu.hyperv();
    let is_empty = || hyperv.is_some_and(|hyperv| hyperv.queue(level).is_empty());

    transition::must_check_hyperv_queue(hyperv.is_some(), vcpu.caps(), options, is_empty)
}

/// L2 has switched to another EPT. KVM handles the request before L2 continues.
#[inline(always)]
pub(super) fn vmfunc(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    if vcpu.traces_transition() {
        trace_vmfunc(vcpu, vmcs12);
    } else {
        flush_on_vmfunc(vcpu, vmcs12);
    }
}

#[inline(always)]
fn flush_on_vmfunc(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> Option<Request> {
    let required =
        transition::vmfunc_requires_guest_flush(vmcs12.uses_vpid()).then_some(Request::Guest);

    flush::request(vcpu, required);
    required
}

#[cold]
#[inline(never)]
fn trace_vmfunc(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    let required = flush_on_vmfunc(vcpu, vmcs12);
    let why = required.map_or(Reason::OwnTag, |_| Reason::VmfuncNoVpid);

    trace(vcpu, Step::Vmfunc, vmcs12, vcpu.last_vpid(), required, why);
}

fn trace(
    vcpu: Vcpu<'_>,
    step: Step,
    vmcs12: Vmcs12<'_>,
    last_vpid: u16,
    required: Option<Request>,
    why: Reason,
) {
    vcpu.trace_transition(|| {
        let vpid12 = vmcs12.vpid12().unwrap_or(0);
        let eptp12 = vmcs12.eptp12().unwrap_or(0);
        let (vm_id, vp_id) = vcpu.hyperv().map_or((0, 0), |hv| (hv.vm_id(), hv.vp_id()));

        (step, vpid12, last_vpid, eptp12, vm_id, vp_id, required, why)
    });
}
