// SPDX-License-Identifier: GPL-2.0

//! What KVM knows of the module: the registered client, and the tables of functions that KVM gives
//! it.
//!
//! The module does not link to KVM's functions. It looks up two of them by name when it is loaded.
//! On a kernel without the patches, or without KVM, the loader would only say "Unknown symbol", and
//! the module could not say what to do. All other functions come as pointers, in tables of C's.

use core::{
    mem::{
        offset_of,
        transmute, //
    },
    ptr, //
};

use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    str::CStrExt,
    types::Opaque, //
};

use super::{
    bindings,
    check,
    compat::unsupported,
    fields::{
        Layout,
        LAYOUT, //
    },
    hooks::LEFT_TO_C,
    insn, //
};
use crate::policy::types::Caps;

/// A symbol of another module, which stays loaded as long as this is held.
///
/// # Invariants
///
/// `address` is what `__symbol_get(name)` returned, and not NULL.
struct Symbol {
    name: &'static CStr,
    address: *mut c_void,
}

impl Symbol {
    fn get(name: &'static CStr) -> Option<Self> {
        // SAFETY: A `CStr` ends with a NUL.
        let address = unsafe { bindings::__symbol_get(name.as_char_ptr()) };

        // INVARIANT: Just looked up and checked.
        (!address.is_null()).then(|| Self {
            name,
            address: address.cast(),
        })
    }
}

impl Drop for Symbol {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this gives back what was taken.
        unsafe { bindings::__symbol_put(self.name.as_char_ptr()) };
    }
}

/// `kvm_nvmx_register()`.
///
/// # Safety
///
/// The client must stay where it is, unchanged, until it is unregistered.
type Register = unsafe extern "C" fn(*mut bindings::kvm_nvmx_client) -> c_int;

/// `kvm_nvmx_unregister()`.
///
/// # Safety
///
/// The client must be registered. It must stay until this returns, which it never does in a hook.
type Unregister = unsafe extern "C" fn(*mut bindings::kvm_nvmx_client);

/// `kvm_nvmx_register` and `kvm_nvmx_unregister`.
#[inline]
fn find_functions() -> Result<(Symbol, Symbol)> {
    // SAFETY: It reads a CPU feature.
    if !unsafe { bindings::nvmx_cpu_has_vmx() } {
        pr_err!("this CPU has no VMX (or the firmware hides it): nothing to do here\n");
        return Err(ENODEV);
    }
    Symbol::get(c"kvm_nvmx_register")
        .zip(Symbol::get(c"kvm_nvmx_unregister"))
        .ok_or_else(say_why_there_is_no_table)
}

/// A client that KVM knows.
///
/// # Invariants
///
/// `client` is registered, so KVM has set its `host` and `kvm` to tables of functions that stay
/// until it is unregistered. `unregister` is KVM's `kvm_nvmx_unregister`.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(super) struct Client {
    #[pin]
    client: Opaque<bindings::kvm_nvmx_client>,
    /// KVM reads this when it registers the client, and when it makes a hook the client's.
    #[pin]
    ops: Opaque<bindings::kvm_nvmx_ops>,
    unregister: Symbol,
}

// What KVM has registered comes first: `Scope` relies on it.
const _: () = assert!(offset_of!(Client, client) == 0);

// SAFETY: KVM's functions on a client may be called from any thread; the rest is constant.
unsafe impl Send for Client {}
// SAFETY: After registration nothing in it changes but by KVM's functions, which take a lock.
unsafe impl Sync for Client {}

