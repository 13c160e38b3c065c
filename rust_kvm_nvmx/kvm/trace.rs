// SPDX-License-Identifier: GPL-2.0

//! A tracepoint for each decision: the facts, what they require, and why.
//!
//! C header: `nvmx_trace.h`. A tracepoint that is off costs one NOP, and its facts are not looked
//! up: they come from a closure.
//!
//! (`kernel::tracepoint::declare_trace!` serves only tracepoints that the `kernel` crate itself has
//! bindings for.)

use kernel::{
    asm,
    macros::paste, //
};

use super::{
    bindings,
    vcpu::Vcpu, //
};
use crate::policy::{
    roles::Context,
    transition::Reason,
    types::{
        Invalidation,
        Request, //
    },
};

#[cfg(all(CONFIG_TRACEPOINTS, not(CONFIG_JUMP_LABEL)))]
compile_error!("tracepoints need CONFIG_JUMP_LABEL");

/// Whether a tracepoint is on.
///
/// The asm is the kernel's own for a static key that is off most of the time. Unlike the macro
/// around it in the `kernel` crate, it says that it leaves the stack alone.
macro_rules! is_on {
    ($tracepoint:ident) => {'on: {
        #[cfg(CONFIG_TRACEPOINTS)]
        // SAFETY: The asm jumps to the label or does nothing, as the static key of the tracepoint
        // says. `offset_of!` finds the key.
        unsafe {
            asm!(
                include!(concat!(
                    env!("OBJTREE"),
                    "/rust/kernel/generated_arch_static_branch_asm.rs"
                ));
                l_yes = label { break 'on true },
                symb = sym bindings::$tracepoint,
                off = const core::mem::offset_of!(bindings::tracepoint, key),
                branch = const 0,
                options(nostack),
            );
        }
        false
    }};
}

/// Something that a tracepoint records.
trait Fact {
    /// What C takes.
    type Raw;

    /// The fact, for C.
    fn into_raw(self) -> Self::Raw;
}

macro_rules! plain_facts {
    ($($t:ty),*) => {
        $(
            impl Fact for $t {
                type Raw = $t;

                fn into_raw(self) -> Self::Raw {
                    self
                }
            }
        )*
    };
}

plain_facts!(bool, i32, u8, u16, u32, u64);

/// Facts that `nvmx_trace.h` prints as text, by these numbers.
macro_rules! named_facts {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(crate) enum $name {
                $($(#[$variant_doc])* $variant = $number,)*
            }

            impl Fact for $name {
                type Raw = u8;

                fn into_raw(self) -> u8 {
                    self as u8
                }
            }
        )*
    };
}

named_facts! {
    /// A nested transition.
    Step {
        /// L1 enters L2.
        Enter = 0,
        /// L2 exits to L1.
        Exit = 1,
        /// L2 switches to another EPT pointer.
        Vmfunc = 2,
    }

    /// The flush that KVM asks for.
    Cause {
        /// Any translation (H1).
        All = 0,
        /// The current context (H2).
        Current = 1,
        /// One address (H3).
        Address = 2,
        /// The running guest's own translations (H4).
        Guest = 3,
        /// Reset (H15).
        Reset = 4,
        /// L1 asked in the steal time (X3).
        StealTime = 5,
    }

    /// What the CPU executes.
    Executed {
        /// Nothing.
        Nothing = 0,
        /// INVVPID of one address.
        InvvpidAddress = 1,
        /// INVVPID of one VPID.
        InvvpidSingle = 2,
        /// INVVPID of all VPIDs.
        InvvpidAll = 3,
        /// INVEPT of one root.
        InveptSingle = 4,
        /// INVEPT of all roots.
        InveptAll = 5,
    }

    /// What L1 executed.
    Insn {
        /// INVVPID.
        Invvpid = 0,
        /// INVEPT.
        Invept = 1,
    }

    /// What became of L1's INVVPID or INVEPT.
    Outcome {
        /// It failed.
        InvalidOperand = 0,
        /// INVVPID: an INVVPID here.
        FlushHere = 1,
        /// INVVPID: the next VM entry flushes.
        FlushOnEntry = 2,
        /// INVEPT: roots are freed.
        FreeRoots = 3,
        /// INVEPT: no root is named.
        NoRoot = 4,
        /// INVVPID: the VPID in use is not named (V5).
        NotInUse = 5,
    }

    /// What became of a queue's entries.
    Drained {
        /// Each page is flushed.
        Pages = 0,
        /// A guest flush.
        GuestFlush = 1,
        /// They are discarded.
        Discarded = 2,
    }

    /// An APIC-access page: L1's, if it is not said.
    ApicOutcome {
        /// Its address is written.
        Written = 0,
        /// It is looked up again.
        LookAgain = 1,
        /// It was turned on: a request.
        Requested = 2,
        /// It was turned on: invalidations.
        Flushed = 3,
        /// An L2 without EPT has another one, or one again: a request.
        RequestedForL2 = 4,
    }
}

