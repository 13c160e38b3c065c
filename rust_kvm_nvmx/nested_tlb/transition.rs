// SPDX-License-Identifier: GPL-2.0

//! Nested VM entries, VM exits, and L2's own switch to another EPT ([`super`] lists the rules).
//!
//! Nothing is flushed here: KVM handles the requests when the new context is complete.
//!
//! The closure `decided` is told which request a transition requires, and records it if the
//! tracepoint is on. A tracepoint that is off costs one NOP and no registers: another copy of the
//! functions runs without it.

use kernel::warn_on;

use crate::{
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
    flush,
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
    } else {
        flush_on_entry(vcpu, vmcs12, |_| ())
    }
}

#[inline(always)]
fn flush_on_entry(
    vcpu: Vcpu<'_>,
    vmcs12: Vmcs12<'_>,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    if vcpu.hyperv().is_some() {
        enter_with_hyperv(vcpu, vmcs12, decided)
    } else {
        enter_vpid12(vcpu, vmcs12.vpid12(), decided)
    }
}

#[inline(never)]
fn enter_with_hyperv(
    vcpu: Vcpu<'_>,
    vmcs12: Vmcs12<'_>,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    check_hyperv_queue(vcpu, Level::L2);
    enter_vpid12(vcpu, vmcs12.vpid12(), decided)
}

/// One path each for the compiler, since the rules for L2s with and without a VPID have nothing in
/// common.
#[inline(always)]
fn enter_vpid12(
    vcpu: Vcpu<'_>,
    vpid12: Option<u16>,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    match vpid12 {
        _ if transition::is_impossible(vpid12, vcpu.caps()) => {
            enter_impossible(vcpu, vpid12, decided)
        }
        Some(vpid12) if needs_other_pair(vcpu, vpid12) => enter_other_pair(vcpu, vpid12, decided),
        Some(_) => enter_pair_in_use(vcpu, vpid12, decided),
        None => enter_pair_in_use(vcpu, None, decided),
    }
}

/// T3. A function of its own because the warning costs its function a stack frame.
#[cold]
#[inline(never)]
fn enter_impossible(
    vcpu: Vcpu<'_>,
    vpid12: Option<u16>,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    warn_on!(true);
    enter_pair_in_use(vcpu, vpid12, decided)
}

/// V1: the pair in use is another vpid12's, and there may be a parked one.
#[inline(always)]
fn needs_other_pair(vcpu: Vcpu<'_>, vpid12: u16) -> bool {
    transition::new_owner(Some(vpid12), vcpu.last_vpid()).is_some() && history::is_on(vcpu)
}

/// On an ordinary VMCS. Nothing is compared or counted then, which leaves a short path.
#[inline(never)]
fn enter_other_pair(
    vcpu: Vcpu<'_>,
    vpid12: u16,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    if vcpu.has_evmcs() {
        enter_other_pair_by_name(vcpu, vpid12, decided)
    } else {
        enter_named(vcpu, vpid12, Named::Nobody, decided)
    }
}

/// On an enlightened VMCS.
#[inline(never)]
fn enter_other_pair_by_name(
    vcpu: Vcpu<'_>,
    vpid12: u16,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    enter_named(vcpu, vpid12, vcpu.l2_name(), decided)
}

/// Enters a vpid12 that does not own the pair in use.
#[inline(always)]
fn enter_named(
    vcpu: Vcpu<'_>,
    vpid12: u16,
    named: Named,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    let required = history::enter(vcpu, vpid12, named);

    flush::request(vcpu, required);
    decided(required);
    // V3: the pair may have changed.
    VpidToWrite::new(vcpu.vpid02())
}

/// Enters without a look at parked pairs.
#[inline(always)]
fn enter_pair_in_use(
    vcpu: Vcpu<'_>,
    vpid12: Option<u16>,
    decided: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    let own = |vpid12| {
        vcpu.set_last_vpid(vpid12);
    };

    decide_entry(vcpu, vpid12, own, |required| {
        flush::request(vcpu, required);
        decided(required);
    })
}

