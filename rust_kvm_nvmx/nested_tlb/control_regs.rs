// SPDX-License-Identifier: GPL-2.0

//! Changes of CR0 and CR4 by the guest (R1 to R6). The registers have their new values.

use crate::{
    flush,
    kvm::{
        trace,
        vcpu::WithSlots, //
    },
    policy::{
        roles::{
            self,
            Context,
            Cr0Change,
            Cr4Change, //
        },
        types::{
            Caps,
            Request, //
        },
    },
};

/// R1, R5, R6.
#[inline(always)]
pub(super) fn cr0(vcpu: WithSlots<'_>, old: u64, new: u64) {
    if vcpu.traces_cr() {
        trace_cr0(vcpu, old, new);
    } else {
        act_on_cr0(vcpu, roles::cr0(old, new, vcpu.caps().has(Caps::EPT)));
    }
}

#[inline(always)]
fn act_on_cr0(vcpu: WithSlots<'_>, change: Cr0Change) {
    if change.guest_flush {
        vcpu.request_flush_guest();
    }
    if change.look_for_pages && vcpu.has_async_page_faults() {
        vcpu.request_apf_ready();
    }
    match change.context {
        Context::Keep => (),
        Context::Reread => vcpu.reread_mmu(),
        Context::Reset => vcpu.reset_mmu(),
    }
}

/// R2 to R5.
#[inline(always)]
pub(super) fn cr4(vcpu: WithSlots<'_>, old: u64, new: u64) {
    if vcpu.traces_cr() {
        trace_cr4(vcpu, old, new);
    } else {
        act_on_cr4(vcpu, roles::cr4(old, new, vcpu.caps().has(Caps::EPT)));
    }
}

#[inline(always)]
fn act_on_cr4(vcpu: WithSlots<'_>, change: Cr4Change) {
    flush::request(*vcpu, change.request);
    if change.reset {
        vcpu.reset_mmu();
    }
    if change.unload {
        vcpu.unload_mmu();
    }
}

// A tracepoint that is off costs one NOP and no registers: while it is on, these copies run.

#[cold]
#[inline(never)]
fn trace_cr0(vcpu: WithSlots<'_>, old: u64, new: u64) {
    let change = roles::cr0(old, new, vcpu.caps().has(Caps::EPT));
    let request = change.guest_flush.then_some(Request::Guest);
    let context = match change.context {
        Context::Keep => trace::Context::Keep,
        Context::Reread => trace::Context::Reread,
        Context::Reset => trace::Context::Reset,
    };

    vcpu.trace_cr(|| (0, old, new, request, context));
    act_on_cr0(vcpu, change);
}

#[cold]
#[inline(never)]
fn trace_cr4(vcpu: WithSlots<'_>, old: u64, new: u64) {
    let change = roles::cr4(old, new, vcpu.caps().has(Caps::EPT));
    let context = match change {
        Cr4Change { unload: true, .. } => trace::Context::Unload,
        Cr4Change { reset: true, .. } => trace::Context::Reset,
        _ => trace::Context::Keep,
    };

    vcpu.trace_cr(|| (4, old, new, change.request, context));
    act_on_cr4(vcpu, change);
}