impl Fact for Option<Request> {
    type Raw = u8;

    fn into_raw(self) -> u8 {
        match self {
            None => 0,
            Some(Request::Guest) => 1,
            Some(Request::Current) => 2,
        }
    }
}

impl Fact for Reason {
    type Raw = u8;

    fn into_raw(self) -> u8 {
        match self {
            Reason::OwnTag => 0,
            Reason::ParkedVpid => 1,
            Reason::NoVpid => 2,
            Reason::FlushedOnEntry => 3,
            Reason::OtherVpid12 => 4,
            Reason::SharedVpid01 => 5,
            Reason::VmfuncNoVpid => 6,
        }
    }
}

impl Fact for Context {
    type Raw = u8;

    fn into_raw(self) -> u8 {
        match self {
            Context::Keep => 0,
            Context::Reread => 1,
            Context::Reset => 2,
            Context::Unload => 3,
        }
    }
}

/// An invalidation, for [`Vcpu::trace_flush`].
pub(crate) fn executed(invalidation: Option<Invalidation>) -> (Executed, u64, u64) {
    match invalidation {
        None => (Executed::Nothing, 0, 0),
        Some(Invalidation::InvvpidAddress(vpid, gva)) => {
            (Executed::InvvpidAddress, u64::from(vpid.get()), gva.0)
        }
        Some(Invalidation::InvvpidSingle(vpid)) => {
            (Executed::InvvpidSingle, u64::from(vpid.get()), 0)
        }
        Some(Invalidation::InvvpidAll) => (Executed::InvvpidAll, 0, 0),
        Some(Invalidation::InveptSingle(eptp)) => (Executed::InveptSingle, eptp.0, 0),
        Some(Invalidation::InveptAll) => (Executed::InveptAll, 0, 0),
    }
}

macro_rules! tracepoints {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($fact:ident: $t:ty),*);
    )*) => {
        impl Vcpu<'_> {
            paste! {
                $(
                    /// Whether the tracepoint of this name is on.
                    #[inline(always)]
                    pub(crate) fn [<traces_ $name>](self) -> bool {
                        is_on!([<__tracepoint_nvmx_ $name>])
                    }

                    $(#[$doc])*
                    #[inline(always)]
                    pub(crate) fn [<trace_ $name>](self, facts: impl FnOnce() -> ($($t,)*)) {
                        if self.[<traces_ $name>]() {
                            let ($($fact,)*) = facts();
                            #[cfg(CONFIG_TRACEPOINTS)]
                            // SAFETY: The tracepoint records what it is given, and the id of a vCPU
                            // that this thread holds.
                            unsafe {
                                bindings::[<rust_do_trace_nvmx_ $name>](
                                    self.as_ptr() $(, $fact.into_raw())*
                                );
                            }
                        }
                    }
                )*
            }
        }
    };
}

tracepoints! {
    /// A nested VM entry, VM exit or VMFUNC. vpid12, eptp12 and Hyper-V's ids are 0 for an L2 that
    /// has none.
    fn transition(
        step: Step,
        vpid12: u16,
        last_vpid: u16,
        eptp12: u64,
        vm_id: u64,
        vp_id: u32,
        required: Option<Request>,
        why: Reason
    );
    /// L2's ids have changed.
    fn evmcs_ids_changed(last_vpid: u16);
    /// KVM asked for a flush: what is executed, its VPID or EPT pointer, its address.
    fn flush(cause: Cause, executed: Executed, tag: u64, gva: u64);
    /// L1's INVVPID or INVEPT.
    fn l1_invalidate(insn: Insn, kind: u64, first: u64, second: u64, outcome: Outcome);
    /// A flush hypercall. -1 entries stand for everything.
    fn hv_flush(l2: bool, code: u16, status: u16, entries: i32, targets: u32);
    /// A queue is handled.
    fn hv_drain(l2: bool, entries: u32, outcome: Drained);
    /// L2's VMCALL.
    fn vmcall(offered: bool, evmcs: bool, assist_page: bool, l0: bool);
    /// A hypercall ends.
    fn hv_complete(l2: bool, result: u64, exit_to_l1: bool);
    /// CR0 or CR4 was changed.
    fn cr(cr: u8, old: u64, new: u64, request: Option<Request>, context: Context);
    /// An APIC-access page.
    fn apic_page(outcome: ApicOutcome);
}
