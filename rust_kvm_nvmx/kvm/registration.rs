// SPDX-License-Identifier: GPL-2.0

//! The registration of a client's hooks, for as long as one value lives; and which side decides at
//! each hook.

use core::{
    marker::PhantomData,
    mem::offset_of, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Release, //
    },
};

use super::{
    bindings,
    client::Client,
    counters::HOOKS,
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

/// What hooks need of the registration. It begins with KVM's client, whose address hooks are given.
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

// `Scope` makes this of the client's address.
const _: () = assert!(offset_of!(Shared, client) == 0);

impl Shared {
    /// Registers a client with these tables, of which no hook is called yet.
    fn new(
        ops: bindings::kvm_nvmx_ops,
        checks: &'static bindings::kvm_nvmx_ops,
        options: Options,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: It is dropped, which unregisters it, if a pointer is NULL.
        try_pin_init!(Self {
            client <- Client::register(checks),
            caps: client.caps(),
            options: Atomic::new(options.bits()),
            pages: Pages::new(),
            _: {
                if !client.has_all_functions() {
                    pr_err!("KVM's table of functions has gaps: rebuild the kernel\n");
                    return Err(ENOEXEC);
                }
                // SAFETY: All fields were just initialized, and no other thread has the value but
                // those that are in hooks.
                unsafe { client.set_ops(ops) };
            },
        }? Error)
    }

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
        self.client.kvm()
    }

    /// The functions of kvm_intel.
    #[inline(always)]
    pub(super) fn vmx(&self) -> &bindings::kvm_nvmx_vmx_functions {
        self.client.vmx()
    }

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
        self.client.set_hooks(modes.called, modes.checked);
    }
}

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
#[derive(Clone, Copy, PartialEq, Eq)]
struct Modes {
    /// The client's function is called.
    called: u32,
    /// Of those: the one that compares.
    checked: u32,
}

impl Modes {
    /// All hooks are C's.
    const C: Self = Self {
        called: 0,
        checked: 0,
    };

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
/// Dropping it gives all hooks back to C, flushes everything, and waits until no CPU is in one of
/// `T`'s. A hook must not drop it, nor call [`Registration::set_mode`]: it would wait for itself.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T> {
    #[pin]
    shared: Shared,
    #[pin]
    modes: kernel::sync::Mutex<Modes>,
    options: Options,
    /// No `T` is made.
    _hooks: PhantomData<fn() -> T>,
}

impl<T: NestedTlbChecks> Registration<T> {
    /// All of KVM's hooks.
    const EVERY: u32 = u32::MAX >> (u32::BITS - HOOKS as u32);

    /// All of KVM's hooks are `T`'s.
    const ALL_RUST: Modes = Modes::C.with(Self::EVERY, Mode::Rust);

    /// Each hook that may be in `mode` is.
    const fn all_in(mode: Mode) -> Modes {
        let bits = match mode {
            Mode::C | Mode::Check => Self::EVERY,
            Mode::Rust => Table::<T>::IMPLEMENTED,
        };

        Modes::C.with(bits, mode)
    }

    /// Registers `T` with KVM, with each hook in `mode` that may be. VMs may be running. `options`
    /// apply while all of KVM's hooks are `T`'s.
    ///
    /// Errors, each with one line in the kernel log that says what to do: `ENODEV` without VMX,
    /// KVM or kvm_intel; `EOPNOTSUPP` on a kernel without the hook table, with TRIM_UNUSED_KSYMS,
    /// or with nested=0; `EPERM` if KVM itself runs on Hyper-V with enlightened VMCSs; `EBUSY` if
    /// there is another client; `ENOEXEC` if the module was built for another kernel, or if a
    /// function is missing in KVM's table.
    pub(crate) fn new(mode: Mode, options: Options) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            shared <- Shared::new(
                Table::<T>::OPS,
                &Table::<T>::CHECKS,
                options.while_a_hook_is_c_s(),
            ),
            modes <- kernel::new_mutex!(Modes::C),
            _: {
                let first = Self::all_in(mode);

                *modes.lock() = first;
                shared.set_hooks(first);
                if first == Self::ALL_RUST {
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
        (number < HOOKS).then(|| 1 << number)
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // V14. The hooks become C's one by one.
        self.shared.set_options(self.options.while_a_hook_is_c_s());
        // While KVM knows the client: a hook that is compared must be told of all to the end.
        self.shared.set_hooks(Modes::C);
    }
}
