// SPDX-License-Identifier: GPL-2.0

//! Nested VMX's TLB flushes for KVM, in Rust.
//!
//! While it is loaded, the module decides which TLB flush KVM must do for nested VMX, and executes
//! it, in place of KVM's C code. Some hooks serve every VMX VM. The steps of a flush:
//!
//! 1. KVM calls a hook, through the table of `patches/` ([`kvm::hooks`]).
//! 2. The hook reads what is true now ([`nested_tlb`], through the views in [`kvm`]).
//! 3. It asks which flush that requires ([`policy`]).
//! 4. It executes the flush, or makes a request to KVM (the same views).

#![crate_name = "rust_kvm_nvmx"]
#![deny(unsafe_code)]

use core::borrow::Borrow;

use kernel::prelude::*;

mod debugfs;
mod kvm;
mod nested_tlb;
mod policy;

use kvm::{
    compat::parameter,
    debugfs::Directory,
    host,
    registration::{
        Mode,
        Registration, //
    }, //
};
use nested_tlb::NestedTlb;
use policy::options::Options;

/// The loaded module: a directory in debugfs that owns the registration with KVM. The directory is
/// removed first, because its files switch hooks.
#[pin_data]
struct NestedVmxFlushes {
    #[pin]
    _registration: Directory<Registration<NestedTlb>>,
}

impl kernel::InPlaceModule for NestedVmxFlushes {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let mode = mode();
        let options = options();

        try_pin_init!(Self {
            _registration <- Directory::new(
                c"rust_kvm_nvmx",
                Registration::new(mode?, options?),
            ),
        }? Error)
    }
}

/// What a parameter says that is 0 or 1. `module!` has none of type bool before 7.3.
fn flag(name: &str, value: impl Borrow<u8>) -> Result<bool> {
    let value = parameter(value);

    if value > 1 {
        pr_err!("{name}={value}: it must be 0 or 1\n");
        return Err(EINVAL);
    }
    Ok(value == 1)
}

/// Which side has the hooks at first.
fn mode() -> Result<Mode> {
    let in_c = flag("start_in_c", module_parameters::start_in_c.value())?;

    Ok(if in_c { Mode::C } else { Mode::Rust })
}

/// What the other parameters say.
fn options() -> Result<Options> {
    let slots = parameter(module_parameters::vpid_slots.value());

    if !(1..=Options::MAX_SLOTS).contains(&slots) {
        pr_err!(
            "vpid_slots={slots}: it must be 1 to {}\n",
            Options::MAX_SLOTS
        );
        return Err(EINVAL);
    }
    let keep = flag("keep_roots", module_parameters::keep_roots.value())?;
    let skip = flag("skip_needless", module_parameters::skip_needless.value())?;

    let options = Options::STOCK
        .with_slots(slots)
        .with(Options::COUNT_CALLS, slots > 1)
        .with(Options::KEEP_ROOTS, keep)
        .with(Options::SKIP_NEEDLESS, skip)
        .with(Options::KNOW_L2_PAGE, skip)
        .with(Options::OWN_ROOTS, skip);

    Ok(if host::remote_flush_misses_roots() {
        pr_info!("KVM flushes by Hyper-V's hypercall: as with vpid_slots=1 keep_roots=0\n");
        options.where_a_flush_misses_roots()
    } else {
        options
    })
}

module! {
    type: NestedVmxFlushes,
    name: "rust_kvm_nvmx",
    authors: ["The rust_kvm_nvmx developers"],
    description: "Nested VMX's TLB flushes for KVM, decided and executed in Rust",
    license: "GPL",
    params: {
        start_in_c: u8 {
            default: 0,
            description: "Load with every hook left to C; switch them one by one in debugfs",
        },
        vpid_slots: u8 {
            default: 16,
            description: "VPIDs for the L2s of a vCPU, 1 to 16: with 1, a change of vpid12 flushes",
        },
        keep_roots: u8 {
            default: 1,
            description: "Keep the roots of L1's EPTs over VMPTRLD and VMCLEAR",
        },
        skip_needless: u8 {
            default: 1,
            description: "Leave out flushes that no guest is owed",
        },
    },
}
