// SPDX-License-Identifier: GPL-2.0

//! Registered with KVM for as long as one value lives.
//!
//! KVM's functions are looked up by name when the module is loaded, not linked to: on a kernel
//! without the patches, or without KVM, the loader would only say "Unknown symbol", and the module
//! could not say what to do.

use core::{
    cell::UnsafeCell,
    mem::{
        transmute,
        zeroed, //
    },
    ptr, //
};

use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    str::CStrExt, //
};

use crate::{
    bindings, hooks,
    kvm::{
        host::Host,
        layout::LAYOUTS, //
    },
};

/// A table in which C serves every hook.
// SAFETY: It consists of optional function pointers, for which all zeroes are `None`.
pub(crate) const NO_OPS: bindings::kvm_nvmx_ops = unsafe { zeroed() };

static OPS: bindings::kvm_nvmx_ops = hooks::table::OPS;

/// What KVM and the module share while the module is registered.
#[repr(transparent)]
struct Client(UnsafeCell<bindings::kvm_nvmx_client>);

// SAFETY: KVM writes `host` before it calls the first hook and nothing else at any time.
unsafe impl Sync for Client {}

static CLIENT: Client = Client(UnsafeCell::new(bindings::kvm_nvmx_client {
    version: bindings::KVM_NVMX_HOOKS_VERSION,
    nr_layout: LAYOUTS.len(),
    layout: LAYOUTS.as_ptr(),
    ops: &raw const OPS,
    host: ptr::null(),
}));

/// C's side.
///
/// # Safety
///
/// Only from a running hook, and not to be kept beyond it.
pub(crate) unsafe fn host<'a>() -> Host<'a> {
    // SAFETY: KVM set the pointer before the first hook ran, and it is good until the last has.
    unsafe { Host::from_raw((*CLIENT.0.get()).host) }
}

/// A symbol of another module, which stays loaded as long as this is held.
///
/// # Invariants
///
/// `address` is what `__symbol_get(name)` returned, and not NULL.
struct Symbol {
    name: &'static CStr,
    address: *mut core::ffi::c_void,
}

// SAFETY: It is an address and a reference count, neither tied to a thread.
unsafe impl Send for Symbol {}
// SAFETY: As above, and nothing in it changes.
unsafe impl Sync for Symbol {}

impl Symbol {
    fn get(name: &'static CStr) -> Option<Self> {
        // SAFETY: A NUL-terminated string.
        let address = unsafe { bindings::__symbol_get(name.as_char_ptr()) };

        if address.is_null() {
            return None;
        }
        // INVARIANT: Just checked.
        Some(Self {
            name,
            address: address.cast(),
        })
    }
}

impl Drop for Symbol {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this returns what was gotten.
        unsafe { bindings::__symbol_put(self.name.as_char_ptr()) };
    }
}

type Register = unsafe extern "C" fn(*mut bindings::kvm_nvmx_client) -> c_int;
type Unregister = unsafe extern "C" fn(*mut bindings::kvm_nvmx_client);

/// The module serves KVM's hooks.
///
/// # Invariants
///
/// `CLIENT` is registered, and `unregister` is KVM's `kvm_nvmx_unregister`.
pub(crate) struct Registration {
    unregister: Symbol,
}

impl Registration {
    /// Takes the hooks over. VMs may be running; each of their vCPUs gets a full flush.
    ///
    /// Errors, each with one line in the kernel log that says what to do: `ENODEV` without VMX,
    /// KVM or kvm_intel; `EOPNOTSUPP` on a kernel without the hook table or with nested=0;
    /// `EBUSY` if another module serves the hooks; `ENOEXEC` if the module was built for another
    /// kernel.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: It reads a CPU feature.
        if !unsafe { bindings::nvmx_cpu_has_vmx() } {
            pr_err!("this CPU has no VMX (or the firmware hides it): nothing to do here\n");
            return Err(ENODEV);
        }
        let (Some(register), Some(unregister)) = (
            Symbol::get(c"kvm_nvmx_register"),
            Symbol::get(c"kvm_nvmx_unregister"),
        ) else {
            return Err(Self::say_why_there_is_no_table());
        };
        // SAFETY: This is the function's type; registration checks what it is given.
        let register: Register = unsafe { transmute(register.address) };

        // SAFETY: The client is static and describes itself truthfully.
        let result = to_result(unsafe { register(CLIENT.0.get()) });
        if let Err(error) = result {
            Self::say_why_it_was_refused(error);
            return Err(error);
        }
        // INVARIANT: It was accepted. `register` may go: `unregister` keeps the same module.
        Ok(Self { unregister })
    }

    #[cold]
    fn say_why_there_is_no_table() -> Error {
        // Any kernel's KVM has this one.
        if Symbol::get(c"kvm_get_kvm").is_some() {
            pr_err!("KVM has no hook table: apply patches/linux-7.3, build with KVM_HYPERV=y\n");
            EOPNOTSUPP
        } else {
            pr_err!("KVM is not loaded: load kvm_intel first (modprobe kvm_intel)\n");
            ENODEV
        }
    }

    #[cold]
    fn say_why_it_was_refused(error: Error) {
        if error == ENODEV {
            pr_err!("kvm_intel is not loaded: load it first (modprobe kvm_intel)\n");
        } else if error == EOPNOTSUPP {
            pr_err!("kvm_intel runs with nested=0: reload it with nested=1\n");
        } else if error == EBUSY {
            pr_err!("another module serves KVM's nVMX hooks: unload it first\n");
        }
        // ENOEXEC: KVM has named what differs.
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is the function and its type.
        let unregister: Unregister = unsafe { transmute(self.unregister.address) };
        // SAFETY: By the type invariant the client is registered. No hook is this thread's caller.
        unsafe { unregister(CLIENT.0.get()) };
    }
}
