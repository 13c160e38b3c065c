// SPDX-License-Identifier: GPL-2.0

//! What is done: the instructions, and the requests to KVM.

pub(crate) mod cpu;
pub(crate) mod insn;
pub(crate) mod request;
