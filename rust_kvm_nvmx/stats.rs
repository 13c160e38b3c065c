// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters at the cost of one increment each, summed when they are read.
//!
//! The variable is C's (`helpers.c`), as the `kernel` crate has no per-CPU variables; the increment
//! is the one instruction that C's `this_cpu_inc()` is, which neither an interrupt nor a preemption
//! can tear.

use kernel::asm;

use crate::bindings;

macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident => $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(crate) enum Counter {
            $($(#[$doc])* $counter,)*
        }

        /// The counters' names in debugfs.
        pub(crate) const NAMES: [&str; bindings::NVMX_NR_COUNTERS as usize] = [$($name,)*];
    };
}

counters! {
    /// H1 decided in C.
    AllC => "hook.flush_tlb_all.c",
    /// H1 decided in Rust, and so on.
    AllRust => "hook.flush_tlb_all.rust",
    /// H2.
    CurrentC => "hook.flush_tlb_current.c",
    /// H2.
    CurrentRust => "hook.flush_tlb_current.rust",
    /// H3.
    GvaC => "hook.flush_tlb_gva.c",
    /// H3.
    GvaRust => "hook.flush_tlb_gva.rust",
    /// H4.
    GuestC => "hook.flush_tlb_guest.c",
    /// H4.
    GuestRust => "hook.flush_tlb_guest.rust",
    /// H15.
    ResetC => "hook.flush_tlb_reset.c",
    /// H15.
    ResetRust => "hook.flush_tlb_reset.rust",
    /// T1 to T5.
    TransitionC => "hook.transition_tlb_flush.c",
    /// T1 to T5.
    TransitionRust => "hook.transition_tlb_flush.rust",
    /// A4.
    ApicAccessC => "hook.flush_tlb_apic_access.c",
    /// A4.
    ApicAccessRust => "hook.flush_tlb_apic_access.rust",
    /// A1 to A3.
    ApicPageC => "hook.set_apic_access_page_addr.c",
    /// A1 to A3.
    ApicPageRust => "hook.set_apic_access_page_addr.rust",
    /// T8.
    Vmcs02VpidC => "hook.vmcs02_vpid.c",
    /// T8.
    Vmcs02VpidRust => "hook.vmcs02_vpid.rust",
    /// T6.
    InvvpidC => "hook.handle_invvpid.c",
    /// T6.
    InvvpidRust => "hook.handle_invvpid.rust",
    /// T13.
    InveptC => "hook.handle_invept.c",
    /// T13.
    InveptRust => "hook.handle_invept.rust",
    /// T11.
    VmfuncC => "hook.vmfunc_tlb_flush.c",
    /// T11.
    VmfuncRust => "hook.vmfunc_tlb_flush.rust",
    /// R1, R5, R6.
    Cr0C => "hook.post_set_cr0.c",
    /// R1, R5, R6.
    Cr0Rust => "hook.post_set_cr0.rust",
    /// R2 to R5.
    Cr4C => "hook.post_set_cr4.c",
    /// R2 to R5.
    Cr4Rust => "hook.post_set_cr4.rust",
    /// A flush that L1 asked for in its steal time.
    StealTimeC => "hook.steal_time_tlb_flush.c",
    /// A flush that L1 asked for in its steal time.
    StealTimeRust => "hook.steal_time_tlb_flush.rust",
    /// E5 to E9, E17, X1, X2, X4 to X6, X8.
    HvFlushC => "hook.hv_flush_tlb.c",
    /// E5 to E9, E17, X1, X2, X4 to X6, X8.
    HvFlushRust => "hook.hv_flush_tlb.rust",
    /// E10, X4, X9.
    HvServeC => "hook.hv_vcpu_flush_tlb.c",
    /// E10, X4, X9.
    HvServeRust => "hook.hv_vcpu_flush_tlb.rust",
    /// H8's purge, X9.
    HvPurgeC => "hook.hv_purge_flush_tlb.c",
    /// H8's purge, X9.
    HvPurgeRust => "hook.hv_purge_flush_tlb.rust",
    /// E11.
    HvCompleteC => "hook.hv_hypercall_complete.c",
    /// E11.
    HvCompleteRust => "hook.hv_hypercall_complete.rust",
    /// E1, E2.
    HvWantedC => "hook.l2_tlb_flush_wanted.c",
    /// E1, E2.
    HvWantedRust => "hook.l2_tlb_flush_wanted.rust",
    /// E12.
    HvExitC => "hook.exit_after_l2_tlb_flush.c",
    /// E12.
    HvExitRust => "hook.exit_after_l2_tlb_flush.rust",
    /// X6.
    HvIdsC => "hook.evmcs_ids_changed.c",
    /// X6.
    HvIdsRust => "hook.evmcs_ids_changed.rust",
    /// INVVPID executed by Rust, individual-address.
    InvvpidAddr => "invvpid.addr",
    /// INVVPID executed by Rust, single-context.
    InvvpidSingle => "invvpid.single",
    /// INVVPID executed by Rust, all-contexts.
    InvvpidAll => "invvpid.all",
    /// INVEPT executed by Rust, single-context.
    InveptSingle => "invept.single",
    /// INVEPT executed by Rust, global.
    InveptAll => "invept.all",
    /// KVM_REQ_TLB_FLUSH_CURRENT made by Rust.
    RequestCurrent => "request.tlb_flush_current",
    /// KVM_REQ_TLB_FLUSH_GUEST made by Rust.
    RequestGuest => "request.tlb_flush_guest",
    /// KVM_REQ_HV_TLB_FLUSH made by Rust.
    RequestHyperv => "request.hv_tlb_flush",
}

/// Counts one on this CPU; `COUNTER` is a [`Counter`].
#[inline(always)]
pub(crate) fn count<const COUNTER: usize>() {
    const { assert!(COUNTER < bindings::NVMX_NR_COUNTERS as usize) };

    // SAFETY: By the assertion the operand is one of the counters of this CPU's copy, which nobody
    // but `count` and `reset` writes.
    unsafe {
        asm!(
            "incq %gs:{counters}+{offset}(%rip)";
            counters = sym bindings::nvmx_counters,
            offset = const COUNTER * 8,
            options(nostack),
        );
    }
}

/// The sum of a counter over all CPUs; those still counting may be missed by one.
pub(crate) fn sum(counter: usize) -> u64 {
    match u32::try_from(counter) {
        // SAFETY: Bounds are checked here, the rest is the C function's.
        Ok(index) if index < bindings::NVMX_NR_COUNTERS => unsafe {
            bindings::nvmx_counter_sum(index)
        },
        _ => 0,
    }
}

/// Sets all counters to 0; an increment on another CPU at the same time may survive or be lost.
pub(crate) fn reset() {
    // SAFETY: It only writes the counters.
    unsafe { bindings::nvmx_counters_reset() };
}
