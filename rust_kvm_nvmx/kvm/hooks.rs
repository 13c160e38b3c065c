// SPDX-License-Identifier: GPL-2.0

//! KVM's hooks for nested VMX's TLB flushes, as a trait of safe functions.
//!
//! C header: `arch/x86/kvm/nvmx-hooks.h`. Its list and the one below must be the same. The table of
//! functions is a structure of C's, so the compiler rejects a missing name, an additional name and
//! another signature.
//!
//! # How a hook is called
//!
//! KVM calls a hook in process context, on the thread of the vCPU that the hook is about, with the
//! vCPU loaded on this CPU. Preemption is enabled. If the thread moves to another CPU during the
//! hook, the vCPU is loaded there, which flushes everything (rule H9). Hooks of kvm_intel's half
//! are never called for a TD (H7).
//!
//! Some hooks are only called while a vCPU runs or its VM exit is handled. KVM holds the VM's
//! `srcu` then, so the memory slots stay. These hooks get a [`WithSlots`], all others a [`Vcpu`].
//!
//! The call is inside a read-side section of `kvm_nvmx_srcu`. C enters it before it checks whether
//! a client is registered. [`Registration`](super::registration::Registration) waits for a grace
//! period before it goes away. So the client, its code, kvm_intel and the vCPU stay for as long as
//! a hook runs. [`Scope`] stands for this: the views that a hook is given borrow from it and cannot
//! outlive the call.
//!
//! Any hook may be C's at any time, because both C and Rust keep all state in KVM's own fields. A
//! hook relies on accounts that others keep only while all hooks are Rust's:
//! [`Registration`](super::registration::Registration) takes the client's options away meanwhile
//! (V14). Some bugs of C's are fixed only if several hooks are Rust's: `docs/rules.md` lists them.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    c_str,
    error::VTABLE_DEFAULT_ERROR,
    ffi::c_ulong,
    macros::paste,
    prelude::*, //
};

use super::{
    bindings,
    check,
    counters,
    fields,
    hypercall::Hypercall,
    live::Own,
    registration::Shared,
    vcpu::{
        HookVcpu,
        Vcpu,
        Vmcs12,
        WithSlots, //
    }, //
};
use crate::policy::{
    check::Expected,
    types::Gva, //
};

mod values;

use values::Argument;
pub(crate) use values::{
    Answer,
    Handled,
    Ignored,
    VpidToWrite, //
};

/// One call of a hook.
///
/// # Invariants
///
/// For as long as the value lives, `shared` is registered, and `vmx` is a vCPU that is loaded on
/// this CPU. This thread holds its mutex (or no other thread knows it yet, or any more).
pub(crate) struct Scope {
    shared: NonNull<Shared>,
    vmx: NonNull<bindings::vcpu_vmx>,
}

impl Scope {
    /// The call with these arguments.
    ///
    /// # Safety
    ///
    /// Only for the arguments of a hook that KVM is calling, and for no longer than that call.
    #[inline(always)]
    unsafe fn new(client: *mut bindings::kvm_nvmx_client, vcpu: *mut bindings::kvm_vcpu) -> Self {
        // INVARIANT: As the module's documentation says.
        // SAFETY: KVM passes the client that was registered, which starts a `Shared`, and a vCPU
        // that it has dereferenced itself.
        unsafe {
            Self {
                shared: NonNull::new_unchecked(client.cast()),
                vmx: NonNull::new_unchecked(fields::VCPU.container(vcpu)),
            }
        }
    }

    /// The vCPU that the hook is about.
    #[inline(always)]
    fn vcpu(&self) -> Vcpu<'_> {
        // SAFETY: By the type invariant both are valid for as long as `self` is borrowed. While
        // hooks may run, nothing in `Shared` changes but the options, which are atomic.
        unsafe { Vcpu::new(self.shared.as_ref(), Own::from_raw(self.vmx)) }
    }
}

/// What a hook returns, or `()`.
macro_rules! answer {
    ($answer:ty) => {
        $answer
    };
    () => {
        ()
    };
}

