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
        Queued,
        EVERYTHING, //
    },
    types::Level,
};

/// Entries that a queue holds.
pub(crate) const LEN: usize = bindings::NVMX_KVM_HV_TLB_FLUSH_FIFO_SIZE as usize;

/// A queue of any vCPU of the VM, to write to.
#[derive(Clone, Copy)]
pub(crate) struct Queue<'h>(Live<'h, bindings::kvm_vcpu_hv_tlb_flush_fifo>);

impl<'h> Queue<'h> {
    /// The queue for `level` in a vCPU's Hyper-V state.
    #[inline]
    pub(super) fn of(hv: Live<'h, bindings::kvm_vcpu_hv>, level: Level) -> Self {
        Self(hv.part(match level {
            Level::L1 => fields::L1_FLUSH_QUEUE,
            Level::L2 => fields::L2_FLUSH_QUEUE,
        }))
    }

    /// Queues what must be flushed, or [`EVERYTHING`] if it does not fit.
    ///
    /// `fits` is the rule. It gets the number of entries and the room, and is called with the
    /// queue's lock held, because the room is known only then.
    #[inline]
    pub(crate) fn push(self, what: Queued<'_>, fits: impl FnOnce(usize, usize) -> bool) {
        let everything = [EVERYTHING];
        let wanted = match what {
            Queued::Entries(entries) => entries,
            Queued::Everything => &[],
        };

        // SAFETY: A vCPU's queues are initialized before its Hyper-V state is known. The call below
        // releases the lock that this takes.
        let room = unsafe { bindings::nvmx_hv_queue_open(self.0.as_ptr()) } as usize;
        let entries = match wanted {
            [_, ..] if fits(wanted.len(), room) => wanted,
            // A full queue has this entry already.
            _ => &everything,
        };
        // SAFETY: The queue's lock was taken above, and `entries` is a slice of that length.
        unsafe {
            bindings::nvmx_hv_queue_close(self.0.as_ptr(), entries.as_ptr(), entries.len() as u32);
        }
    }
}

/// A queue of the vCPU whose thread this is, to read from. No other thread does.
#[derive(Clone, Copy)]
pub(crate) struct OwnQueue<'h>(Queue<'h>);

impl<'h> OwnQueue<'h> {
    /// The queue for `level` in the vCPU's Hyper-V state.
    #[inline]
    pub(super) fn of(hv: Own<'h, bindings::kvm_vcpu_hv>, level: Level) -> Self {
        Self(Queue::of(hv.live(), level))
    }

    /// Takes all entries out of it, into `entries`.
    #[inline(always)]
    pub(crate) fn take(self, entries: &mut Words<LEN>) -> &mut [u64] {
        let Self(Queue(queue)) = self;

        // SAFETY: No other thread reads from the queue, which is this vCPU's own. The buffer has
        // room for all entries, and C writes as many as it returns.
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

        // SAFETY: This thread is the only reader, and only the reader's end of the queue moves.
        unsafe { bindings::nvmx_hv_queue_discard(queue.as_ptr()) };
    }
}
