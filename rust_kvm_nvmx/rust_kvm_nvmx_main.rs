// SPDX-License-Identifier: GPL-2.0

//! Nested VMX's TLB flushes for KVM, in Rust.
//!
//! While it is loaded, the module decides and executes which TLB flush KVM owes a guest hypervisor
//! on Intel CPUs, in place of KVM's C code. The way of a flush:
//!
//! 1. KVM calls a hook ([`hooks`]) through the table of `patches/linux-7.3`,
//! 2. the hook reads what is true now ([`kvm`]),
//! 3. asks which invalidations that owes ([`policy`]),
//! 4. and does them ([`vmx`]).

#![crate_name = "rust_kvm_nvmx"]

use kernel::prelude::*;

mod bindings;
mod files;
mod hooks;
mod hyperv;
mod kvm;
mod mode;
mod policy;
mod registration;
mod stats;
mod vmx;

/// The loaded module. The fields' order is that of the tear-down: the switches go before what they
/// switch.
struct NestedVmxFlushes {
    _files: files::Files,
    _registration: registration::Registration,
}

impl kernel::Module for NestedVmxFlushes {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for switch in &hooks::table::SWITCHES {
            switch.set_rust(!module_parameters::start_in_c.value());
        }

        let registration = registration::Registration::new()?;
        Ok(Self {
            _files: files::Files::new(),
            _registration: registration,
        })
    }
}

module! {
    type: NestedVmxFlushes,
    name: "rust_kvm_nvmx",
    authors: ["The rust_kvm_nvmx developers"],
    description: "Nested VMX's TLB flushes for KVM, decided and executed in Rust",
    license: "GPL",
    params: {
        start_in_c: bool {
            default: false,
            description: "Load with every hook served by C; switch them one by one in debugfs",
        },
    },
}
