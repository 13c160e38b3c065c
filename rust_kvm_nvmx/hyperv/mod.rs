// SPDX-License-Identifier: GPL-2.0

//! The hooks of Hyper-V's flush hypercalls, made by L1 for itself and by L2 where L0 serves it.
//!
//! The way of a flush between two vCPUs:
//!
//! 1. the sender's hypercall is read and parsed, queued for each target, and requested of all
//!    ([`flush`]),
//! 2. before a target next enters its guest it serves its queue ([`serve`]); the sender waits until
//!    it has left the guest (E16),
//! 3. the sender's call completes ([`l2`]), for an L2 with an exit to L1 if that asked for one.
//!
//! The context is that of all hooks ([`crate::hooks`]); other vCPUs' threads run meanwhile.

pub(crate) mod flush;
pub(crate) mod l2;
pub(crate) mod serve;
