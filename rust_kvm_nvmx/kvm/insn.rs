// SPDX-License-Identifier: GPL-2.0

//! INVVPID and INVEPT (SDM, chapter "VMX Instruction Reference").
//!
//! They act on the CPU they run on. The vCPU of the hook is loaded there. If this thread is preempted
//! in between, the vCPU's VMCS is loaded on another CPU, which flushes everything there (H9).

use kernel::asm;

use super::{
    bindings,
    counters::{
        count,
        Counter, //
    },
    vcpu::Vcpu,
};
use crate::policy::types::Invalidation;

// Types of INVVPID.
const INDIVIDUAL_ADDRESS: usize = 0;
const SINGLE_CONTEXT: usize = 1;
const ALL_CONTEXTS: usize = 2;

// Types of INVEPT.
const EPT_SINGLE_CONTEXT: usize = 1;
const EPT_GLOBAL: usize = 2;

/// Why an instruction did not do its work.
enum Failure {
    /// VMfail: the CPU rejected an operand. Only a bug can cause this.
    Refused,
    /// It faulted: VMX is off.
    Faulted,
}

/// Executes `$insn` with register operand `$kind` and the 16 bytes at `$operand`.
///
/// The entry in the exception table makes a fault a jump to the last label.
macro_rules! invalidate {
    ($insn:literal, $kind:expr, $operand:expr) => {'done: {
        let operand: [u64; 2] = $operand;

        // SAFETY: The instructions drop cached translations, which is correct at any time, and
        // read the 16 bytes of `operand`; a failure is one of the two labels.
        unsafe {
            asm!(
                concat!(
                    "1: ", $insn, " ({operand}), {kind}\n",
                    "jna {refused}\n",
                    ".pushsection __ex_table, \"aM\", @progbits, 12\n",
                    ".balign 4\n",
                    ".long 1b - .\n",
                    ".long {faulted} - .\n",
                    ".long {handler}\n",
                    ".popsection",
                );
                operand = in(reg) operand.as_ptr(),
                kind = in(reg) $kind,
                handler = const kernel::bindings::EX_TYPE_DEFAULT,
                refused = label { break 'done Err(Failure::Refused) },
                faulted = label { break 'done Err(Failure::Faulted) },
            );
        }
        Ok(())
    }};
}

impl Vcpu<'_> {
    /// Executes one invalidation on this CPU, and counts it if the CPU accepted it.
    ///
    /// A failure is reported as C reports it, by C's own functions, and is not repeated.
    #[inline(always)]
    pub(crate) fn invalidate(self, invalidation: Invalidation) {
        match invalidation {
            Invalidation::InvvpidAddress(vpid, gva) => {
                if self.invvpid(INDIVIDUAL_ADDRESS, vpid.get(), gva.0) {
                    count::<{ Counter::InvvpidAddr.number() }>();
                }
            }
            Invalidation::InvvpidSingle(vpid) => {
                if self.invvpid(SINGLE_CONTEXT, vpid.get(), 0) {
                    count::<{ Counter::InvvpidSingle.number() }>();
                }
            }
            Invalidation::InvvpidAll => {
                if self.invvpid(ALL_CONTEXTS, 0, 0) {
                    count::<{ Counter::InvvpidAll.number() }>();
                }
            }
            Invalidation::InveptSingle(eptp) => {
                if self.invept(EPT_SINGLE_CONTEXT, eptp.0) {
                    count::<{ Counter::InveptSingle.number() }>();
                }
            }
            Invalidation::InveptAll => {
                if self.invept(EPT_GLOBAL, 0) {
                    count::<{ Counter::InveptAll.number() }>();
                }
            }
        }
    }

    /// Whether it was executed; if not, C has been told.
    #[inline(always)]
    fn invvpid(self, kind: usize, vpid: u16, gva: u64) -> bool {
        match invalidate!("invvpid", kind, [u64::from(vpid), gva]) {
            Ok(()) => return true,
            Err(Failure::Refused) => self.invvpid_failed(kind, vpid, gva),
            Err(Failure::Faulted) => self.vmx_instruction_faulted(),
        }
        false
    }

    /// Whether it was executed; if not, C has been told.
    #[inline(always)]
    fn invept(self, kind: usize, eptp: u64) -> bool {
        match invalidate!("invept", kind, [eptp, 0]) {
            Ok(()) => return true,
            Err(Failure::Refused) => self.invept_failed(kind, eptp),
            Err(Failure::Faulted) => self.vmx_instruction_faulted(),
        }
        false
    }

    /// Reports a failed INVVPID. SDM: it fails for an unsupported type, VPID 0 or a non-canonical
    /// address, i.e. only because of a bug.
    #[cold]
    fn invvpid_failed(self, kind: usize, vpid: u16, gva: u64) {
        if let Some(report) = self.vmx_functions().invvpid_error {
            // SAFETY: It prints the values, ratelimited.
            unsafe { report(kind, vpid, gva as bindings::gva_t) };
        }
    }

    /// Reports a failed INVEPT.
    #[cold]
    fn invept_failed(self, kind: usize, eptp: u64) {
        if let Some(report) = self.vmx_functions().invept_error {
            // SAFETY: It prints what it is given, like INVVPID's.
            unsafe { report(kind, eptp) };
        }
    }

    /// A VMX instruction faulted: expected in an emergency reboot, which turns VMX off under running
    /// VMs, and a bug at any other time. KVM knows which.
    #[cold]
    fn vmx_instruction_faulted(self) {
        if let Some(report) = self.kvm_functions().kvm_spurious_fault {
            // SAFETY: It looks at a global flag, from any context.
            unsafe { report() };
        }
    }
}
