// SPDX-License-Identifier: GPL-2.0

//! L1's APIC-access page (rules A1 to A4).

use kernel::jump_label::static_branch_unlikely;

use super::do_if_owed;
use crate::{
    bindings,
    kvm::{
        apic_page::ApicPage,
        vcpu::Vcpu,
        vmcs01::Vmcs01, //
    },
    policy::apic_access::{
        self,
        Address,
        Owed,
        Running, //
    },
    registration,
    stats::{
        self,
        Counter, //
    },
    vmx::request,
};

/// A4: L1's APIC-access page was turned on, by L1 or by an L2 that L1 lets write the MSR. vmcs01 is
/// the current VMCS, also while L2 is active.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn flush_tlb_apic_access(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_flush_tlb_apic_access,
        ApicAccessC,
        host.flush_tlb_apic_access(vcpu)
    );
    stats::count::<{ Counter::ApicAccessRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let caps = host.caps();
    let mmu = vcpu.root_mmu();
    let running = match vcpu.vmcs12_uses_ept() {
        None => Running::L1,
        Some(true) => Running::L2WithEpt {
            root01: mmu.root(caps),
        },
        Some(false) => Running::L2WithoutEpt {
            previous: mmu.previous_roots(caps),
        },
    };

    match apic_access::turned_on(caps, running, vcpu.vpid01()) {
        Owed::Request => request::tlb_flush_current(vcpu),
        Owed::Now(invalidations) => {
            for invalidation in invalidations {
                do_if_owed(host, invalidation);
            }
        }
    }
}

/// A1 to A3: the host may have moved the page. May sleep.
///
/// # Safety
///
/// Called by KVM's hook table only, see [`super`].
pub(super) unsafe extern "C" fn set_apic_access_page_addr(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_set_apic_access_page_addr,
        ApicPageC,
        host.set_apic_access_page_addr(vcpu)
    );
    stats::count::<{ Counter::ApicPageRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let vmcs01 = Vmcs01::load(host, vcpu);
    if !vmcs01.virtualizes_apic_accesses() {
        return;
    }
    let Some(page) = ApicPage::find(host, vcpu) else {
        return;
    };

    match apic_access::address(page.invalidated_meanwhile()) {
        Address::Write => vmcs01.set_apic_access_address(page.hpa()),
        Address::LookAgain => request::apic_page_reload(vcpu),
    }
}
