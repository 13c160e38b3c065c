// SPDX-License-Identifier: GPL-2.0

//! INVVPID and INVEPT (SDM, chapter "VMX Instruction Reference").
//!
//! They act on the CPU they run on. Whoever calls has the vCPU loaded, so a preemption in between
//! reloads the vCPU's VMCS elsewhere, which flushes everything there (H9).

use kernel::asm;

use crate::{
    kvm::host::Host,
    policy::types::Invalidation,
    stats::{
        self,
        Counter, //
    },
};

// Types of INVVPID.
const INDIVIDUAL_ADDRESS: usize = 0;
const SINGLE_CONTEXT: usize = 1;
const ALL_CONTEXTS: usize = 2;

// Types of INVEPT.
const EPT_SINGLE_CONTEXT: usize = 1;
const EPT_GLOBAL: usize = 2;

/// Why an instruction did not do its work.
enum Failure {
    /// VMfail: an operand was not to the CPU's liking.
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

/// Whether it was executed; if not, C has been told.
#[inline(always)]
fn invvpid(host: Host<'_>, kind: usize, vpid: u16, gva: u64) -> bool {
    match invalidate!("invvpid", kind, [u64::from(vpid), gva]) {
        Ok(()) => return true,
        Err(Failure::Refused) => host.invvpid_failed(kind, vpid, gva),
        Err(Failure::Faulted) => host.vmx_instruction_faulted(),
    }
    false
}

/// Whether it was executed; if not, C has been told.
#[inline(always)]
fn invept(host: Host<'_>, kind: usize, eptp: u64) -> bool {
    match invalidate!("invept", kind, [eptp, 0]) {
        Ok(()) => return true,
        Err(Failure::Refused) => host.invept_failed(kind, eptp),
        Err(Failure::Faulted) => host.vmx_instruction_faulted(),
    }
    false
}

/// Executes one invalidation on this CPU, and counts it if the CPU took it.
#[inline(always)]
pub(crate) fn execute(host: Host<'_>, invalidation: Invalidation) {
    match invalidation {
        Invalidation::InvvpidAddress(vpid, gva) => {
            if invvpid(host, INDIVIDUAL_ADDRESS, vpid.get(), gva.0) {
                stats::count::<{ Counter::InvvpidAddr as usize }>();
            }
        }
        Invalidation::InvvpidSingle(vpid) => {
            if invvpid(host, SINGLE_CONTEXT, vpid.get(), 0) {
                stats::count::<{ Counter::InvvpidSingle as usize }>();
            }
        }
        Invalidation::InvvpidAll => {
            if invvpid(host, ALL_CONTEXTS, 0, 0) {
                stats::count::<{ Counter::InvvpidAll as usize }>();
            }
        }
        Invalidation::InveptSingle(eptp) => {
            if invept(host, EPT_SINGLE_CONTEXT, eptp.0) {
                stats::count::<{ Counter::InveptSingle as usize }>();
            }
        }
        Invalidation::InveptAll => {
            if invept(host, EPT_GLOBAL, 0) {
                stats::count::<{ Counter::InveptAll as usize }>();
            }
        }
    }
}