/// C's function for a hook with these arguments and answer.
macro_rules! c_function {
    ($($t:ty,)* => $($answer:ty)?) => {
        Option<unsafe extern "C" fn(
            *mut bindings::kvm_vcpu
            $(, <$t as Argument>::Raw)*
        ) $(-> <$answer as Answer>::Raw)?>
    };
}

/// Defines the traits, the functions that C calls, the tables of them, and the hooks' names.
///
/// The list has views with `'static`. A hook is given a view that ends with its call.
macro_rules! hooks {
    ($(
        $(#[$doc:meta])*
        fn $hook:ident(vcpu: $vcpu:ident $(, $arg:ident: $t:ty)*) $(-> $answer:ty)?;
    )*) => {
        /// Decides and executes nested VMX's TLB flushes in place of KVM's C code.
        ///
        /// Hooks that are not implemented stay with C. The documentation of [`super::hooks`] says
        /// in which context all of them run.
        #[vtable]
        pub(crate) trait NestedTlbHooks: Sized + 'static {
            $(
                $(#[$doc])*
                #[allow(unused_variables)]
                fn $hook(
                    vcpu: $vcpu<'_>
                    $(, $arg: <$t as Argument>::View<'_>)*
                ) $(-> $answer)? {
                    build_error!(VTABLE_DEFAULT_ERROR)
                }
            )*
        }

        /// What [`NestedTlbHooks`] would do, without doing it.
        ///
        /// KVM calls this for hooks that it leaves to C and lets the client compare. A hook that
        /// is not implemented here is not compared. The rules must be C's: no
        /// [`Options`](crate::policy::options::Options) apply.
        pub(crate) trait NestedTlbChecks: NestedTlbHooks {
            $(
                #[doc = concat!("What `", stringify!($hook), "` would do.")]
                #[allow(unused_variables)]
                #[inline(always)]
                fn $hook(vcpu: $vcpu<'_> $(, $arg: <$t as Argument>::View<'_>)*) -> Expected {
                    Expected::Unknown
                }
            )*
        }

        paste! {
            /// What C calls: one function for each hook, with the hook's name.
            mod entry {
                use super::*;

                $(
                    #[doc = concat!("The client's `", stringify!($hook), "`.")]
                    ///
                    /// # Safety
                    ///
                    /// Only KVM's `kvm_nvmx_call()` calls this.
                    pub(super) unsafe extern "C" fn $hook<T: NestedTlbHooks>(
                        client: *mut bindings::kvm_nvmx_client,
                        vcpu: *mut bindings::kvm_vcpu
                        $(, $arg: <$t as Argument>::Raw)*,
                        _c_fn: c_function!($($t,)* => $($answer)?)
                    ) $(-> <$answer as Answer>::Raw)? {
                        // SAFETY: KVM is calling, and `scope` ends with the call.
                        let scope = unsafe { Scope::new(client, vcpu) };

                        count::$hook();
                        T::$hook(
                            // SAFETY: What the list says of the hook is what KVM holds at it.
                            unsafe { <$vcpu<'_> as HookVcpu>::in_hook(scope.vcpu()) }
                            // SAFETY: It is an argument of the call that `scope` stands for.
                            $(, unsafe { <$t as Argument>::from_raw(&scope, $arg) })*
                        )
                        .into_raw()
                    }
                )*
            }

            /// What C calls at a hook that is not the client's yet: for a thread that has seen that
            /// the hook was a former client's, and finds this client when it gets here.
            mod left_to_c {
                use super::*;

                $(
                    #[doc = concat!("C's `", stringify!($hook), "`.")]
                    ///
                    /// # Safety
                    ///
                    /// Only KVM's `kvm_nvmx_call()` calls this.
                    pub(super) unsafe extern "C" fn $hook(
                        _client: *mut bindings::kvm_nvmx_client,
                        vcpu: *mut bindings::kvm_vcpu
                        $(, $arg: <$t as Argument>::Raw)*,
                        c_fn: c_function!($($t,)* => $($answer)?)
                    ) $(-> <$answer as Answer>::Raw)? {
                        // SAFETY: These are the function that the hook replaces, and the arguments
                        // of KVM's own call of it.
                        unsafe { c_fn.unwrap_unchecked()(vcpu $(, $arg)*) }
                    }
                )*
            }

            /// What C calls for a hook that is compared: one function for each, as above.
            mod check_entry {
                use super::*;

                $(
                    #[doc = concat!("C's `", stringify!($hook), "`, compared.")]
                    ///
                    /// # Safety
                    ///
                    /// Only KVM's `kvm_nvmx_call()` calls this.
                    pub(super) unsafe extern "C" fn $hook<T: NestedTlbChecks>(
                        client: *mut bindings::kvm_nvmx_client,
                        vcpu: *mut bindings::kvm_vcpu
                        $(, $arg: <$t as Argument>::Raw)*,
                        c_fn: c_function!($($t,)* => $($answer)?)
                    ) $(-> <$answer as Answer>::Raw)? {
                        // SAFETY: KVM passes its registered client and a loaded vCPU, and `scope`
                        // ends with this call.
                        let scope = unsafe { Scope::new(client, vcpu) };

                        $(
                            // SAFETY: `$arg` is an argument of the call that `scope` stands for.
                            let [<kept_ $arg>] = unsafe { <$t as Argument>::keep($arg) };
                        )*
                        let expected = || <T as NestedTlbChecks>::$hook(
                            // SAFETY: C's function may use no more, and KVM holds what it uses.
                            unsafe { <$vcpu<'_> as HookVcpu>::in_hook(scope.vcpu()) }
                            // SAFETY: What was kept is as valid, and stays until the call ends.
                            $(, unsafe {
                                let raw = <$t as Argument>::again(&[<kept_ $arg>]);
                                <$t as Argument>::from_raw(&scope, raw)
                            })*
                        );
                        check::watch(
                            scope.vcpu(),
                            counters::hook(bindings::[<kvm_nvmx_hook_KVM_NVMX_ $hook>]),
                            &expected,
                            // SAFETY: KVM passes the function that the hook replaces, and the
                            // arguments are those that KVM calls it with.
                            || unsafe { c_fn.unwrap_unchecked()(vcpu $(, $arg)*) },
                            <answer!($($answer)?) as Answer>::as_number,
                        )
                    }
                )*
            }

            /// Counts a decision of one hook, also if the client makes it inside another hook.
            pub(crate) mod count {
                use super::*;

                $(
                    #[doc = concat!("One for `", stringify!($hook), "`.")]
                    #[inline(always)]
                    pub(crate) fn $hook() {
                        counters::count::<
                            { counters::hook(bindings::[<kvm_nvmx_hook_KVM_NVMX_ $hook>]) },
                        >();
                    }
                )*
            }

            /// The table of a client that has no hook yet.
            pub(super) const LEFT_TO_C: bindings::kvm_nvmx_ops = bindings::kvm_nvmx_ops {
                $($hook: Some(left_to_c::$hook),)*
            };

            impl<T: NestedTlbChecks> Table<T> {
                /// As C takes it. Hooks that `T` does not implement are NULL.
                pub(super) const OPS: bindings::kvm_nvmx_ops = bindings::kvm_nvmx_ops {
                    $($hook: if T::[<HAS_ $hook:upper>] {
                        Some(entry::$hook::<T>)
                    } else {
                        None
                    },)*
                };

                /// As C takes it, for hooks that are compared.
                pub(super) const CHECKS: bindings::kvm_nvmx_ops = bindings::kvm_nvmx_ops {
                    $($hook: Some(check_entry::$hook::<T>),)*
                };

                /// A bit for each hook that `T` implements.
                pub(super) const IMPLEMENTED: u32 = 0
                    $(| (T::[<HAS_ $hook:upper>] as u32) << bindings::[<kvm_nvmx_hook_KVM_NVMX_ $hook>])*;
            }

            /// The hooks' names, in C's order.
            pub(crate) static NAMES: [&CStr; counters::HOOKS] = {
                let mut names = [c""; counters::HOOKS];
                $(names[bindings::[<kvm_nvmx_hook_KVM_NVMX_ $hook>] as usize] =
                    c_str!(stringify!($hook));)*
                names
            };
        }
    };
}

/// The table of `T`'s hooks.
pub(super) struct Table<T>(PhantomData<T>);

hooks! {
    /// Any translation of the vCPU may be stale (H1).
    fn flush_tlb_all(vcpu: Vcpu);

    /// The page tables that KVM keeps for the current context have changed (H2).
    fn flush_tlb_current(vcpu: Vcpu);

    /// The current context's translation of `gva` has changed (H3).
    fn flush_tlb_gva(vcpu: Vcpu, gva: Gva, full: Ignored<*mut bool>);

    /// The running guest's own translations may be stale (H4).
    fn flush_tlb_guest(vcpu: Vcpu);

    /// The vCPU is being reset; it has left nested operation (H15).
    fn flush_tlb_reset(vcpu: Vcpu);

    /// The host may have moved L1's APIC-access page (A1 to A3). May sleep.
    fn set_apic_access_page_addr(vcpu: WithSlots);

    /// L1's APIC-access page was turned on, by L1 or by an L2 that L1 allows to write the MSR (A4).
    /// vmcs01 is the current VMCS, also while L2 is active.
    fn flush_tlb_apic_access(vcpu: Vcpu);

    /// L1 enters L2 (T1 to T5). KVM handles the requests that are made here before L2 runs. Returns
    /// the VPID that must be written to vmcs02, if any (T8). `dirty`: KVM takes vmcs12 for changed
    /// since vmcs02 was last written. Its primary controls may have changed without that (X11).
    fn enter_tlb_flush(vcpu: Vcpu, vmcs12: Vmcs12<'static>, dirty: bool) -> VpidToWrite;

    /// L2 exits to L1 (T1, T2, T5).
    fn exit_tlb_flush(vcpu: Vcpu, vmcs12: Vmcs12<'static>);

    /// L1 executes INVVPID (T6). May sleep.
    fn handle_invvpid(vcpu: WithSlots) -> Handled;

    /// L1 executes INVEPT (T13). May sleep.
    fn handle_invept(vcpu: WithSlots) -> Handled;

    /// L2 has switched to another EPT pointer by VMFUNC; the new EPT is in place (T11).
    fn vmfunc_tlb_flush(vcpu: Vcpu, vmcs12: Vmcs12<'static>);

    /// L1 leaves a VMCS, by VMPTRLD of another one or by VMCLEAR (V18). May sleep.
    fn vmcs12_released(vcpu: WithSlots);

    /// L2's VM id or VP id has changed, or it has none any more (X6). The new ids are in place.
    fn evmcs_ids_changed(vcpu: Vcpu);

    /// Whether L0 handles the VMCALL that L2 has just executed (E1, E2). The vCPU has Hyper-V
    /// state.
    fn l2_tlb_flush_wanted(vcpu: Vcpu) -> bool;

    /// L2's flush hypercall is done and L1 must be told: exit to it (E12). L2 is active.
    fn exit_after_l2_tlb_flush(vcpu: Vcpu);

    /// A Hyper-V flush hypercall of the running guest (E5 to E9, E16, E17). Returns its result
    /// value. May sleep.
    fn hv_flush_tlb(vcpu: WithSlots, call: Hypercall<'static>) -> u64;

    /// The vCPU handles its queue of Hyper-V flushes (E10). On an error, KVM flushes all of the
    /// running guest's own translations.
    fn hv_vcpu_flush_tlb(vcpu: Vcpu) -> Result;

    /// All of the running guest's own translations were flushed. There is a request to handle the
    /// queue of Hyper-V flushes, which may be redundant now (H8).
    fn hv_purge_flush_tlb(vcpu: Vcpu);

    /// A Hyper-V hypercall ends with `result` (E11). May sleep.
    fn hv_hypercall_complete(vcpu: WithSlots, result: u64) -> Handled;

    /// CR0 was changed by the guest, from `old` to `new` (R1, R5, R6).
    fn post_set_cr0(vcpu: WithSlots, old: c_ulong, new: c_ulong);

    /// CR4 was changed by the guest, from `old` to `new` (R2 to R5).
    fn post_set_cr4(vcpu: WithSlots, old: c_ulong, new: c_ulong);

    /// L1 asked in the steal time for a flush of its own translations (X3). The request is gone.
    fn steal_time_tlb_flush(vcpu: WithSlots);
}
