// SPDX-License-Identifier: GPL-2.0

//! A Hyper-V flush hypercall of the running guest, from its input to the targets' queues: rules E5
//! to E9, E16, E17, V9, V22, V24, X1, X2, X4, X5, X8, X9.
//!
//! The steps of a flush between two vCPUs:
//!
//! 1. the sender's hypercall is read and parsed, queued for each target, and requested of all
//!    (here),
//! 2. each target handles its queue before it next enters its guest ([`super::hv_drain`]); the
//!    sender waits until it has left the guest (E16),
//! 3. the sender's call completes ([`super::hv_l2`]), for an L2 with an exit to L1 if L1 asked for
//!    one.

use crate::{
    kvm::{
        hypercall::Hypercall,
        hyperv::Hyperv,
        peers::{
            AnyVcpu,
            VcpuSet, //
        },
        vcpu::{
            Vcpu,
            WithSlots, //
        },
        words::Words, //
    },
    policy::{
        check::Known,
        hv_call::{
            self,
            Call,
            Header,
            Shape,
            Status,
            Targets,
            MAX_WORDS, //
        },
        hv_l2,
        hv_ranges::Queued,
        options::Options,
        tags::Tags,
        types::Level, //
    },
};

/// Returns the hypercall's result.
#[inline(always)]
pub(super) fn flush(vcpu: WithSlots<'_>, call: Hypercall<'_>) -> u64 {
    match send(vcpu, call) {
        Ok(()) => hv_call::result_of_success(call.rep_cnt()),
        Err(status) => {
            vcpu.trace_hv_flush(|| (vcpu.runs_l2(), call.code(), status as u16, 0, 0));
            hv_call::result_of_failure(status)
        }
    }
}

/// Nothing is done unless all of the input is valid.
#[inline(always)]
fn send(vcpu: WithSlots<'_>, call: Hypercall<'_>) -> Result<(), Status> {
    let mut buffer = Words::new();
    let flush = parse(vcpu, call, &mut buffer, |header| {
        vcpu.trace_flush_input(header)
    })?;
    // A vCPU that makes Hyper-V hypercalls has Hyper-V state, so this does not fail.
    let hv = vcpu.hyperv().ok_or(Status::InvalidInput)?;

    if vcpu.runs_l2() {
        send_to_l2s(*vcpu, hv, call.code(), &flush);
    } else {
        send_to_l1s(*vcpu, hv, call.code(), &flush);
    }
    Ok(())
}

/// What the call asks for. `buffer` keeps the input. Calls `see` with the header before the rest
/// is looked at.
#[inline(always)]
fn parse<'a>(
    vcpu: WithSlots<'_>,
    call: Hypercall<'_>,
    buffer: &'a mut Words<MAX_WORDS>,
    see: impl FnOnce(Header),
) -> Result<Call<'a>, Status> {
    let shape = Shape::new(call.code(), call.var_cnt(), call.rep_cnt())?;
    let words = read(vcpu, call, shape, buffer)?;
    let (header, rest) = shape.split(words)?;

    see(header);
    shape.parse(header, rest, vcpu.options())
}

/// The hypercall's result, as [`flush`] would return it, and in which way C may differ there.
#[cold]
#[inline(never)]
pub(super) fn result_without_sending(
    vcpu: WithSlots<'_>,
    call: Hypercall<'_>,
) -> (u64, Option<Known>) {
    let fits = Shape::new(call.code(), call.var_cnt(), call.rep_cnt())
        .and_then(|shape| shape.fits_registers())
        .is_ok();

    match parse(vcpu, call, &mut Words::new(), |_| ()) {
        Ok(_) => (hv_call::result_of_success(call.rep_cnt()), None),
        Err(status) => (
            hv_call::result_of_failure(status),
            match status {
                Status::InvalidAlignment => Some(Known::X5),
                _ if call.is_fast() && !fits => Some(Known::E5),
                _ => None,
            },
        ),
    }
}

/// E5, X5: reads the input once. One translation of L2's address suffices, because all of the input
/// is in one page.
#[inline(always)]
fn read<'a>(
    vcpu: WithSlots<'_>,
    call: Hypercall<'_>,
    shape: Shape,
    buffer: &'a mut Words<MAX_WORDS>,
) -> Result<&'a mut [u64], Status> {
    let len = shape.words_to_read();

    if call.is_fast() {
        shape.fits_registers()?;
        return call.registers(buffer, len).ok_or(Status::InvalidInput);
    }

    shape.may_lie_at(call.input_gpa())?;
    let gpa = vcpu
        .translate(call.input_gpa())
        .ok_or(Status::InvalidInput)?;
    vcpu.read_words(gpa, buffer, len)
        .ok_or(Status::InvalidInput)
}

/// E17: L1's call. A target that runs L2 handles it when it is back in L1 (T1).
fn send_to_l1s(vcpu: Vcpu<'_>, hv: Hyperv<'_>, code: u16, call: &Call<'_>) {
    let mut set = hv.empty_vcpu_set();
    let mut queue = |index: usize, target: AnyVcpu<'_>| {
        queue_for_l1(target, call);
        set.add(index);
    };

    if call.targets == Targets::All || !vcpu.vp_indexes_are_indexes() {
        for (index, target) in vcpu.all_vcpus() {
            if call.targets.contains(target.vp_index()) {
                queue(index, target);
            }
        }
    } else {
        // Only vCPUs in the set are looked at.
        for index in call.targets.indexes() {
            if let Some(target) = vcpu.vcpu_at(index) {
                queue(index, target);
            }
        }
    }
    request(vcpu, code, call, set);
}

#[inline(never)]
fn queue_for_l1(target: AnyVcpu<'_>, call: &Call<'_>) {
    match target.queue(Level::L1) {
        Some(queue) => queue.push(call.what),
        // X9: it may have an empty queue by the time that it handles the request.
        None => target.request_tlb_flush(),
    }
}

/// E8, X8: L2's call. Its targets are the vCPUs that may currently run an L2 of this VM. A vCPU
/// that enters such an L2 later flushes on that VM entry if it must (T2, T4, V9).
fn send_to_l2s(vcpu: Vcpu<'_>, hv: Hyperv<'_>, code: u16, call: &Call<'_>) {
    hv.learn_identity();
    let vm = hv.vm_id();
    let options = vcpu.options();
    // V9. Until the end of this function.
    let _counted = options
        .has(Options::COUNT_CALLS)
        .then(|| vcpu.count_flush_call(vm, &call.targets));
    let mut set = hv.empty_vcpu_set();

    // V22: a vCPU with another tag need not be looked at.
    let tags = Tags::if_worth_it(vcpu.number_of_vcpus(), || Tags::of(vm, &call.targets));

    for (index, target) in vcpu.vcpus_with_tag(tags.as_ref()) {
        let (Some(identity), Some(queue)) = (target.identity(), target.queue(Level::L2)) else {
            continue;
        };
        if hv_l2::is_target(vm, &call.targets, identity) {
            queue.push(call.what);
            set.add(index);
        }
    }
    request(vcpu, code, call, set);
}

/// The targets handle their queues before they next enter their guests.
#[inline(always)]
fn request(vcpu: Vcpu<'_>, code: u16, call: &Call<'_>, targets: VcpuSet<'_>) {
    vcpu.trace_hv_flush(|| {
        let entries = match call.what {
            Queued::Everything => -1,
            Queued::Entries(entries) => entries.len() as i32,
        };
        (vcpu.runs_l2(), code, 0, entries, targets.len())
    });
    targets.request_hyperv_flush();
}
