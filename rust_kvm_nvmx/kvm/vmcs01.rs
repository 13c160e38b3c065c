// SPDX-License-Identifier: GPL-2.0

//! vmcs01 as the current VMCS, for as long as a value lives.

use crate::{
    bindings,
    kvm::{
        host::Host,
        vcpu::Vcpu, //
    },
};

/// vmcs01 is the current VMCS, also while L2 is active (rule A1).
pub(crate) struct Vmcs01<'a> {
    host: Host<'a>,
    vcpu: Vcpu<'a>,
}

impl<'a> Vmcs01<'a> {
    /// Switches to vmcs01. While L1 runs it is current anyway.
    pub(crate) fn load(host: Host<'a>, vcpu: Vcpu<'a>) -> Self {
        if vcpu.runs_l2() {
            host.switch_vmcs(vcpu, vcpu.vmcs01());
        }
        Self { host, vcpu }
    }

    /// Whether L1's accesses to its APIC-access page are virtualized.
    pub(crate) fn virtualizes_apic_accesses(&self) -> bool {
        self.vcpu.secondary_controls_of_current_vmcs() & bindings::NVMX_VIRTUALIZE_APIC_ACCESSES
            != 0
    }

    /// Sets the host-physical address of L1's APIC-access page.
    pub(crate) fn set_apic_access_address(&self, hpa: u64) {
        self.host.set_apic_access_address(hpa);
    }
}

impl Drop for Vmcs01<'_> {
    fn drop(&mut self) {
        if self.vcpu.runs_l2() {
            self.host.switch_vmcs(self.vcpu, self.vcpu.vmcs02());
        }
    }
}
