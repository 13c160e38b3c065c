// SPDX-License-Identifier: GPL-2.0

//! A vCPU's queues of addresses to flush, one for each level (rule E10). They are KVM's own: C may
//! handle what Rust has queued, and the reverse.
//!
//! Any thread may write to a queue, with the queue's lock held. Only the vCPU's own thread reads
//! from it, without the lock.

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

/// A queue of any vCPU of the VM, to write to.
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

        // INVARIANT: There are two, and `helpers.c` asserts which comes first.
        Self {
            queue: match level {
                Level::L1 => queues,
                Level::L2 => queues.wrapping_add(1),
            },
            _vcpu: PhantomData,
        }
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

        // SAFETY: The queue is initialized by the type invariant. The call below releases the lock
        // that this takes.
        let room = unsafe { bindings::nvmx_hv_queue_open(self.queue) } as usize;
        let entries = match wanted {
            [_, ..] if fits(wanted.len(), room) => wanted,
            // A full queue has this entry already.
            _ => &everything,
        };
        // SAFETY: The queue's lock was taken above, and `entries` is a slice of that length.
        unsafe {
            bindings::nvmx_hv_queue_close(self.queue, entries.as_ptr(), entries.len() as u32);
        }
    }
}

/// A queue of the vCPU whose thread this is, to read from.
///
/// # Invariants
///
/// No other thread reads from the queue.
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
    pub(crate) fn take(self, entries: &mut Words<LEN>) -> &mut [u64] {
        // SAFETY: The queue is valid, and no other thread reads from it, by both types' invariants.
        // The buffer has room for all entries, and C writes as many as it returns.
        unsafe {
            let taken = bindings::nvmx_hv_queue_out(self.0.queue, entries.as_mut_ptr(), LEN as u32);
            entries.written(taken as usize)
        }
    }

    /// The queue is empty. Other threads may add entries at any time, and each of them makes its
    /// request afterwards.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        // SAFETY: The queue is valid by `Queue`'s invariant. The two numbers are aligned, and each
        // is read in one access, as other threads may change the first one.
        unsafe {
            let kfifo = &raw const (*self.0.queue).entries.__bindgen_anon_1.kfifo;
            let (added, taken) = (&raw const (*kfifo).in_, &raw const (*kfifo).out);

            added.read_volatile() == taken.read_volatile()
        }
    }

    /// Empties it. This may also discard what other threads queue meanwhile, but each of them makes
    /// its request afterwards.
    #[inline]
    pub(crate) fn discard(self) {
        // SAFETY: This thread is the only reader by the type invariant, and only the reader's end
        // of the queue moves.
        unsafe { bindings::nvmx_hv_queue_discard(self.0.queue) };
    }
}
