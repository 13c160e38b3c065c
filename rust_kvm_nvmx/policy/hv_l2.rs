// SPDX-License-Identifier: GPL-2.0

//! L2's flush hypercalls, which L0 handles for an enlightened L1 (rules E1, E2, E8, E11, E12, X8,
//! X10; TLFS, "Nested Virtualization", "Direct Virtual Flush").

use super::hv_call::{
    result_of_failure,
    Control,
    Status,
    Targets, //
};

/// What decides which level handles a VMCALL of L2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vmcall {
    /// L1's CPUID offers direct flushes.
    pub(crate) offered: bool,
    /// L2 runs on an enlightened VMCS, which says that its flush calls go to L0.
    pub(crate) evmcs_enables: bool,
    /// The VP assist page, as of the last VM entry, says so for the virtual processor.
    pub(crate) assist_page_enables: bool,
}

/// E1, E2: L0 handles the call, if it is a flush of L2's own. Otherwise L1 gets the exit.
#[inline]
pub(crate) fn l0_handles(call: &Vmcall, control: impl FnOnce() -> Control) -> bool {
    let enabled = call.offered && call.evmcs_enables && call.assist_page_enables;

    enabled && {
        let control = control();
        control.is_flush() && !control.is_nested()
    }
}

/// A guest of L1's, by the ids that L1 gives it in the enlightened VMCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// An enlightened VMCS is mapped, but KVM has not read the ids from it yet (X8). This is so
    /// after a restore with L2 active, until the vCPU sends or handles a flush, or L1 declares the
    /// ids changed.
    Unknown,
    /// The ids; 0 and 0 without an enlightened VMCS.
    Known {
        /// The VM id.
        vm: u64,
        /// The VP id.
        vp: u32,
    },
}

/// E8, X8: a vCPU whose L2 is `identity` must flush if an L2 with VM id `vm` asks for `targets`. A
/// vCPU whose ids are unknown must flush as well.
#[inline]
pub(crate) fn is_target(vm: u64, targets: &Targets<'_>, identity: Identity) -> bool {
    match identity {
        Identity::Unknown => true,
        Identity::Known { vm: its, vp } => its == vm && targets.contains(vp),
    }
}

/// E11: the partition assist page's TLB lock count must be read before the call completes.
#[inline]
pub(crate) fn lock_count_matters(
    result: u64,
    runs_l2: bool,
    control: impl FnOnce() -> Control,
) -> bool {
    // Bits 15:0 of a result are the status, and 0 is success.
    runs_l2 && result & 0xffff == 0 && control().is_flush()
}

/// How a hypercall ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The result for the caller's registers.
    pub(crate) result: u64,
    /// After the VMCALL, L2 exits to L1: L1 holds the lock and must be told.
    pub(crate) exit_to_l1: bool,
}

/// E11: how a call ends with this lock count; `None` if it could not be read.
#[inline]
pub(crate) fn completion(result: u64, lock_count: Option<u32>) -> Completion {
    Completion {
        result: lock_count.map_or(result_of_failure(Status::InvalidInput), |_| result),
        exit_to_l1: lock_count.is_some_and(|count| count != 0),
    }
}

/// X10: what is pending for L2 after the exit, if a #DB was queued that puts `queued_db` into DR6:
/// that of the single step over the VMCALL. The exit is like a trap, so the #DB comes after it
/// (SDM, "Saving Non-Register State").
#[inline]
pub(crate) fn pending_after_flush(queued_db: u64) -> Option<u64> {
    // BD: an access to a debug register is a fault, and never pending.
    let trap = queued_db & !(1 << 13);

    (trap != 0).then_some(trap)
}

/// E12: the reason of the exit after a flush, HV_VMX_SYNTHETIC_EXIT_REASON_TRAP_AFTER_FLUSH (TLFS).
///
/// Bit 28 does not conflict with the CPU's reasons. The CPU sets it only in an SMM VM exit, if an
/// MTF VM exit was pending (SDM, "Basic VM-Exit Information").
pub(crate) const EXIT_AFTER_FLUSH: u32 = 0x1000_0031;
