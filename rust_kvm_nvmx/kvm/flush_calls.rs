// SPDX-License-Identifier: GPL-2.0

//! Counts of the flush calls that L2s of a VM make (V9). All vCPUs of the VM write them.

use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Full, //
    },
    barrier::{
        smp_mb,
        Full as FullBarrier, //
    },
};

use super::{
    fields,
    vcpu::Vcpu, //
};
use crate::policy::{
    history::{
        for_each_word,
        word_of_all,
        word_of_one,
        Calls, //
    },
    hv_call::Targets,
};

/// A call that is under way, and counted as that until it is dropped.
pub(crate) struct Counted<'h> {
    sender: Vcpu<'h>,
    vm: u64,
    targets: Targets<'h>,
}

impl<'h> Vcpu<'h> {
    #[inline]
    fn word(self, number: usize) -> Option<&'h Atomic<u64>> {
        let word = fields::L2_FLUSH_CALLS.at(number)?;
        let hyperv = fields::VM_HYPERV.of(self.kvm());

        // SAFETY: The words are part of the VM, which outlives the hook. They are aligned, and are
        // accessed atomically only.
        Some(unsafe { Atomic::from_ptr(word.of(hyperv)) })
    }

    /// The counts of calls for an L2. What finished calls have queued is seen afterwards.
    #[inline]
    pub(crate) fn flush_calls(self, vm: u64, vp: u32) -> Calls {
        let read = |number| self.word(number).map_or(1, |word| word.load(Acquire));

        Calls::of(read(word_of_one(vm, vp)), read(word_of_all(vm)))
    }

    /// The counts of calls for an L2, as they are after its ids were put in place.
    ///
    /// A call whose count is not seen here sees the ids: its sender counts before it looks, with a
    /// full barrier in between, as there is one here.
    #[inline]
    pub(crate) fn flush_calls_after_ids(self, vm: u64, vp: u32) -> Calls {
        smp_mb(FullBarrier);
        self.flush_calls(vm, vp)
    }

    /// Counts a call of the VM `vm` before its sender looks for targets.
    #[inline]
    pub(crate) fn count_flush_call(self, vm: u64, targets: Targets<'h>) -> Counted<'h> {
        for_each_word(vm, &targets, |number| {
            if let Some(word) = self.word(number) {
                word.fetch_add(Calls::BEGIN, Full);
            }
        });
        Counted {
            sender: self,
            vm,
            targets,
        }
    }
}

impl Drop for Counted<'_> {
    #[inline]
    fn drop(&mut self) {
        for_each_word(self.vm, &self.targets, |number| {
            if let Some(word) = self.sender.word(number) {
                word.fetch_sub(Calls::END, Full);
            }
        });
    }
}
