// SPDX-License-Identifier: GPL-2.0

//! A vCPU handles its queue of Hyper-V flushes before it enters its guest: rules E10, V24, X4,
//! X6, X8, X9, and H8's purge.

use kernel::prelude::*;

use crate::{
    kvm::{
        hooks,
        hyperv::Hyperv,
        queue,
        trace::Drained,
        vcpu::Vcpu,
        words::Words, //
    },
    policy::{
        self,
        hv_ranges::{
            self,
            Drain, //
        },
        options::Options,
        types::{
            Caps,
            Level, //
        },
    },
};

use super::flush;

/// E10. On an error, KVM flushes all of the running guest's own translations.
#[inline(always)]
pub(super) fn flush_queued(vcpu: Vcpu<'_>) -> Result {
    let caps = vcpu.caps();
    let hv = match vcpu.hyperv() {
        Some(hv) if caps.has(Caps::EPT) => hv,
        hv => {
            discard(vcpu, hv);
            return Err(EINVAL);
        }
    };
    let mut entries = Words::new();
    let mut entries = take(vcpu, hv, &mut entries);

    // V24: several senders may have sent the same addresses.
    if entries.len() > 1 && vcpu.options().has(Options::JOIN_RANGES) {
        entries = hv_ranges::join(entries);
    }
    match hv_ranges::drain(entries, caps.has(Caps::INVVPID_ADDRESS)) {
        Drain::Everything => {
            trace(vcpu, entries, Drained::GuestFlush);
            hooks::count::flush_tlb_guest();
            flush::execute_rare(vcpu, flush::required_for_guest(vcpu));
            vcpu.count_tlb_flushes(1);
        }
        Drain::Pages => flush_pages(vcpu, entries),
    }
    Ok(())
}

/// Takes what is queued for the running guest. The senders knew this vCPU's ids, or did not know
/// them and queued their flush to be safe (X8).
#[inline(always)]
fn take<'a>(
    vcpu: Vcpu<'_>,
    hv: Hyperv<'_>,
    entries: &'a mut Words<{ queue::LEN }>,
) -> &'a mut [u64] {
    hv.learn_identity();
    let entries = hv.queue(Level::running(vcpu.runs_l2())).take(entries);

    if hv_ranges::leaves_vpid02_stale(vcpu.vmcs12_uses_vpid(), entries.is_empty()) {
        vcpu.forget_last_vpid();
    }
    entries
}

/// E10: an address that is not canonical has no translation, and INVVPID would fail on it.
#[inline(always)]
fn flush_pages(vcpu: Vcpu<'_>, entries: &[u64]) {
    // The usual case without `skip_needless`: T1 then requests this at each transition.
    if entries.is_empty() {
        return;
    }
    trace(vcpu, entries, Drained::Pages);
    let vpid = flush::current_vpid(vcpu);

    for &entry in entries {
        for gva in hv_ranges::pages(entry) {
            if vcpu.is_canonical(gva) {
                hooks::count::flush_tlb_gva();
                flush::execute(vcpu, policy::flush::address(vcpu.caps(), vpid, gva));
            }
        }
    }
    vcpu.count_tlb_flushes(entries.len() as u64);
}

#[inline(always)]
fn trace(vcpu: Vcpu<'_>, entries: &[u64], outcome: Drained) {
    vcpu.trace_hv_drain(|| (vcpu.runs_l2(), entries.len() as u32, outcome));
}

/// H8: all of the running guest's own translations were flushed, which is more than is queued. So
/// with EPT, the request is redundant.
///
/// Without EPT the request stays. C synced the shadow tables *before* it flushed. The request may
/// have come after the sync, and be about a change that the shadow tables do not have yet.
#[inline(always)]
pub(super) fn purge(vcpu: Vcpu<'_>) {
    if vcpu.caps().has(Caps::EPT) && vcpu.take_hyperv_flush_request() {
        discard(vcpu, vcpu.hyperv());
    }
}

/// Discards what is queued for the running guest. The request is gone, and the running guest has
/// been flushed or will be before it runs. What is queued from now on comes with a request of its
/// own.
///
/// With EPT, the next transition handles the other level (T1). Without EPT, there is no T1, and the
/// other level is flushed here (X9). This is necessary even if the other queue is empty: an earlier
/// request may have taken its entry, while the sender of the entry waits for this one. KVM syncs
/// the shadow tables of both levels together, because their roots are in one context. A vCPU
/// without Hyper-V state has no T1 either, so it is treated alike.
fn discard(vcpu: Vcpu<'_>, hv: Option<Hyperv<'_>>) {
    let caps = vcpu.caps();

    if let Some(hv) = hv {
        let mut entries = Words::new();
        let entries = take(vcpu, hv, &mut entries);
        trace(vcpu, entries, Drained::Discarded);
        if !caps.has(Caps::EPT) {
            hv.queue(Level::running(vcpu.runs_l2()).other()).discard();
        }
    }
    if !caps.has(Caps::EPT) || hv.is_none() {
        let uses_vpid = vcpu.vmcs12_uses_vpid();
        let vpid = hv_ranges::vpid_of_other_level(uses_vpid, vcpu.vpid01(), vcpu.vpid02());
        flush::execute_rare(vcpu, policy::flush::context(caps, vpid));
    }
}
