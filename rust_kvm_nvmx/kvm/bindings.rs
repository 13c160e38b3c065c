// SPDX-License-Identifier: GPL-2.0

//! What bindgen made of `helpers.h`, i.e. of KVM's own headers.
//!
//! The layouts are those of the kernel that the module is built for. [`super::fields`] has those
//! that the module relies on, and registration compares them with the running kernel's.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use kernel::ffi;

include!(env!("RUST_KVM_NVMX_BINDINGS"));
