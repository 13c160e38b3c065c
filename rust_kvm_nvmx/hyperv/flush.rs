// SPDX-License-Identifier: GPL-2.0

//! A flush hypercall, from L1 or L2: rules E5 to E9, E16, E17, X1, X2, X4 to X6, X8.

use kernel::jump_label::static_branch_unlikely;

use crate::{
    bindings,
    hooks::unless_c,
    kvm::{
        host::Host,
        hypercall::Hypercall,
        hyperv::{
            AnyVcpu,
            Hyperv,
            VcpuSet, //
        },
        queue::Level,
        vcpu::Vcpu,
        words::Words, //
    },
    policy::{
        hv_call::{
            self,
            Call,
            Shape,
            Status,
            Targets,
            MAX_WORDS, //
        },
        hv_l2, //
    },
    registration,
    stats::{
        self,
        Counter, //
    },
};

/// The hypercall's result.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn hv_flush_tlb(
    vcpu: *mut bindings::kvm_vcpu,
    call: *mut bindings::kvm_hv_hcall,
) -> u64 {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_hv_flush_tlb,
        HvFlushC,
        kvm host.hv_flush_tlb(vcpu, call)
    );
    stats::count::<{ Counter::HvFlushRust as usize }>();

    // SAFETY: The arguments of a running hook.
    let (vcpu, call) = unsafe { (Vcpu::from_raw(vcpu), Hypercall::from_raw(call)) };

    match serve(host, vcpu, call) {
        Ok(()) => hv_call::result_of_success(call.rep_cnt()),
        Err(status) => hv_call::result_of_failure(status),
    }
}

/// Nothing is done unless all of the input is good.
fn serve(host: Host<'_>, vcpu: Vcpu<'_>, call: Hypercall<'_>) -> Result<(), Status> {
    let shape = Shape::new(call.code(), call.var_cnt(), call.rep_cnt())?;
    let mut buffer = Words::new();
    let words = read(host, vcpu, call, shape, &mut buffer)?;
    let (header, rest) = shape.split(words)?;

    host.trace_flush(header, vcpu.runs_l2());
    let flush = shape.parse(header, rest)?;
    // Whoever makes hypercalls has Hyper-V state.
    let hv = vcpu.hyperv().ok_or(Status::InvalidInput)?;

    if vcpu.runs_l2() {
        flush_l2(host, vcpu, hv, &flush);
    } else {
        flush_l1(host, vcpu, hv, &flush);
    }
    Ok(())
}

/// E5, X5: the input, read once. L2's addresses are translated: all of it is in one page.
fn read<'a>(
    host: Host<'_>,
    vcpu: Vcpu<'_>,
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
    let gpa = host
        .translate(vcpu, call.input_gpa())
        .ok_or(Status::InvalidInput)?;
    host.read_words(vcpu, gpa, buffer, len)
        .ok_or(Status::InvalidInput)
}

/// E17: L1's call. A target that runs L2 serves it when it is back in L1 (T1).
fn flush_l1(host: Host<'_>, vcpu: Vcpu<'_>, hv: Hyperv<'_>, call: &Call<'_>) {
    let mut set = hv.empty_vcpu_set();
    let mut queue = |index: usize, target: AnyVcpu<'_>| {
        match target.queue(Level::L1) {
            Some(queue) => queue.push(call.what),
            // X9: it may have one, an empty one, by the time that it serves the request.
            None => target.request_tlb_flush(),
        }
        set.add(index);
    };

    if call.targets == Targets::All || !vcpu.vp_indexes_are_indexes() {
        for (index, target) in vcpu.all_vcpus() {
            if call.targets.contains(target.vp_index()) {
                queue(index, target);
            }
        }
    } else {
        // X6: nobody is looked at who is not in the set.
        for index in call.targets.indexes() {
            if let Some(target) = vcpu.vcpu_at(index) {
                queue(index, target);
            }
        }
    }
    request(host, vcpu, set);
}

/// E8, X8: L2's call, which reaches the vCPUs that may run its virtual machine now. One that comes
/// to run it later enters anew, which owes a flush of its own wherever there may be something
/// stale (T2, T4).
fn flush_l2(host: Host<'_>, vcpu: Vcpu<'_>, hv: Hyperv<'_>, call: &Call<'_>) {
    hv.learn_identity();
    let vm = hv.vm_id();
    let mut set = hv.empty_vcpu_set();

    for (index, target) in vcpu.all_vcpus() {
        let (Some(identity), Some(queue)) = (target.identity(), target.queue(Level::L2)) else {
            continue;
        };
        if hv_l2::is_target(vm, &call.targets, identity) {
            queue.push(call.what);
            set.add(index);
        }
    }
    request(host, vcpu, set);
}

/// E16: one request to all of them, after all has been queued.
fn request(host: Host<'_>, vcpu: Vcpu<'_>, mut set: VcpuSet<'_>) {
    // SAFETY: The set's buffer is KVM's own for this.
    unsafe { host.request_hv_tlb_flush(vcpu, set.as_mut_ptr()) };
}
