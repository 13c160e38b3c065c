// SPDX-License-Identifier: GPL-2.0

//! INVVPID and INVEPT (SDM, chapter "VMX Instruction Reference").
//!
//! They act on the CPU they run on, where the vCPU of the hook is loaded. If this thread moves to
//! another CPU before the instruction, the vCPU's VMCS is loaded there, which flushes everything
//! there (H9).

use kernel::asm;

use super::{
    bindings,
    calls::call,
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

/// Why an instruction failed.
enum Failure {
    /// VMfail: the CPU rejected an operand. Only a bug can cause this.
    Refused,
    /// It faulted: VMX is off.
    Faulted,
}

/// The operand of the types that ignore it.
static NOTHING: [u64; 2] = [0; 2];

/// Executes `$insn` with register operand `$kind` and the 16 bytes of `$operand`.
///
/// The entry in the exception table makes a fault a jump to the last label.
macro_rules! invalidate {
    ($insn:literal, $kind:expr, $operand:expr) => {'done: {
        let operand: &[u64; 2] = $operand;

        // SAFETY: The instructions drop cached translations, which is correct at any time, and read
        // the 16 bytes of `operand`. A failure jumps to one of the two labels.
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
                let operand = [u64::from(vpid.get()), gva.0];
                match invalidate!("invvpid", INDIVIDUAL_ADDRESS, &operand) {
                    Ok(()) => count::<{ Counter::InvvpidAddr.number() }>(),
                    Err(failure) => self.invvpid_failed(failure, INDIVIDUAL_ADDRESS, &operand),
                }
            }
            Invalidation::InvvpidSingle(vpid) => {
                let operand = [u64::from(vpid.get()), 0];
                match invalidate!("invvpid", SINGLE_CONTEXT, &operand) {
                    Ok(()) => count::<{ Counter::InvvpidSingle.number() }>(),
                    Err(failure) => self.invvpid_failed(failure, SINGLE_CONTEXT, &operand),
                }
            }
            Invalidation::InvvpidAll => match invalidate!("invvpid", ALL_CONTEXTS, &NOTHING) {
                Ok(()) => count::<{ Counter::InvvpidAll.number() }>(),
                Err(failure) => self.invvpid_failed(failure, ALL_CONTEXTS, &NOTHING),
            },
            Invalidation::InveptSingle(eptp) => {
                let operand = [eptp.0, 0];
                match invalidate!("invept", EPT_SINGLE_CONTEXT, &operand) {
                    Ok(()) => count::<{ Counter::InveptSingle.number() }>(),
                    Err(failure) => self.invept_failed(failure, EPT_SINGLE_CONTEXT, eptp.0),
                }
            }
            Invalidation::InveptAll => match invalidate!("invept", EPT_GLOBAL, &NOTHING) {
                Ok(()) => count::<{ Counter::InveptAll.number() }>(),
                Err(failure) => self.invept_failed(failure, EPT_GLOBAL, 0),
            },
        }
    }

    /// Reports a failed INVVPID. SDM: it fails for an unsupported type, VPID 0 or a non-canonical
    /// address, i.e. only because of a bug.
    #[cold]
    #[inline(never)]
    fn invvpid_failed(self, failure: Failure, kind: usize, operand: &[u64; 2]) {
        let [vpid, gva] = *operand;

        match failure {
            // SAFETY: It prints the values, ratelimited.
            Failure::Refused => unsafe {
                call!(self
                    .vmx_functions
                    .invvpid_error(kind, vpid as u16, gva as bindings::gva_t));
            },
            Failure::Faulted => self.vmx_instruction_faulted(),
        }
    }

    /// Reports a failed INVEPT.
    #[cold]
    #[inline(never)]
    fn invept_failed(self, failure: Failure, kind: usize, eptp: u64) {
        match failure {
            // SAFETY: It prints the type and the pointer, ratelimited, and follows no pointer.
            Failure::Refused => unsafe { call!(self.vmx_functions.invept_error(kind, eptp)) },
            Failure::Faulted => self.vmx_instruction_faulted(),
        }
    }

    /// A VMX instruction faulted. During an emergency reboot, which turns VMX off while VMs run,
    /// this is expected. At any other time it is a bug. KVM knows which.
    fn vmx_instruction_faulted(self) {
        // SAFETY: It checks a global flag, and may be called in any context.
        unsafe { call!(self.kvm_functions.kvm_spurious_fault()) };
    }
}
