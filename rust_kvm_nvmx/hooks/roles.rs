// SPDX-License-Identifier: GPL-2.0

//! Changes of CR0 and CR4 by the guest (rules R1 to R6). The registers have their new values.

use kernel::{
    ffi::c_ulong,
    jump_label::static_branch_unlikely, //
};

use crate::{
    bindings,
    kvm::vcpu::Vcpu,
    policy::{
        roles::{
            self,
            Context, //
        },
        transition::Request,
    },
    registration,
    stats::{
        self,
        Counter, //
    },
    vmx::request,
};

// The bits that KVM's MMU goes by are the policy's.
const _: () = assert!(roles::CR0_ROLE == bindings::NVMX_CR0_ROLE);
const _: () = assert!(roles::CR4_ROLE == bindings::NVMX_CR4_ROLE);

/// R1, R5, R6.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn post_set_cr0(
    vcpu: *mut bindings::kvm_vcpu,
    old: c_ulong,
    new: c_ulong,
) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_post_set_cr0,
        Cr0C,
        kvm host.post_set_cr0(vcpu, old, new)
    );
    stats::count::<{ Counter::Cr0Rust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let owed = roles::cr0(old as u64, new as u64, host.caps().ept);

    if owed.guest_flush {
        request::tlb_flush_guest(vcpu);
    }
    if owed.look_for_pages && vcpu.has_async_page_faults() {
        request::apf_ready(vcpu);
    }
    match owed.context {
        Context::Keep => (),
        Context::Reread => host.reread_mmu(vcpu),
        Context::Reset => host.reset_mmu(vcpu),
    }
}

/// R2 to R5.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn post_set_cr4(
    vcpu: *mut bindings::kvm_vcpu,
    old: c_ulong,
    new: c_ulong,
) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_post_set_cr4,
        Cr4C,
        kvm host.post_set_cr4(vcpu, old, new)
    );
    stats::count::<{ Counter::Cr4Rust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let owed = roles::cr4(old as u64, new as u64, host.caps().ept);

    if owed.reset {
        host.reset_mmu(vcpu);
    }
    if owed.unload {
        host.unload_mmu(vcpu);
    }
    match owed.request {
        Some(Request::Guest) => request::tlb_flush_guest(vcpu),
        Some(Request::Current) => request::tlb_flush_current(vcpu),
        None => (),
    }
}
