// SPDX-License-Identifier: GPL-2.0

//! The rules' parser of flush hypercalls against C's way to read them.
//!
//! Bytes are a call: its control word, the address of its input, and its input. Both sides read it.
//! They must agree, but for the bugs of C's that the rules do not have. What the rules do with the
//! answer (queues, tags, counts) is asked for as well: nothing may panic, or look past the input.

#![forbid(unsafe_code)]

#[path = "../../../rust_kvm_nvmx/policy/mod.rs"]
#[allow(dead_code)]
mod policy;

mod c;
mod call;
mod judge;
mod ranges;

pub use judge::judge;
