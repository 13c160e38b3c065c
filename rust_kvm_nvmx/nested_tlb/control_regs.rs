// SPDX-License-Identifier: GPL-2.0

//! Changes of CR0 and CR4 by the guest (R1 to R6). The registers have their new values.
//!
//! A tracepoint that is off costs one NOP and no registers: while it is on, a cold copy runs.

use crate::{
    kvm::vcpu::WithSlots,
    policy::{
        roles::{
            self,
            Context, //
        },
        types::Caps,
    },
};

use super::flush;

/// R1, R5, R6.
#[inline(always)]
pub(super) fn cr0(vcpu: WithSlots<'_>, old: u64, new: u64) {
    if vcpu.traces_cr() {
        trace_cr0(vcpu, old, new);
    } else {
        act_on_cr0(vcpu, old, new);
    }
}

#[inline(always)]
fn act_on_cr0(vcpu: WithSlots<'_>, old: u64, new: u64) {
    flush::request(*vcpu, roles::cr0_request(old, new));
    if roles::cr0_looks_for_pages(old, new) && vcpu.has_async_page_faults() {
        vcpu.request_apf_ready();
    }
    update(vcpu, roles::cr0_context(old, new, has_ept(vcpu)));
}

#[cold]
#[inline(never)]
fn trace_cr0(vcpu: WithSlots<'_>, old: u64, new: u64) {
    let context = roles::cr0_context(old, new, has_ept(vcpu));

    vcpu.trace_cr(|| (0, old, new, roles::cr0_request(old, new), context));
    act_on_cr0(vcpu, old, new);
}

/// R2 to R5.
#[inline(always)]
pub(super) fn cr4(vcpu: WithSlots<'_>, old: u64, new: u64) {
    if vcpu.traces_cr() {
        trace_cr4(vcpu, old, new);
    } else {
        act_on_cr4(vcpu, old, new);
    }
}

#[inline(always)]
fn act_on_cr4(vcpu: WithSlots<'_>, old: u64, new: u64) {
    flush::request(*vcpu, roles::cr4_request(old, new));
    update(vcpu, roles::cr4_context(old, new, has_ept(vcpu)));
}

#[cold]
#[inline(never)]
fn trace_cr4(vcpu: WithSlots<'_>, old: u64, new: u64) {
    let context = roles::cr4_context(old, new, has_ept(vcpu));

    vcpu.trace_cr(|| (4, old, new, roles::cr4_request(old, new), context));
    act_on_cr4(vcpu, old, new);
}

#[inline(always)]
fn has_ept(vcpu: WithSlots<'_>) -> bool {
    vcpu.caps().has(Caps::EPT)
}

#[inline(always)]
fn update(vcpu: WithSlots<'_>, context: Context) {
    match context {
        Context::Keep => (),
        Context::Reread => vcpu.reread_mmu(),
        Context::Unload => vcpu.unload_mmu(),
        Context::Reset => vcpu.reset_mmu(),
    }
}