impl Client {
    /// Registers a client whose hooks call C's functions, until [`Client::set_ops`]. VMs may be
    /// running.
    ///
    /// KVM may call a hook as soon as it knows the client, before there is all that a hook needs: a
    /// thread may have seen that the hook was a former client's, and gets there only now.
    pub(super) fn register(checks: &'static bindings::kvm_nvmx_ops) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let (register, unregister) = find_functions()?;

            // INVARIANT: If this succeeds, KVM knows the client.
            Ok(try_pin_init!(&this in Self {
                ops: Opaque::new(LEFT_TO_C),
                client <- Opaque::try_ffi_init(move |slot: *mut bindings::kvm_nvmx_client| {
                    let client = bindings::kvm_nvmx_client {
                        version: bindings::KVM_NVMX_HOOKS_VERSION,
                        nr_layout: Layout::LEN,
                        layout: LAYOUT.as_ptr(),
                        // SAFETY: C sets the pointer at compile time.
                        prototypes: unsafe { bindings::nvmx_prototypes },
                        // Of the field beside this one, in the value that is being initialized.
                        ops: this.as_ptr().wrapping_byte_add(offset_of!(Self, ops)).cast(),
                        checks,
                        invalidates: Some(check::invalidates),
                        host: ptr::null(),
                        kvm: ptr::null(),
                    };
                    // SAFETY: `kvm_nvmx_register()` has had this type in each version, and compares
                    // the version before it looks at more. The slot is pinned, and stays until
                    // `drop` unregisters the client.
                    to_result(unsafe {
                        let register: Register = transmute(register.address);
                        slot.write(client);
                        register(slot)
                    })
                    .inspect_err(|&error| say_why_it_was_refused(error))
                }),
                unregister,
            }? Error))
        })
    }

    /// Hooks that KVM makes the client's from now on are `ops`' functions.
    ///
    /// # Safety
    ///
    /// All that these need is there. No other thread calls this or [`Client::set_hooks`] meanwhile.
    pub(super) unsafe fn set_ops(&self, ops: bindings::kvm_nvmx_ops) {
        // SAFETY: KVM reads the table when it registers the client, which is done, and in
        // `set_hooks`, which no thread calls, as the caller promises.
        unsafe { self.ops.get().write(ops) };
    }

    /// The functions of kvm.
    #[inline(always)]
    pub(super) fn kvm(&self) -> &bindings::kvm_nvmx_kvm_functions {
        // SAFETY: By the type invariant the table stays, and no thread writes the client or the
        // table after registration.
        unsafe { &*(*self.client.get()).kvm }
    }

    /// The functions of kvm_intel.
    #[inline(always)]
    pub(super) fn vmx(&self) -> &bindings::kvm_nvmx_vmx_functions {
        // SAFETY: By the type invariant kvm_intel's half stays, and it is constant.
        unsafe { &*(*(*self.client.get()).host).functions }
    }

    /// None of these functions is missing.
    #[inline]
    pub(super) fn has_all_functions(&self) -> bool {
        self.kvm().is_complete() && self.vmx().is_complete()
    }

    /// What the CPU and kvm_intel's parameters allow. They are constant while kvm_intel is loaded.
    pub(super) fn caps(&self) -> Caps {
        // SAFETY: By the type invariant `host` is valid. kvm_intel points these at variables of its
        // own, which it does not write after its initialization.
        let (ept, ept_ad, vpid, ept_caps, vpid_caps) = unsafe {
            let host = &*(*self.client.get()).host;
            (
                *host.ept,
                *host.ept_ad,
                *host.vpid,
                *host.ept_caps,
                *host.vpid_caps,
            )
        };

        let (invept, invvpid) = (insn::invept_types(ept_caps), insn::invvpid_types(vpid_caps));
        let has = |types: u32, kind: usize| types >> kind & 1 != 0;

        Caps::NONE
            .with(Caps::EPT, ept)
            .with(Caps::EPT_AD, ept_ad)
            .with(Caps::VPID, vpid)
            .with(Caps::INVEPT_SINGLE, has(invept, insn::EPT_SINGLE_CONTEXT))
            .with(
                Caps::INVVPID_ADDRESS,
                has(invvpid, insn::INDIVIDUAL_ADDRESS),
            )
            .with(Caps::INVVPID_SINGLE, has(invvpid, insn::SINGLE_CONTEXT))
            .with(Caps::INVVPID_ALL, has(invvpid, insn::ALL_CONTEXTS))
    }

    /// Makes KVM call the client at the hooks of `called`, of these in `checked` to compare, and
    /// C's code at all others. Sleeps.
    pub(super) fn set_hooks(&self, called: u32, checked: u32) {
        if let Some(set_hooks) = self.kvm().kvm_nvmx_set_hooks {
            // SAFETY: KVM knows the client by the type invariant. In a hook this would never
            // return.
            unsafe { set_hooks(self.client.get(), called, checked) };
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Client {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the address is `kvm_nvmx_unregister`'s, which has this
        // type, and KVM knows the client, which stays meanwhile.
        unsafe {
            let unregister: Unregister = transmute(self.unregister.address);
            unregister(self.client.get());
        }
    }
}

/// A table of C's functions, and nothing else in it.
///
/// # Safety
///
/// The structure consists of function pointers.
unsafe trait Functions: Sized {
    /// Whether none of the pointers is NULL.
    fn is_complete(&self) -> bool {
        let pointers = ptr::from_ref(self).cast::<*const c_void>();

        (0..size_of::<Self>() / size_of::<*const c_void>())
            // SAFETY: Each is one of the pointers that the structure consists of.
            .all(|number| !unsafe { pointers.add(number).read() }.is_null())
    }
}

// SAFETY: `nvmx_hooks.h` makes the structure from a list of functions.
unsafe impl Functions for bindings::kvm_nvmx_kvm_functions {}
// SAFETY: The second list of functions in `nvmx_hooks.h` makes this structure, and adds nothing.
unsafe impl Functions for bindings::kvm_nvmx_vmx_functions {}

#[cold]
fn say_why_there_is_no_table() -> Error {
    if cfg!(CONFIG_TRIM_UNUSED_KSYMS) {
        pr_err!("TRIM_UNUSED_KSYMS removed KVM's hook table from the kernel: turn it off\n");
        return unsupported();
    }
    // Any kernel's KVM has this one, if it is not trimmed.
    if Symbol::get(c"kvm_get_kvm").is_some() {
        pr_err!("KVM has no hook table: apply the project's patches, build with KVM_HYPERV=y\n");
        unsupported()
    } else {
        pr_err!("KVM is not loaded: load kvm_intel first (modprobe kvm_intel)\n");
        ENODEV
    }
}

#[cold]
fn say_why_it_was_refused(error: Error) {
    if error == ENODEV {
        pr_err!("kvm_intel is not loaded: load it first (modprobe kvm_intel)\n");
    } else if error == unsupported() {
        pr_err!("kvm_intel runs with nested=0: reload it with nested=1\n");
    } else if error == EPERM {
        pr_err!("KVM runs on Hyper-V: reload kvm_intel with enlightened_vmcs=0\n");
    } else if error == EBUSY {
        pr_err!("another module serves KVM's nVMX hooks: unload it first\n");
    }
    // ENOEXEC: KVM has named what differs.
}
