// SPDX-License-Identifier: GPL-2.0

//! What L2 runs with, and what it may change by itself (rules T8 and T11).

use kernel::{
    ffi::c_int,
    jump_label::static_branch_unlikely, //
};

use crate::{
    bindings,
    kvm::vcpu::{
        Vcpu,
        Vmcs12, //
    },
    policy::vmcs02,
    registration,
    stats::{
        self,
        Counter, //
    },
    vmx::request,
};

/// What `vmcs02_vpid` returns to leave the field alone.
const LEAVE: c_int = -1;

/// T8. The VPID goes into vmcs02 before the transition decides what is owed.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`]; `vmcs12` is the vCPU's.
pub(super) unsafe extern "C" fn vmcs02_vpid(
    vcpu: *mut bindings::kvm_vcpu,
    vmcs12: *mut bindings::vmcs12,
    dirty: bool,
) -> c_int {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_vmcs02_vpid,
        Vmcs02VpidC,
        host.vmcs02_vpid(vcpu, vmcs12, dirty)
    );
    stats::count::<{ Counter::Vmcs02VpidRust as usize }>();

    // SAFETY: The arguments of a running hook.
    let (vcpu, vmcs12) = unsafe { (Vcpu::from_raw(vcpu), Vmcs12::from_raw(vmcs12)) };
    let vpid = vmcs02::vpid(
        dirty,
        host.caps().vpid,
        vmcs12.uses_vpid(),
        vcpu.vpid01(),
        vcpu.vpid02(),
    );

    vpid.map_or(LEAVE, |vpid| c_int::from(vpid.get()))
}

/// T11. The new EPT is in place; the request is served before L2 goes on.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`]; `vmcs12` is the vCPU's.
pub(super) unsafe extern "C" fn vmfunc_tlb_flush(
    vcpu: *mut bindings::kvm_vcpu,
    vmcs12: *mut bindings::vmcs12,
) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_vmfunc_tlb_flush,
        VmfuncC,
        host.vmfunc_tlb_flush(vcpu, vmcs12)
    );
    stats::count::<{ Counter::VmfuncRust as usize }>();

    // SAFETY: The arguments of a running hook.
    let (vcpu, vmcs12) = unsafe { (Vcpu::from_raw(vcpu), Vmcs12::from_raw(vmcs12)) };
    if vmcs02::vmfunc_owes_guest_flush(vmcs12.uses_vpid()) {
        request::tlb_flush_guest(vcpu);
    }
}
