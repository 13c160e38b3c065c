// SPDX-License-Identifier: GPL-2.0

//! A vCPU's queue of addresses to flush, one for each level (rule E10). It is KVM's own: what Rust
//! queues, C may handle, and the reverse.
//!
//! Many write, under the queue's lock. One reads, the vCPU's own thread, without it.

use core::marker::PhantomData;

use super::{
    bindings,
    fields,
    words::Words, //
};
use crate::policy::{
    hv_ranges::{
        Queued,
        EVERYTHING, //
    },
    types::Level,
};

/// Entries that a queue holds.
pub(crate) const LEN: usize = bindings::NVMX_KVM_HV_TLB_FLUSH_FIFO_SIZE as usize;

/// Some vCPU's queue, to write to.
///
/// # Invariants
///
/// `queue` is initialized and valid for `'h`.
#[derive(Clone, Copy)]
pub(crate) struct Queue<'h> {
    queue: *mut bindings::kvm_vcpu_hv_tlb_flush_fifo,
    _vcpu: PhantomData<&'h bindings::kvm_vcpu_hv_tlb_flush_fifo>,
}

impl Queue<'_> {
    /// The queue for `level` in a vCPU's Hyper-V state.
    ///
    /// # Safety
    ///
    /// `hv` is valid for `'h`.
    #[inline]
    pub(super) unsafe fn of(hv: *mut bindings::kvm_vcpu_hv, level: Level) -> Self {
        let queues: *mut bindings::kvm_vcpu_hv_tlb_flush_fifo = fields::FLUSH_QUEUES.of(hv).cast();

        // INVARIANT: There are two, and `helpers.c` compares which is which.
        Self {
            queue: match level {
                Level::L1 => queues,
                Level::L2 => queues.wrapping_add(1),
            },
            _vcpu: PhantomData,
        }
    }

    /// Queues what must be flushed; if there is no room for it, that everything must be.
    ///
    /// The room is known under the queue's lock only, so the rule for it is asked there: `fits` gets
    /// the number of entries and the room.
    #[inline]
    pub(crate) fn push(self, what: Queued<'_>, fits: impl FnOnce(usize, usize) -> bool) {
        let everything = [EVERYTHING];
        let wanted = match what {
            Queued::Entries(entries) => entries,
            Queued::Everything => &[],
        };

        // SAFETY: By the type invariant. The lock that this takes is given back below.
        let room = unsafe { bindings::nvmx_hv_queue_open(self.queue) } as usize;
        let entries = match wanted {
            [_, ..] if fits(wanted.len(), room) => wanted,
            // A full queue has this entry already.
            _ => &everything,
        };
        // SAFETY: It was opened above, and `entries` has as many as it says.
        unsafe {
            bindings::nvmx_hv_queue_close(self.queue, entries.as_ptr(), entries.len() as u32);
        }
    }
}

/// The own queue of the vCPU whose thread this is, to read from.
///
/// # Invariants
///
/// Nobody else reads from the queue.
#[derive(Clone, Copy)]
pub(crate) struct OwnQueue<'h>(Queue<'h>);

impl<'h> OwnQueue<'h> {
    /// # Safety
    ///
    /// The type's invariant: this is the vCPU's own thread.
    #[inline]
    pub(super) unsafe fn new(queue: Queue<'h>) -> Self {
        Self(queue)
    }

    /// Takes all entries out of it, into `entries`.
    #[inline(always)]
    pub(crate) fn take(self, entries: &mut Words<LEN>) -> &[u64] {
        // SAFETY: By both types' invariants. The buffer has room for all entries, and C writes as
        // many as it returns.
        unsafe {
            let taken = bindings::nvmx_hv_queue_out(self.0.queue, entries.as_mut_ptr(), LEN as u32);
            entries.written(taken as usize)
        }
    }

    /// Empties it. What others queue meanwhile may go too, but each of them makes its request
    /// afterwards.
    #[inline]
    pub(crate) fn discard(self) {
        // SAFETY: By both types' invariants; only the reader's end of the queue moves.
        unsafe { bindings::nvmx_hv_queue_discard(self.0.queue) };
    }
}
