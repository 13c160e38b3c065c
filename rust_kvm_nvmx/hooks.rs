// SPDX-License-Identifier: GPL-2.0

//! The hooks: each reads what is true, asks the policy, and does what it says.
//!
//! KVM calls them in process context on the vCPU's own thread with the vCPU loaded on this CPU,
//! inside an SRCU read-side section of the hook table that C entered before the call, so that this
//! text stays until the call has returned. Preemption is enabled: a vCPU that moves to another CPU
//! in between is loaded anew there, which flushes everything (H9).
//!
//! Here are H1 (`flush_tlb_all`), H2 (`flush_tlb_current`), H3 (`flush_tlb_gva`), H4
//! (`flush_tlb_guest`), H15's flush (`flush_tlb_reset`), T1 to T5 (`transition_tlb_flush`) and what
//! L1 asks for in its steal time (`steal_time_tlb_flush`, hole X3). TDX vCPUs never come here (H7).
//! The hooks that no file implements stay with the C code.
//!
//! - [`l2`]: what L2 runs with (T8, T11),
//! - [`instructions`]: L1's INVVPID and INVEPT (T6, T13),
//! - [`apic`]: L1's APIC-access page (A1 to A4),
//! - [`roles`]: changes of CR0 and CR4 (R1 to R6),
//! - [`table`]: all of them, Hyper-V's too.

use core::ptr;

use kernel::{
    jump_label::static_branch_unlikely,
    warn_on, //
};

use crate::{
    bindings,
    kvm::{
        host::Host,
        vcpu::{
            Vcpu,
            Vmcs12, //
        },
    },
    policy::{
        flush,
        transition::{
            self,
            Direction,
            Facts,
            Request, //
        },
        types::{
            Caps,
            Gva,
            Invalidation,
            Vpid, //
        },
    },
    registration,
    stats::{
        self,
        Counter, //
    },
    vmx::{
        insn::execute,
        request, //
    },
};

/// If the hook is switched to C: counts, has C serve it, and returns from the hook. `kvm` before
/// the host says that the hook is one of kvm's and not of kvm_intel's.
macro_rules! unless_c {
    ($key:ident, $counter:ident, kvm $host:ident . $hook:ident ($($arg:expr),*)) => {
        unless_c!($key, $counter, $host, kvm_c, $hook, $($arg),*)
    };
    ($key:ident, $counter:ident, $host:ident . $hook:ident ($($arg:expr),*)) => {
        unless_c!($key, $counter, $host, c, $hook, $($arg),*)
    };
    ($key:ident, $counter:ident, $host:ident, $table:ident, $hook:ident, $($arg:expr),*) => {
        // SAFETY: The key is one of `helpers.c`.
        if unsafe {
            static_branch_unlikely!(bindings::$key, bindings::nvmx_switch, c)
        } {
            if let Some(c) = $host.$table().$hook {
                stats::count::<{ Counter::$counter as usize }>();
                // SAFETY: C's function for this very hook, with the arguments of this very call.
                return unsafe { c($($arg),*) };
            }
        }
    };
}
pub(crate) use unless_c;

mod apic;
mod instructions;
mod l2;
mod roles;
pub(crate) mod table;

/// H1.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
unsafe extern "C" fn flush_tlb_all(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(nvmx_switch_flush_tlb_all, AllC, host.flush_tlb_all(vcpu));
    stats::count::<{ Counter::AllRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    for invalidation in flush::all(host.caps(), vcpu.vpid01(), vcpu.vpid02()) {
        do_if_owed(host, invalidation);
    }
}

/// H2.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
unsafe extern "C" fn flush_tlb_current(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_flush_tlb_current,
        CurrentC,
        host.flush_tlb_current(vcpu)
    );
    stats::count::<{ Counter::CurrentRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    let caps = host.caps();
    do_if_owed(
        host,
        flush::current(caps, vcpu.root(caps), current_vpid(vcpu)),
    );
}

/// H3. `full` is for implementations that flush more than asked; this one never does.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation, and by [`Addresses::flush`] for
/// the vCPU of a running hook. `full` may be NULL.
unsafe extern "C" fn flush_tlb_gva(
    vcpu: *mut bindings::kvm_vcpu,
    gva: bindings::gva_t,
    full: *mut bool,
) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_flush_tlb_gva,
        GvaC,
        host.flush_tlb_gva(vcpu, gva, full)
    );

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    Addresses::of_running(host, vcpu).flush_in_rust(Gva(gva as u64));
}

/// H3 for many addresses of the guest that runs: what they have in common, looked up once.
pub(crate) struct Addresses<'a> {
    host: Host<'a>,
    vcpu: Vcpu<'a>,
    caps: Caps,
    vpid: Option<Vpid>,
}

