// SPDX-License-Identifier: GPL-2.0

//! A vCPU's queue of addresses to flush, one for each level (rule E10). It is KVM's own: what one
//! side queues, the other may serve.
//!
//! Many write, under the queue's lock; one reads, the vCPU's own thread, without it.

use core::marker::PhantomData;

use crate::{
    bindings,
    kvm::words::Words,
    policy::hv_ranges::{
        self,
        Queued, //
    },
};

/// Entries that a queue holds. (`helpers.c` compares it with KVM's.)
pub(crate) const LEN: usize = 16;

/// The level that a flush is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The guest hypervisor.
    L1,
    /// Its guests.
    L2,
}

impl Level {
    /// The level of a vCPU that does (`true`) or does not run L2.
    pub(crate) fn running(l2: bool) -> Self {
        if l2 {
            Self::L2
        } else {
            Self::L1
        }
    }

    /// The one that does not run.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::L1 => Self::L2,
            Self::L2 => Self::L1,
        }
    }
}

/// Some vCPU's queue, to write to.
///
/// # Invariants
///
/// `queue` is initialized and valid for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Queue<'a> {
    queue: *mut bindings::kvm_vcpu_hv_tlb_flush_fifo,
    _vcpu: PhantomData<&'a bindings::kvm_vcpu_hv_tlb_flush_fifo>,
}

impl Queue<'_> {
    /// A queue in a vCPU's Hyper-V state.
    ///
    /// # Safety
    ///
    /// The type's invariant.
    pub(in crate::kvm) unsafe fn from_raw(
        queue: *mut bindings::kvm_vcpu_hv_tlb_flush_fifo,
    ) -> Self {
        Self {
            queue,
            _vcpu: PhantomData,
        }
    }

    /// Queues what is to be flushed; without room for all of it, that everything is.
    pub(crate) fn push(self, what: Queued<'_>) {
        let everything = [hv_ranges::EVERYTHING];
        let wanted = match what {
            Queued::Entries(entries) => entries,
            Queued::Everything => &[],
        };

        // SAFETY: By the type invariant; it is closed below.
        let room = unsafe { bindings::nvmx_hv_queue_open(self.queue) } as usize;
        let entries = match wanted {
            [_, ..] if hv_ranges::may_be_queued(wanted.len(), room) => wanted,
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
pub(crate) struct OwnQueue<'a>(Queue<'a>);

impl<'a> OwnQueue<'a> {
    /// # Safety
    ///
    /// The type's invariant: this is the vCPU's own thread.
    pub(in crate::kvm) unsafe fn new(queue: Queue<'a>) -> Self {
        Self(queue)
    }

    /// Takes all entries out of it, into `entries`.
    pub(crate) fn take(self, entries: &mut Words<LEN>) -> &[u64] {
        // SAFETY: By both types' invariants; the buffer has that many entries, and as many are
        // written as the function returns.
        unsafe {
            let taken = bindings::nvmx_hv_queue_out(self.0.queue, entries.as_mut_ptr(), LEN as u32);
            entries.written(taken as usize)
        }
    }

    /// Empties it. What others queue meanwhile may go too, but each of them makes its request
    /// thereafter.
    pub(crate) fn discard(self) {
        // SAFETY: By both types' invariants.
        unsafe { bindings::nvmx_hv_queue_discard(self.0.queue) };
    }
}