/// T2, T4, T5, T8: what an entry requires without a history of vpid12s. Returns the VPID to write.
///
/// Calls `own` with the vpid12 that vpid02 stands for from now on, if that changes, and `request`
/// before the VPID is chosen: in this order the compiler keeps least in registers.
#[inline(always)]
pub(super) fn decide_entry(
    vcpu: Vcpu<'_>,
    vpid12: Option<u16>,
    own: impl FnOnce(u16),
    request: impl FnOnce(Option<Request>),
) -> VpidToWrite {
    let caps = vcpu.caps();
    let vpid01 = || vcpu.vpid01();
    let vpid02 = || vcpu.vpid02();

    let new_owner = transition::new_owner(vpid12, vcpu.last_vpid());
    if let Some(vpid12) = new_owner {
        own(vpid12);
    }
    request(transition::required_on_entry(
        vpid12, new_owner, vpid02, caps,
    ));

    if transition::must_write_vpid(caps) {
        VpidToWrite::new(current_vpid(Some(vpid12.is_some()), vpid01, vpid02))
    } else {
        VpidToWrite::NONE
    }
}

#[cold]
#[inline(never)]
fn trace_entry(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> VpidToWrite {
    let last_vpid = vcpu.last_vpid();

    flush_on_entry(vcpu, vmcs12, |required| {
        let vpid12 = vmcs12.vpid12();
        let why = match transition::reason(vpid12.is_some(), required) {
            Reason::OwnTag if vpid12 != Some(last_vpid) => Reason::ParkedVpid,
            why => why,
        };

        trace(vcpu, Step::Enter, vmcs12, last_vpid, required, why);
    })
}

/// L2 exits to L1.
#[inline(always)]
pub(super) fn exit(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    apic::record_of_l2(vcpu, vmcs12);
    if vcpu.traces_transition() {
        trace_exit(vcpu, vmcs12);
    } else {
        flush_on_exit(vcpu, vmcs12, |_| ());
    }
}

#[inline(always)]
fn flush_on_exit(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, decided: impl FnOnce(Option<Request>)) {
    if vcpu.hyperv().is_some() {
        exit_with_hyperv(vcpu, vmcs12, decided);
    } else if vmcs12.uses_vpid() {
        exit_vpid12(vcpu, true, decided);
    } else {
        exit_without_vpid12(vcpu, decided);
    }
}

/// A function of its own, because V16 looks at more than the other path needs.
#[inline(never)]
fn exit_without_vpid12(vcpu: Vcpu<'_>, decided: impl FnOnce(Option<Request>)) {
    exit_vpid12(vcpu, false, decided);
}

#[inline(never)]
fn exit_with_hyperv(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, decided: impl FnOnce(Option<Request>)) {
    check_hyperv_queue(vcpu, Level::L1);
    if vmcs12.uses_vpid() {
        history::exit(vcpu);
        exit_vpid12(vcpu, true, decided);
    } else {
        exit_without_vpid12(vcpu, decided);
    }
}

#[inline(always)]
fn exit_vpid12(vcpu: Vcpu<'_>, uses_vpid: bool, decided: impl FnOnce(Option<Request>)) {
    let required = decide_exit(vcpu, uses_vpid, || vcpu.options());

    flush::request(vcpu, required);
    decided(required);
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
    flush_on_exit(vcpu, vmcs12, |required| {
        let why = transition::reason(vmcs12.uses_vpid(), required);

        trace(vcpu, Step::Exit, vmcs12, vcpu.last_vpid(), required, why);
    });
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
        flush::request(vcpu, required_on_vmfunc(vmcs12));
    }
}

#[cold]
#[inline(never)]
fn trace_vmfunc(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) {
    let required = required_on_vmfunc(vmcs12);
    let why = required.map_or(Reason::OwnTag, |_| Reason::VmfuncNoVpid);

    flush::request(vcpu, required);
    trace(vcpu, Step::Vmfunc, vmcs12, vcpu.last_vpid(), required, why);
}

/// T11: the decision alone.
#[inline(always)]
pub(super) fn required_on_vmfunc(vmcs12: Vmcs12<'_>) -> Option<Request> {
    transition::vmfunc_requires_guest_flush(vmcs12.uses_vpid()).then_some(Request::Guest)
}

#[cold]
#[inline(never)]
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