impl<'a> Addresses<'a> {
    /// Of the guest that runs now, and as long as it does.
    pub(crate) fn of_running(host: Host<'a>, vcpu: Vcpu<'a>) -> Self {
        Self {
            host,
            vcpu,
            caps: host.caps(),
            vpid: current_vpid(vcpu),
        }
    }

    /// H3. `gva` is canonical.
    #[inline(always)]
    pub(crate) fn flush(&self, gva: Gva) {
        // SAFETY: The key is one of `helpers.c`.
        if unsafe {
            static_branch_unlikely!(
                bindings::nvmx_switch_flush_tlb_gva,
                bindings::nvmx_switch,
                c
            )
        } {
            // SAFETY: A hook is running for this vCPU, and `full` may be NULL.
            unsafe { flush_tlb_gva(self.vcpu.as_ptr(), gva.0 as usize, ptr::null_mut()) };
            return;
        }
        self.flush_in_rust(gva);
    }

    #[inline(always)]
    fn flush_in_rust(&self, gva: Gva) {
        stats::count::<{ Counter::GvaRust as usize }>();
        do_if_owed(self.host, flush::address(self.caps, self.vpid, gva));
    }
}

/// H4.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation, and by
/// [`crate::hyperv::serve::hv_vcpu_flush_tlb`].
pub(crate) unsafe extern "C" fn flush_tlb_guest(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_flush_tlb_guest,
        GuestC,
        host.flush_tlb_guest(vcpu)
    );
    stats::count::<{ Counter::GuestRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    do_if_owed(host, flush::context(host.caps(), current_vpid(vcpu)));
}

/// H15: the vCPU is reset; nested operation is left by now.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
unsafe extern "C" fn flush_tlb_reset(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_flush_tlb_reset,
        ResetC,
        host.flush_tlb_reset(vcpu)
    );
    stats::count::<{ Counter::ResetRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    do_if_owed(host, flush::context(host.caps(), vcpu.vpid01()));
}

/// T1 to T5. Nothing is flushed here: the requests are served when the new context is complete.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation; `vmcs12` is the vCPU's.
unsafe extern "C" fn transition_tlb_flush(
    vcpu: *mut bindings::kvm_vcpu,
    vmcs12: *mut bindings::vmcs12,
    is_vmenter: bool,
) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_transition_tlb_flush,
        TransitionC,
        host.transition_tlb_flush(vcpu, vmcs12, is_vmenter)
    );
    stats::count::<{ Counter::TransitionRust as usize }>();

    // SAFETY: The arguments of a running hook.
    let (vcpu, vmcs12) = unsafe { (Vcpu::from_raw(vcpu), Vmcs12::from_raw(vmcs12)) };
    let caps = host.caps();
    let owed = transition::owed(Facts {
        direction: if is_vmenter {
            Direction::Enter
        } else {
            Direction::Exit
        },
        vpid12: vmcs12.vpid12(),
        last_vpid: vcpu.last_vpid(),
        vpid02: vcpu.vpid02(),
        ept: caps.ept,
        vpid: caps.vpid,
        hyperv: vcpu.has_hyperv(),
    });

    warn_on!(owed.impossible_vpid);
    if owed.hyperv {
        request::hv_tlb_flush(vcpu);
    }
    if let Some(vpid12) = owed.new_last_vpid {
        vcpu.set_last_vpid(vpid12);
    }
    match owed.request {
        Some(Request::Guest) => request::tlb_flush_guest(vcpu),
        Some(Request::Current) => request::tlb_flush_current(vcpu),
        None => (),
    }
}

/// X3: L1, when preempted, was asked by another vCPU of its VM to flush its own translations.
///
/// Not one of L1's own can be used before L1 runs again, but the flush is now or never: the request
/// is gone from the steal time by then.
///
/// # Safety
///
/// Called by KVM's hook table only, see the module's documentation.
unsafe extern "C" fn steal_time_tlb_flush(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: A hook is running, so the module is registered.
    let host = unsafe { registration::host() };
    unless_c!(
        nvmx_switch_steal_time_tlb_flush,
        StealTimeC,
        kvm host.steal_time_tlb_flush(vcpu)
    );
    stats::count::<{ Counter::StealTimeRust as usize }>();

    // SAFETY: The argument of a running hook.
    let vcpu = unsafe { Vcpu::from_raw(vcpu) };
    do_if_owed(
        host,
        flush::of_l1_while_away(host.caps(), current_vpid(vcpu), vcpu.vpid01()),
    );
    host.flush_guest(vcpu);
}

/// H5.
pub(crate) fn current_vpid(vcpu: Vcpu<'_>) -> Option<Vpid> {
    flush::current_vpid(vcpu.vmcs12_uses_vpid(), vcpu.vpid01(), vcpu.vpid02())
}

#[inline(always)]
pub(crate) fn do_if_owed(host: Host<'_>, invalidation: Option<Invalidation>) {
    if let Some(invalidation) = invalidation {
        execute(host, invalidation);
    }
}
