// SPDX-License-Identifier: GPL-2.0

//! Changes of CR0 and CR4 by the guest (R1 to R6). The registers have their new values.

use crate::{
    flush,
    kvm::vcpu::Vcpu,
    policy::{
        roles::{
            self,
            Context, //
        },
        types::Caps,
    },
};

/// R1, R5, R6.
#[inline(always)]
pub(super) fn cr0(vcpu: Vcpu<'_>, old: u64, new: u64) {
    let change = roles::cr0(old, new, vcpu.caps().has(Caps::EPT));

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
pub(super) fn cr4(vcpu: Vcpu<'_>, old: u64, new: u64) {
    let change = roles::cr4(old, new, vcpu.caps().has(Caps::EPT));

    flush::request(vcpu, change.request);
    if change.reset {
        vcpu.reset_mmu();
    }
    if change.unload {
        vcpu.unload_mmu();
    }
}
