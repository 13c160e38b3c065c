// SPDX-License-Identifier: GPL-2.0

//! What C hands over at registration: its own functions, parameters and CPU capabilities.

use crate::{
    bindings,
    policy::types::Caps, //
};

// Bits of IA32_VMX_EPT_VPID_CAP (SDM, appendix "VPID and EPT Capabilities"); KVM keeps the halves
// apart.
const INVEPT_SINGLE_CONTEXT: u32 = 1 << 25;
const INVVPID_INDIVIDUAL_ADDRESS: u32 = 1 << (40 - 32);
const INVVPID_SINGLE_CONTEXT: u32 = 1 << (41 - 32);
const INVVPID_ALL_CONTEXTS: u32 = 1 << (42 - 32);

/// C's side, for the time of one hook.
#[derive(Clone, Copy)]
pub(crate) struct Host<'a>(&'a bindings::kvm_nvmx_host);

impl<'a> Host<'a> {
    /// Wraps what registration has filled in.
    ///
    /// # Safety
    ///
    /// `host` comes from a registration that lasts for all of `'a`: kvm_intel, which it points into,
    /// stays loaded until it ends and changes none of it.
    pub(crate) unsafe fn from_raw(host: *const bindings::kvm_nvmx_host) -> Self {
        // SAFETY: By the caller's promise it is valid and constant.
        Self(unsafe { &*host })
    }

    /// What the CPU and kvm_intel's parameters allow.
    pub(crate) fn caps(self) -> Caps {
        // SAFETY: kvm_intel points these at its own variables, which are constant after its load.
        let (ept, ept_ad, vpid, ept_caps, vpid_caps) = unsafe {
            (
                *self.0.ept,
                *self.0.ept_ad,
                *self.0.vpid,
                *self.0.ept_caps,
                *self.0.vpid_caps,
            )
        };

        Caps {
            ept,
            ept_ad,
            vpid,
            invept_single: ept_caps & INVEPT_SINGLE_CONTEXT != 0,
            invvpid_address: vpid_caps & INVVPID_INDIVIDUAL_ADDRESS != 0,
            invvpid_single: vpid_caps & INVVPID_SINGLE_CONTEXT != 0,
            invvpid_all: vpid_caps & INVVPID_ALL_CONTEXTS != 0,
        }
    }

    /// The table itself, with the functions of kvm_intel.
    pub(crate) fn vmx(self) -> &'a bindings::kvm_nvmx_host {
        self.0
    }

    /// The functions of kvm.
    pub(crate) fn kvm(self) -> &'a bindings::kvm_nvmx_kvm_functions {
        // SAFETY: kvm points this at a constant table.
        unsafe { &*self.0.kvm }
    }

    /// C's implementation of kvm's hooks.
    pub(crate) fn kvm_c(self) -> &'a bindings::kvm_nvmx_ops {
        // SAFETY: kvm points this at a constant table.
        unsafe { &*self.0.kvm_c }
    }

    /// C's implementation of kvm_intel's hooks.
    pub(crate) fn c(self) -> &'a bindings::kvm_nvmx_ops {
        // SAFETY: kvm_intel points this at a constant table.
        unsafe { &*self.0.vmx_c }
    }

    /// Reports a failed INVVPID as C does: ratelimited, and the flush is lost. SDM: it fails for an
    /// unsupported type, VPID 0 or a non-canonical address, i.e. through a bug only.
    #[cold]
    pub(crate) fn invvpid_failed(self, kind: usize, vpid: u16, gva: u64) {
        if let Some(report) = self.0.invvpid_error {
            // SAFETY: kvm_intel's function, which takes any values.
            unsafe { report(kind, vpid, gva as bindings::gva_t) };
        }
    }

    /// Reports a failed INVEPT, see [`Host::invvpid_failed`].
    #[cold]
    pub(crate) fn invept_failed(self, kind: usize, eptp: u64) {
        if let Some(report) = self.0.invept_error {
            // SAFETY: kvm_intel's function, which takes any values.
            unsafe { report(kind, eptp) };
        }
    }

    /// A VMX instruction faulted: fine in an emergency reboot, which turns VMX off under running
    /// VMs, and a bug at any other time. KVM knows which.
    #[cold]
    pub(crate) fn vmx_instruction_faulted(self) {
        if let Some(report) = self.0.spurious_fault {
            // SAFETY: kvm's function, callable from any context.
            unsafe { report() };
        }
    }
}
