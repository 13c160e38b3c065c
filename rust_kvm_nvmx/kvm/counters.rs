// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters. Counting costs one instruction. A reader sums over all CPUs.
//!
//! The variable is C's (`helpers.c`), because the `kernel` crate has no per-CPU variables. The
//! increment is one instruction, as in `this_cpu_inc()`: neither an interrupt nor a preemption can
//! come in between.

use kernel::asm;

use super::bindings;

/// The number of hooks. Counters 0 to `HOOKS` - 1 are theirs, in C's order.
pub(crate) const HOOKS: usize = bindings::kvm_nvmx_hook_KVM_NVMX_NR_HOOKS as usize;

/// The counter of a hook, whose number C's enumeration gives.
#[inline]
pub(super) const fn hook(number: u32) -> usize {
    assert!(number < HOOKS as u32);
    number as usize
}

macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident => $name:literal,)*) => {
        /// What is counted in addition to the hooks.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(super) enum Counter {
            $($(#[$doc])* $counter,)*
        }

        /// Their names, after the hooks'.
        pub(crate) static NAMES: [&str; COUNTERS - HOOKS] = [$($name,)*];
    };
}

/// The number of all counters.
pub(crate) const COUNTERS: usize = bindings::NVMX_NR_COUNTERS as usize;

counters! {
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
    /// C did at a hook what Rust would have done.
    Same => "check.same",
    /// C did something else.
    Different => "check.different",
    /// C did something else, X3.
    KnownX3 => "check.known.x3",
    /// C did something else, X5.
    KnownX5 => "check.known.x5",
    /// C did something else, X6.
    KnownX6 => "check.known.x6",
    /// C did something else, X7.
    KnownX7 => "check.known.x7",
    /// C did something else, E2.
    KnownE2 => "check.known.e2",
    /// C did something else, E5.
    KnownE5 => "check.known.e5",
    /// Nobody can tell what Rust would have done.
    NotCompared => "check.not_compared",
}

impl Counter {
    /// Its number.
    #[inline]
    pub(super) const fn number(self) -> usize {
        HOOKS + self as usize
    }
}

/// Counts one on this CPU.
#[inline(always)]
pub(super) fn count<const NUMBER: usize>() {
    const { assert!(NUMBER < COUNTERS) };

    // SAFETY: By the assertion the operand is one of the counters of this CPU's copy, which only
    // `count` and `reset` write.
    unsafe {
        asm!(
            "incq %gs:{counters}+{offset}(%rip)";
            counters = sym bindings::nvmx_counters,
            offset = const NUMBER * 8,
            options(nostack),
        );
    }
}

/// The sum of a counter over all CPUs; 0 if there is no such counter. An increment on another CPU
/// at the same time may be missed.
pub(crate) fn sum(number: usize) -> u64 {
    match u32::try_from(number) {
        // SAFETY: There is a counter of this number, as was just checked, and C reads only that
        // one.
        Ok(number) if number < bindings::NVMX_NR_COUNTERS => unsafe {
            bindings::nvmx_counter_sum(number)
        },
        _ => 0,
    }
}

/// Sets all counters to 0. An increment on another CPU at the same time may survive or be lost.
pub(crate) fn reset() {
    // SAFETY: It writes the counters and nothing else.
    unsafe { bindings::nvmx_counters_reset() };
}
