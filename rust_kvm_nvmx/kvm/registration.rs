// SPDX-License-Identifier: GPL-2.0

//! A client of KVM's hooks, for as long as one value lives.
//!
//! The module does not link to KVM's functions. It looks up two of them by name when it is loaded.
//! On a kernel without the patches, or without KVM, the loader would only say "Unknown symbol", and
//! the module could not say what to do. All other functions come as pointers, in tables of C's.

use core::{
    marker::PhantomData,
    mem::transmute,
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
    sync::atomic::{
        Atomic,
        Release, //
    },
    types::Opaque, //
};

use super::{
    bindings, check,
    compat::unsupported,
    fields::{
        Layout,
        LAYOUT, //
    },
    hooks::{
        NestedTlbChecks,
        Table, //
    },
    mmu::Pages,
};
use crate::policy::{
    history,
    options::Options,
    types::Caps, //
};

// Bits of IA32_VMX_EPT_VPID_CAP (SDM, appendix "VPID and EPT Capabilities"); KVM keeps the halves
// apart.
const INVEPT_SINGLE_CONTEXT: u32 = 1 << 25;
const INVVPID_INDIVIDUAL_ADDRESS: u32 = 1 << (40 - 32);
const INVVPID_SINGLE_CONTEXT: u32 = 1 << (41 - 32);
const INVVPID_ALL_CONTEXTS: u32 = 1 << (42 - 32);

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
/// The client must be registered, and the calling thread in no hook.
type Unregister = unsafe extern "C" fn(*mut bindings::kvm_nvmx_client);

/// A client that KVM knows.
///
/// # Invariants
///
/// `client` is registered, so KVM has set its `host` and `kvm` to tables of functions that stay
/// until it is unregistered. `unregister` is KVM's `kvm_nvmx_unregister`.
#[pin_data(PinnedDrop)]
#[repr(C)]
struct Client {
    #[pin]
    client: Opaque<bindings::kvm_nvmx_client>,
    unregister: Symbol,
}

