// SPDX-License-Identifier: GPL-2.0

//! A vCPU serves its queue before it enters its guest: rules E10, X4, X6, X9, and H8's purge.

use core::ffi::c_int;

use kernel::{
    error::code::EINVAL,
    jump_label::static_branch_unlikely, //
};

use crate::{
    bindings,
    hooks::{
        self,
        unless_c, //
    },
    kvm::{
        host::Host,
        hyperv::Hyperv,
        queue::{
            self,
            Level, //
        },
        vcpu::Vcpu,
        words::Words, //
    },
    policy::{
        flush,
        hv_ranges::{
            self,
            Serve, //
        },
    },
    registration,
    stats::{
        self,
        Counter, //
    },
};

/// E10: 0, or an error for which KVM flushes all of the running guest's own translations.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn hv_vcpu_flush_tlb(vcpu: *mut bindings::kvm_vcpu) -> c_int {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_hv_vcpu_flush_tlb,
        HvServeC,
        kvm host.hv_vcpu_flush_tlb(vcpu)
    );
    stats::count::<{ Counter::HvServeRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let caps = host.caps();
    let hv = match vcpu.hyperv() {
        Some(hv) if caps.ept => hv,
        hv => {
            purge(host, vcpu, hv);
            return EINVAL.to_errno();
        }
    };
    let mut entries = Words::new();

    let entries = take(vcpu, hv, &mut entries);

    match hv_ranges::serve(entries, caps.invvpid_address) {
        Serve::Everything => {
            // SAFETY: A hook is running for this vCPU.
            unsafe { hooks::flush_tlb_guest(vcpu.as_ptr()) };
            vcpu.count_tlb_flushes(1);
        }
        Serve::Pages => flush_pages(host, vcpu, entries),
    }
    0
}

/// Takes what is queued for the running guest, by whoever knew this vCPU, or asked it because nobody
/// could tell who it is (X8).
fn take<'a>(vcpu: Vcpu<'_>, hv: Hyperv<'_>, entries: &'a mut Words<{ queue::LEN }>) -> &'a [u64] {
    hv.learn_identity();
    let entries = hv.queue(Level::running(vcpu.runs_l2())).take(entries);

    if hv_ranges::misses_vpid02(vcpu.vmcs12_uses_vpid(), entries.is_empty()) {
        vcpu.set_last_vpid(0);
    }
    entries
}

/// X9: an address that is not canonical has no translation, and INVVPID would fail on it.
fn flush_pages(host: Host<'_>, vcpu: Vcpu<'_>, entries: &[u64]) {
    // T1 asks at each transition.
    if entries.is_empty() {
        return;
    }
    let addresses = hooks::Addresses::of_running(host, vcpu);

    for &entry in entries {
        for gva in hv_ranges::pages(entry) {
            if host.is_canonical(vcpu, gva) {
                addresses.flush(gva);
            }
        }
    }
    vcpu.count_tlb_flushes(entries.len() as u64);
}

/// H8: all of the running guest's own translations are flushed, which is more than is queued.
///
/// Not without EPT: C has synced the shadow tables *before* it flushed. A request that came since is
/// about a change that was perhaps made since, and the tables do not have it. The request stays.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
pub(crate) unsafe extern "C" fn hv_purge_flush_tlb(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_hv_purge_flush_tlb,
        HvPurgeC,
        kvm host.hv_purge_flush_tlb(vcpu)
    );
    stats::count::<{ Counter::HvPurgeRust as usize }>();

    // SAFETY: The argument of a running hook.
    if !host.caps().ept || !unsafe { bindings::nvmx_take_hv_tlb_flush_request(vcpu) } {
        return;
    }
    // SAFETY: As above; nobody makes this request of a TD's vCPU.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    purge(host, vcpu, vcpu.hyperv());
}

/// The request is gone and the running guest flushed, or about to be: forgets what was queued for
/// it. What is queued from now on comes with a request of its own.
///
/// With EPT the next transition serves the other level (T1). Else it is served here (X9), whatever
/// its queue says: another's entry may have been taken with the request before this one, and its
/// sender waits for this one. What that level needs of the MMU, a sync of its shadow tables, is
/// done with the running guest's, as both have their roots in one place. So it is for a vCPU
/// without Hyper-V state, for which there is no T1 either.
fn purge(host: Host<'_>, vcpu: Vcpu<'_>, hv: Option<Hyperv<'_>>) {
    let caps = host.caps();

    if let Some(hv) = hv {
        take(vcpu, hv, &mut Words::new());
        if !caps.ept {
            hv.queue(Level::running(vcpu.runs_l2()).other()).discard();
        }
    }
    if !caps.ept || hv.is_none() {
        let vpid =
            hv_ranges::vpid_of_other_level(vcpu.vmcs12_uses_vpid(), vcpu.vpid01(), vcpu.vpid02());
        hooks::do_if_owed(host, flush::context(caps, vpid));
    }
}
