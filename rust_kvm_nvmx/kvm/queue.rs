// SPDX-License-Identifier: GPL-2.0

//! A vCPU's queues of addresses to flush, one for each level (rule E10). They are KVM's own: C may
//! handle what Rust has queued, and the reverse.
//!
//! Any thread may write to a queue, with the queue's lock held. Only the vCPU's own thread reads
//! from it, without the lock.

use super::{
    bindings,
    fields,
    live::{
        Live,
        Own, //
    },
    words::Words, //
};
use crate::policy::{
    hv_ranges::{
        self,
        Queued,
        EVERYTHING, //
    },
    types::Level, //
};

/// Entries that a queue holds.
pub(crate) const LEN: usize = bindings::NVMX_KVM_HV_TLB_FLUSH_FIFO_SIZE as usize;

/// A queue of any vCPU of the VM, to write to.
///
/// # Invariants
///
/// It has been initialized.
#[derive(Clone, Copy)]
pub(crate) struct Queue<'h>(Live<'h, bindings::kvm_vcpu_hv_tlb_flush_fifo>);

impl<'h> Queue<'h> {
    /// The queue for `level` in a vCPU's Hyper-V state.
    #[inline]
    pub(super) fn of(hv: Live<'h, bindings::kvm_vcpu_hv>, level: Level) -> Self {
        // INVARIANT: A vCPU's queues are initialized before its Hyper-V state is known.
        Self(hv.part(match level {
            Level::L1 => fields::L1_FLUSH_QUEUE,
            Level::L2 => fields::L2_FLUSH_QUEUE,
        }))
    }

    /// Queues what must be flushed, or [`EVERYTHING`] if it does not fit. The room is known only
    /// while the queue's lock is held.
    #[inline]
    pub(crate) fn push(self, what: Queued<'_>) {
        let everything = [EVERYTHING];
        let wanted = match what {
            Queued::Entries(entries) => entries,
            Queued::Everything => &[],
        };

        // SAFETY: By the type invariant it has a lock to take. The call below releases it.
        let room = unsafe { bindings::nvmx_hv_queue_open(self.0.as_ptr()) } as usize;
        let entries = match wanted {
            [_, ..] if hv_ranges::may_be_queued(wanted.len(), room) => wanted,
            // A full queue has this entry already.
            _ => &everything,
        };
        // SAFETY: The queue's lock was taken above, and `entries` is a slice of that length.
        unsafe {
            bindings::nvmx_hv_queue_close(self.0.as_ptr(), entries.as_ptr(), entries.len() as u32);
        }
    }
}

/// A queue of the vCPU whose thread this is, to read from.
///
/// # Invariants
///
/// No other thread reads from it.
#[derive(Clone, Copy)]
pub(crate) struct OwnQueue<'h>(Queue<'h>);

impl<'h> OwnQueue<'h> {
    /// The queue for `level` in the vCPU's Hyper-V state.
    #[inline]
    pub(super) fn of(hv: Own<'h, bindings::kvm_vcpu_hv>, level: Level) -> Self {
        // INVARIANT: It is the queue of the vCPU that this thread's hook is about.
        Self(Queue::of(hv.live(), level))
    }

    /// Takes all entries out of it, into `entries`.
    #[inline(always)]
    pub(crate) fn take(self, entries: &mut Words<LEN>) -> &mut [u64] {
        let Self(Queue(queue)) = self;

        // SAFETY: By the type invariant no other thread reads from the queue. The buffer has room
        // for all entries, and C writes as many as it returns.
        unsafe {
            let taken =
                bindings::nvmx_hv_queue_out(queue.as_ptr(), entries.as_mut_ptr(), LEN as u32);
            entries.written(taken as usize)
        }
    }

    /// The queue is empty. Other threads may add entries at any time, and each of them makes its
    /// request afterwards.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        let Self(Queue(queue)) = self;

        queue.read(fields::QUEUE_ADDED) == queue.read(fields::QUEUE_TAKEN)
    }

    /// Empties it. This may also discard what other threads queue meanwhile, but each of them makes
    /// its request afterwards.
    #[inline]
    pub(crate) fn discard(self) {
        let Self(Queue(queue)) = self;

        // SAFETY: By the type invariant this thread is the only reader. Only the reader's end of
        // the queue moves.
        unsafe { bindings::nvmx_hv_queue_discard(queue.as_ptr()) };
    }
}
