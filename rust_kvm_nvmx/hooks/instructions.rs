// SPDX-License-Identifier: GPL-2.0

//! L1's own INVVPID and INVEPT (rules T6 and T13).
//!
//! Both check in the order of the SDM's pseudocode: the instruction's existence, privilege, its
//! type, and only then the operand in memory.

use kernel::{
    ffi::c_ulong,
    jump_label::static_branch_unlikely, //
};

use super::do_if_owed;
use crate::{
    bindings,
    kvm::{
        functions::{
            Handled,
            HANDLED, //
        },
        host::Host,
        mmu::Held,
        vcpu::Vcpu, //
    },
    policy::{
        flush,
        invalidate::{
            self,
            VpidOwed,
            VpidScope, //
        }, //
    },
    registration,
    stats::{
        self,
        Counter, //
    },
    vmx::cpu::ThisCpu,
};

/// The register that holds an invalidation's type, in the VM-exit instruction information.
const REGISTER_2_SHIFT: u32 = 28;

/// What L1's instruction asks for.
struct Asked {
    kind: u32,
    operand: [u64; 2],
}

/// Reads type and operand of an instruction of which L1 is offered the types `offered`, if it has
/// it at all. `Err` has what the exit's handler returns: L1's instruction has failed, or an
/// exception was injected.
fn read(host: Host<'_>, vcpu: Vcpu<'_>, offered: Option<u32>) -> Result<Asked, Handled> {
    let Some(offered) = offered else {
        return Err(host.inject_ud(vcpu));
    };
    if !host.may_execute_vmx(vcpu) {
        return Err(HANDLED);
    }
    let info = host.instruction_info();
    let register = host.register(vcpu, info >> REGISTER_2_SHIFT);

    let Some(kind) = invalidate::offered_type(register, offered) else {
        return Err(host.vm_fail_operand(vcpu));
    };
    Ok(Asked {
        kind,
        operand: host.memory_operand(vcpu, info)?,
    })
}

/// T6.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn handle_invvpid(vcpu: *mut bindings::kvm_vcpu) -> Handled {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_handle_invvpid,
        InvvpidC,
        host.handle_invvpid(vcpu)
    );
    stats::count::<{ Counter::InvvpidRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let asked = match read(host, vcpu, vcpu.offered_invvpid()) {
        Ok(asked) => asked,
        Err(handled) => return handled,
    };
    let canonical = |gva| host.is_canonical(vcpu, gva);
    let Some(scope) = invalidate::vpid_scope(asked.kind, asked.operand, canonical) else {
        return host.vm_fail_operand(vcpu);
    };

    flush_l2(host, vcpu, scope);
    // Without EPT, L1 and L2 share a context, whose roots know no VPIDs: L2's are to be built anew.
    if !host.caps().ept {
        host.free_l2_roots(vcpu);
    }
    host.vm_succeed(vcpu)
}

/// T6: the VPID that L2 has, or would have, never vpid01 for L1's sake.
fn flush_l2(host: Host<'_>, vcpu: Vcpu<'_>, scope: VpidScope) {
    let caps = host.caps();
    let vpid = flush::current_vpid(Some(true), vcpu.vpid01(), vcpu.vpid02());
    let cpu = ThisCpu::stay();

    match invalidate::where_vpid02_is(cpu.number(), vcpu.cpu_of_vmcs02()) {
        VpidOwed::Now => do_if_owed(
            host,
            match scope {
                VpidScope::Address(gva) => flush::address(caps, vpid, gva),
                VpidScope::Context => flush::context(caps, vpid),
            },
        ),
        VpidOwed::AtNextEntry => vcpu.set_last_vpid(0),
    }
}

/// T13. What L1 changed in its EPT is in KVM's roots for it; roots that are loaded later are
/// flushed then (H10), so nothing is executed here.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn handle_invept(vcpu: *mut bindings::kvm_vcpu) -> Handled {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(nvmx_switch_handle_invept, InveptC, host.handle_invept(vcpu));
    stats::count::<{ Counter::InveptRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let asked = match read(host, vcpu, vcpu.offered_invept()) {
        Ok(asked) => asked,
        Err(handled) => return handled,
    };
    let [eptp, _] = asked.operand;

    let roots = if asked.kind == invalidate::EPT_SINGLE {
        if !host.is_valid_eptp12(vcpu, eptp) {
            return host.vm_fail_operand(vcpu);
        }
        roots_of(vcpu, eptp)
    } else {
        bindings::NVMX_ROOTS_ALL
    };
    if roots != 0 {
        host.free_roots(vcpu, vcpu.guest_mmu(), roots);
    }
    host.vm_succeed(vcpu)
}

/// T13: the roots that KVM keeps for an EPT pointer of L1's. They are of the context for an L2 with
/// EPT, whoever runs now.
fn roots_of(vcpu: Vcpu<'_>, eptp: u64) -> c_ulong {
    let mmu = vcpu.guest_mmu();
    let same = |held: Held| held.is_valid() && invalidate::same_ept(held.name, eptp);
    let mut roots = 0;

    if same(mmu.current()) {
        roots |= bindings::NVMX_ROOT_CURRENT;
    }
    for (number, held) in mmu.previous().into_iter().enumerate() {
        if same(held) {
            roots |= bindings::NVMX_ROOT_PREVIOUS_0 << number;
        }
    }
    roots
}