impl Client {
    fn register(
        ops: &'static bindings::kvm_nvmx_ops,
        checks: &'static bindings::kvm_nvmx_ops,
    ) -> impl PinInit<Self, Error> {
        let lookup = || {
            // SAFETY: It reads a CPU feature.
            if !unsafe { bindings::nvmx_cpu_has_vmx() } {
                pr_err!("this CPU has no VMX (or the firmware hides it): nothing to do here\n");
                return Err(ENODEV);
            }
            match (
                Symbol::get(c"kvm_nvmx_register"),
                Symbol::get(c"kvm_nvmx_unregister"),
            ) {
                (Some(register), Some(unregister)) => Ok((register, unregister)),
                _ => Err(say_why_there_is_no_table()),
            }
        };

        pin_init::pin_init_scope(move || {
            let (register, unregister) = lookup()?;

            // INVARIANT: If this succeeds, KVM knows the client.
            Ok(try_pin_init!(Self {
                client <- Opaque::try_ffi_init(move |slot: *mut bindings::kvm_nvmx_client| {
                    let client = bindings::kvm_nvmx_client {
                        version: bindings::KVM_NVMX_HOOKS_VERSION,
                        nr_layout: Layout::LEN,
                        layout: LAYOUT.as_ptr(),
                        // SAFETY: C sets the pointer at compile time.
                        prototypes: unsafe { bindings::nvmx_prototypes },
                        ops,
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
}

#[pinned_drop]
impl PinnedDrop for Client {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the address is `kvm_nvmx_unregister`'s, which has this
        // type, and KVM knows the client. This thread is in no hook.
        unsafe {
            let unregister: Unregister = transmute(self.unregister.address);
            unregister(self.client.get());
        }
    }
}

/// What hooks need of the registration. It begins with the client, so both have one address.
///
/// # Invariants
///
/// No pointer in the tables that `client` leads to is NULL.
#[pin_data]
#[repr(C)]
pub(super) struct Shared {
    #[pin]
    client: Client,
    caps: Caps,
    options: Atomic<u32>,
    pages: Pages,
}

impl Shared {
    /// What the CPU and kvm_intel's parameters allow.
    #[inline(always)]
    pub(super) fn caps(&self) -> Caps {
        self.caps
    }

    /// Where the rules may flush less than C does.
    #[inline(always)]
    pub(super) fn options(&self) -> Options {
        // SAFETY: The word is aligned, and other threads access it atomically. (A relaxed load,
        // without the function call that the `kernel` crate makes of it.)
        Options::from_bits(unsafe { self.options.as_ptr().read_volatile() })
    }

    /// Where the MMU's knowledge of a page is found.
    #[inline(always)]
    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The functions of kvm.
    #[inline(always)]
    pub(super) fn kvm(&self) -> &bindings::kvm_nvmx_kvm_functions {
        // SAFETY: By `Client`'s invariant the table stays, and no thread writes the client or the
        // table after registration.
        unsafe { &*(*self.client.client.get()).kvm }
    }

    /// The functions of kvm_intel.
    #[inline(always)]
    pub(super) fn vmx(&self) -> &bindings::kvm_nvmx_vmx_functions {
        // SAFETY: By `Client`'s invariant kvm_intel's half stays, and it is constant.
        unsafe { &*(*(*self.client.client.get()).host).functions }
    }
}

/// What the CPU and kvm_intel's parameters allow. They are constant while kvm_intel is loaded.
fn caps_of(client: &Client) -> Caps {
    // SAFETY: By `Client`'s invariant `host` is valid. kvm_intel points these at variables of its
    // own, which it does not write after its initialization.
    let (ept, ept_ad, vpid, ept_caps, vpid_caps) = unsafe {
        let host = &*(*client.client.get()).host;
        (
            *host.ept,
            *host.ept_ad,
            *host.vpid,
            *host.ept_caps,
            *host.vpid_caps,
        )
    };

    Caps::NONE
        .with(Caps::EPT, ept)
        .with(Caps::EPT_AD, ept_ad)
        .with(Caps::VPID, vpid)
        .with(Caps::INVEPT_SINGLE, ept_caps & INVEPT_SINGLE_CONTEXT != 0)
        .with(
            Caps::INVVPID_ADDRESS,
            vpid_caps & INVVPID_INDIVIDUAL_ADDRESS != 0,
        )
        .with(
            Caps::INVVPID_SINGLE,
            vpid_caps & INVVPID_SINGLE_CONTEXT != 0,
        )
        .with(Caps::INVVPID_ALL, vpid_caps & INVVPID_ALL_CONTEXTS != 0)
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

/// Which side decides at a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// KVM's own code.
    C,
    /// The client.
    Rust,
    /// KVM's own code. The client compares what it does with what it would have done.
    Check,
}

/// The sides of all hooks, a bit for each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Modes {
    /// The client's function is called.
    called: u32,
    /// Of those: the one that compares.
    checked: u32,
}

impl Modes {
    /// With the hooks of `bits` in `mode`.
    const fn with(self, bits: u32, mode: Mode) -> Self {
        let (called, checked) = match mode {
            Mode::C => (0, 0),
            Mode::Rust => (bits, 0),
            Mode::Check => (bits, bits),
        };

        Self {
            called: self.called & !bits | called,
            checked: self.checked & !bits | checked,
        }
    }

    /// The mode of the hook with this bit.
    const fn of(self, bit: u32) -> Mode {
        if self.checked & bit != 0 {
            Mode::Check
        } else if self.called & bit != 0 {
            Mode::Rust
        } else {
            Mode::C
        }
    }
}

/// KVM calls `T`'s hooks.
///
/// Dropping it gives all hooks back to C, waits until no CPU is in one of `T`'s, and flushes
/// everything.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T> {
    #[pin]
    shared: Shared,
    #[pin]
    modes: kernel::sync::Mutex<Modes>,
    options: Options,
    _hooks: PhantomData<T>,
}

// SAFETY: KVM's functions on a client may be called from any thread; the rest is constant.
unsafe impl<T> Send for Registration<T> {}
// SAFETY: After registration, only `modes` and the options in `shared` change. A mutex protects the
// one, and the others are atomic.
unsafe impl<T> Sync for Registration<T> {}

impl<T: NestedTlbChecks> Registration<T> {
    /// Each hook that `T` implements is `T`'s.
    const ALL_RUST: Modes = Modes {
        called: Table::<T>::IMPLEMENTED,
        checked: 0,
    };

    /// Registers `T` with KVM, with each hook in `mode`. VMs may be running. `options` apply while
    /// all hooks are `T`'s.
    ///
    /// Errors, each with one line in the kernel log that says what to do: `ENODEV` without VMX,
    /// KVM or kvm_intel; `EOPNOTSUPP` on a kernel without the hook table or with nested=0; `EPERM`
    /// if KVM itself runs on Hyper-V with enlightened VMCSs; `EBUSY` if there is another client;
    /// `ENOEXEC` if the module was built for another kernel.
    pub(crate) fn new(mode: Mode, options: Options) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            shared <- try_pin_init!(Shared {
                client <- Client::register(&Table::<T>::OPS, &Table::<T>::CHECKS),
                caps: caps_of(&client),
                options: Atomic::new(options.while_a_hook_is_c_s().bits()),
                pages: Pages::new(),
            }? Error),
            modes <- kernel::new_mutex!(Modes::default()),
            _: {
                if !shared.kvm().is_complete() || !shared.vmx().is_complete() {
                    pr_err!("KVM's table of functions has gaps: rebuild the kernel\n");
                    return Err(ENOEXEC);
                }
                if mode == Mode::Rust {
                    *modes.lock() = Self::ALL_RUST;
                    shared.set_hooks(Self::ALL_RUST);
                    shared.set_options(options);
                }
            },
            options,
            _hooks: PhantomData,
        }? Error)
    }

    /// Where the rules flush less than C does at this moment.
    pub(crate) fn options(&self) -> Options {
        self.shared.options()
    }

    /// Which side decides at hook `number`; `None` if there is no such hook.
    pub(crate) fn mode(&self, number: usize) -> Option<Mode> {
        let bit = Self::bit(number)?;

        Some(self.modes.lock().of(bit))
    }

    /// Puts hook `number` in `mode`. Sleeps.
    ///
    /// Neither side knows what the other did not flush, so a change flushes everything in all VMs.
    /// If the hook becomes C's, all threads that were in `T`'s function have left it when this
    /// returns. One that was preempted just before it may still come, once. `EINVAL` if there is no
    /// such hook, or if it shall be `T`'s, and `T` does not implement it.
    pub(crate) fn set_mode(&self, number: usize, mode: Mode) -> Result {
        let bit = Self::bit(number).ok_or(EINVAL)?;
        let mut modes = self.modes.lock();
        let new = modes.with(bit, mode);

        if mode == Mode::Rust && bit & Table::<T>::IMPLEMENTED == 0 {
            return Err(EINVAL);
        }
        if new != *modes {
            self.shared.set_options(self.options.while_a_hook_is_c_s());
            self.shared.set_hooks(new);
            if new == Self::ALL_RUST {
                self.shared.set_options(self.options);
            }
            *modes = new;
        }
        Ok(())
    }

    fn bit(number: usize) -> Option<u32> {
        (number < super::counters::HOOKS).then(|| 1 << number)
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // V14. The hooks become C's one by one.
        self.shared.set_options(self.options.while_a_hook_is_c_s());
        // While KVM knows the client: a hook that is compared must be told of all to the end.
        self.shared.set_hooks(Modes::default());
    }
}

impl Shared {
    /// V14: where the rules may flush less than C does, from now on.
    ///
    /// What a vCPU has parked is only right as long as each INVVPID of L1's goes to Rust. So no
    /// pair is used from before the first hook becomes C's until all hooks are Rust's again. Then
    /// every vCPU has a request to flush everything, which it handles before its next L2 runs. So
    /// the owners of the parked pairs are right again, whatever C did not tell them.
    ///
    /// Flush calls of L2s are counted from before Rust handles the first one. KVM waits for those
    /// that C was handling before [`Shared::set_hooks`] returns, so none is left that is not
    /// counted when the options are set.
    ///
    /// A vCPU's hooks run one after the other on its own thread. If the thread sees C's code at one
    /// of them, it sees before that, i.e. in any hook of Rust's that comes later, the options that
    /// were set first: changing the code makes all CPUs serialize.
    fn set_options(&self, options: Options) {
        let options = if history::may_park(self.caps) {
            options
        } else {
            options.with_slots(1)
        };

        self.options.store(options.bits(), Release);
    }

    /// Makes KVM call the client where `modes` says so, and C's code at all other hooks.
    fn set_hooks(&self, modes: Modes) {
        if let Some(set_hooks) = self.kvm().kvm_nvmx_set_hooks {
            // SAFETY: KVM knows the client, and this thread is in no hook.
            unsafe { set_hooks(self.client.client.get(), modes.called, modes.checked) };
        }
    }
}

#[cold]
fn say_why_there_is_no_table() -> Error {
    if cfg!(CONFIG_TRIM_UNUSED_KSYMS) {
        pr_err!("TRIM_UNUSED_KSYMS removed KVM's hook table from the kernel: turn it off\n");
        return unsupported();
    }
    // Any kernel's KVM has this one, if it is not trimmed.
    if Symbol::get(c"kvm_get_kvm").is_some() {
        pr_err!("KVM has no hook table: apply the kernel's patches, build with KVM_HYPERV=y\n");
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
