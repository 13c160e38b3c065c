// SPDX-License-Identifier: GPL-2.0

//! Counts of the flush calls that L2s of a VM make (V9). All vCPUs of the VM write them.
//!
//! They are read and written by asm. The atomics of the `kernel` crate call C for this, unless the
//! kernel has RUST_INLINE_HELPERS, and a call costs more than the access.

use core::marker::PhantomData;

use kernel::asm;

use super::{
    compat::full_barrier,
    fields,
    vcpu::Vcpu, //
};
use crate::policy::{
    history::{
        word_of_all,
        word_of_one,
        CallWords,
        Calls, //
    },
    hv_call::Targets,
};

/// A call that is under way, and counted as that until it is dropped.
pub(crate) struct Counted<'h> {
    sender: Vcpu<'h>,
    words: CallWords,
}

/// A word that calls are counted in.
///
/// # Invariants
///
/// It is aligned, and part of a VM that exists for `'h`.
#[derive(Clone, Copy)]
struct Word<'h>(*mut u64, PhantomData<&'h u64>);

impl Word<'_> {
    /// Reads it. What was written before another thread wrote this value is seen afterwards.
    #[inline(always)]
    fn read(self) -> u64 {
        let value: u64;

        // SAFETY: By the type invariant the word exists. One access reads all of it. x86 keeps
        // loads in order, and the asm block is a barrier for the compiler.
        unsafe {
            asm!(
                "mov ({word}), {value}";
                word = in(reg) self.0,
                value = lateout(reg) value,
                options(nostack, preserves_flags),
            );
        }
        value
    }

    /// Adds to it, with a full barrier before and after.
    #[inline(always)]
    fn add(self, number: u64) {
        // SAFETY: By the type invariant the word exists. Adding is atomic, as other threads add,
        // too. A locked instruction is a full barrier on x86, and the asm block is one for the
        // compiler.
        unsafe {
            asm!(
                "lock addq {number}, ({word})";
                word = in(reg) self.0,
                number = in(reg) number,
                options(nostack),
            );
        }
    }
}

impl<'h> Vcpu<'h> {
    #[inline(always)]
    fn word(self, number: usize) -> Option<Word<'h>> {
        let vm = self.vm().part(fields::VM_HYPERV);

        // INVARIANT: The words are part of the VM, which outlives the hook.
        fields::L2_FLUSH_CALLS
            .at(number)
            .map(|word| Word(word.of(vm.as_ptr()), PhantomData))
    }

    /// The counts of calls for an L2. What finished calls have queued is seen afterwards.
    #[inline]
    pub(crate) fn flush_calls(self, vm: u64, vp: u32) -> Calls {
        let read = |number| self.word(number).map_or(1, Word::read);

        Calls::of(read(word_of_one(vm, vp)), read(word_of_all(vm)))
    }

    /// The counts of calls for an L2, as they are after its ids were put in place.
    ///
    /// A call whose count is not seen here sees the ids: its sender counts before it looks, with a
    /// full barrier in between, as there is one here.
    #[inline]
    pub(crate) fn flush_calls_after_ids(self, vm: u64, vp: u32) -> Calls {
        full_barrier();
        self.flush_calls(vm, vp)
    }

    /// Counts a call of the VM `vm` before its sender looks for targets.
    #[inline]
    pub(crate) fn count_flush_call(self, vm: u64, targets: &Targets<'_>) -> Counted<'h> {
        let counted = Counted {
            sender: self,
            words: CallWords::of(vm, targets),
        };

        counted.add(Calls::BEGIN);
        counted
    }
}

impl Counted<'_> {
    /// Adds to each word that counts the call.
    #[inline(always)]
    fn add(&self, number: u64) {
        for word in self.words.numbers() {
            if let Some(word) = self.sender.word(word) {
                word.add(number);
            }
        }
    }
}

impl Drop for Counted<'_> {
    #[inline]
    fn drop(&mut self) {
        self.add(Calls::END.wrapping_neg());
    }
}
