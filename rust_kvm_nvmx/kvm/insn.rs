// SPDX-License-Identifier: GPL-2.0

//! INVVPID and INVEPT (SDM, chapter "VMX Instruction Reference").
//!
//! They act on the CPU they run on, where the vCPU of the hook is loaded. If this thread moves to
//! another CPU before the instruction, the vCPU is loaded there, which flushes everything there
//! (H9).

use kernel::{
    asm,
    macros::paste, //
};

use super::{
    bindings,
    calls::call,
    counters::{
        count,
        Counter, //
    },
    vcpu::Vcpu,
};
use crate::policy::types::{
    Eptp,
    Gva,
    Invalidation,
    Vpid, //
};

// Types of INVVPID.
pub(super) const INDIVIDUAL_ADDRESS: usize = 0;
pub(super) const SINGLE_CONTEXT: usize = 1;
pub(super) const ALL_CONTEXTS: usize = 2;

// Types of INVEPT.
pub(super) const EPT_SINGLE_CONTEXT: usize = 1;
const EPT_GLOBAL: usize = 2;

/// INVVPID's types that bits 63:32 of IA32_VMX_EPT_VPID_CAP say there are, a bit for each. (SDM,
/// appendix "VPID and EPT Capabilities". KVM keeps the halves apart.)
pub(super) const fn invvpid_types(caps_high: u32) -> u32 {
    caps_high >> (40 - 32) & 0xf
}

/// INVEPT's types that bits 31:0 say there are.
pub(super) const fn invept_types(caps_low: u32) -> u32 {
    caps_low >> 24 & 0b110
}

/// What C's INVEPT (`ept`) or INVVPID invalidates; `None` if it is of a type that KVM does not use,
/// or of VPID 0. `id` is the EPT pointer or the VPID.
pub(super) fn of_operands(ept: bool, kind: usize, id: u64, gva: u64) -> Option<Invalidation> {
    let vpid = Vpid::new(id as u16);

    match (ept, kind) {
        (true, EPT_SINGLE_CONTEXT) => Some(Invalidation::InveptSingle(Eptp(id))),
        (true, EPT_GLOBAL) => Some(Invalidation::InveptAll),
        (false, INDIVIDUAL_ADDRESS) => Some(Invalidation::InvvpidAddress(vpid?, Gva(gva))),
        (false, SINGLE_CONTEXT) => vpid.map(Invalidation::InvvpidSingle),
        (false, ALL_CONTEXTS) => Some(Invalidation::InvvpidAll),
        _ => None,
    }
}

/// The operand of the types that ignore it.
static NOTHING: [u64; 2] = [0; 2];

/// Executes `$insn` with register operand `$kind` and the 16 bytes of `$operand`.
///
/// Returns from the function if it fails: the CPU rejects an operand (VMfail), or the instruction
/// faults because VMX is off. The entry in the exception table makes a fault a jump to the last
/// label.
macro_rules! invalidate {
    ($vcpu:ident, $insn:ident, $kind:expr, $operand:expr) => {
        let operand: &[u64; 2] = $operand;

        // SAFETY: The instructions drop cached translations, which is correct at any time, and read
        // the 16 bytes of `operand`. A failure jumps to one of the two labels.
        unsafe {
            asm!(
                concat!(
                    "1: ", stringify!($insn), " ({operand}), {kind}\n",
                    "jna {rejected}\n",
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
                rejected = label { return paste!($vcpu.[<$insn _rejected>]($kind, operand)) },
                faulted = label { return $vcpu.vmx_instruction_faulted() },
                options(nostack),
            );
        }
    };
}

impl Vcpu<'_> {
    /// Executes one invalidation on this CPU, and counts it if the CPU accepted it.
    ///
    /// A failure is reported as C reports it, by C's own functions, and is not repeated.
    #[inline(always)]
    pub(crate) fn invalidate(self, invalidation: Invalidation) {
        match invalidation {
            Invalidation::InvvpidAddress(vpid, gva) => {
                let operand = &[u64::from(vpid.get()), gva.0];
                invalidate!(self, invvpid, INDIVIDUAL_ADDRESS, operand);
                count::<{ Counter::InvvpidAddr.number() }>();
            }
            Invalidation::InvvpidSingle(vpid) => {
                let operand = &[u64::from(vpid.get()), 0];
                invalidate!(self, invvpid, SINGLE_CONTEXT, operand);
                count::<{ Counter::InvvpidSingle.number() }>();
            }
            Invalidation::InvvpidAll => {
                invalidate!(self, invvpid, ALL_CONTEXTS, &NOTHING);
                count::<{ Counter::InvvpidAll.number() }>();
            }
            Invalidation::InveptSingle(eptp) => {
                let operand = &[eptp.0, 0];
                invalidate!(self, invept, EPT_SINGLE_CONTEXT, operand);
                count::<{ Counter::InveptSingle.number() }>();
            }
            Invalidation::InveptAll => {
                invalidate!(self, invept, EPT_GLOBAL, &NOTHING);
                count::<{ Counter::InveptAll.number() }>();
            }
        }
    }

    /// INVVPID failed. SDM: it fails for an unsupported type, VPID 0 or a non-canonical address,
    /// i.e. only because of a bug.
    #[cold]
    #[inline(never)]
    fn invvpid_rejected(self, kind: usize, operand: &[u64; 2]) {
        let [vpid, gva] = *operand;

        // SAFETY: It prints the values, ratelimited.
        unsafe {
            call!(self
                .vmx_functions
                .invvpid_error(kind, vpid as u16, gva as bindings::gva_t));
        }
    }

    /// INVEPT failed, which also is because of a bug.
    #[cold]
    #[inline(never)]
    fn invept_rejected(self, kind: usize, operand: &[u64; 2]) {
        let [eptp, _] = *operand;

        // SAFETY: It prints the type and the pointer, ratelimited, and follows no pointer.
        unsafe { call!(self.vmx_functions.invept_error(kind, eptp)) };
    }

    /// A VMX instruction faulted. During an emergency reboot, which turns VMX off while VMs run,
    /// this is expected. At any other time it is a bug. KVM knows which.
    #[cold]
    #[inline(never)]
    fn vmx_instruction_faulted(self) {
        // SAFETY: It checks a global flag, and may be called in any context.
        unsafe { call!(self.kvm_functions.kvm_spurious_fault()) };
    }
}
