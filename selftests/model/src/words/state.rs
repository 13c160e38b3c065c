// SPDX-License-Identifier: GPL-2.0

//! Memory, the two threads' store buffers, and where each thread is.

/// Memory that both threads use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Var {
    /// A's ids are in place (1), or others or none (0).
    Ids,
    /// Something is queued for the vCPU's L2s (1).
    Queue,
    /// KVM_REQ_HV_TLB_FLUSH.
    Request,
    /// The vCPU runs A: IN_GUEST_MODE.
    InGuest,
    /// The word that counts calls for A's virtual processor.
    One,
    /// The word that counts calls for all of A's VM.
    All,
    /// A's page table entry: the number of the call that is about it.
    Page,
    /// The vCPU's tag is A's (1), or another L2's (0).
    Tag,
}

const VARS: usize = 8;

/// A thread's stores that others do not see yet, oldest first.
pub(super) type Buffer = Vec<(Var, u64)>;

/// The steps of a flush call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    Count,
    LookAtTag,
    Look,
    Queue,
    Request,
    Wait,
    Uncount,
    Return,
    /// L2 runs, and may make another call.
    Idle,
}

/// What the vCPU does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Receiver {
    // A is active.
    Guest,
    Outside,
    Drain,
    LastLook,
    // A's exit.
    ReadOne,
    ReadAll,
    LookAtQueue,
    Record,
    L1,
    // Another L2, perhaps.
    IdsGo,
    TagGoes,
    EnterB,
    ServeB,
    DrainB,
    // A's entry.
    IdsCome,
    TagComes,
    EnterA { other_pair: bool },
    CompareOne,
    CompareAll,
    Compare,
}

/// What the vCPU's thread has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    pub(super) one: u64,
    pub(super) all: u64,
    pub(super) queue_is_empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) memory: [u64; VARS],
    pub(super) sender: Sender,
    pub(super) sender_buffer: Buffer,
    /// The word that counts the call.
    pub(super) word: Var,
    /// The call has found A's ids.
    pub(super) found: bool,
    /// How many calls have begun, and how many are complete.
    pub(super) calls: (u64, u64),
    pub(super) receiver: Receiver,
    pub(super) receiver_buffer: Buffer,
    /// How often A's ids may still go.
    pub(super) switches: u8,
    /// What A's pair has cached of the page table entry.
    pub(super) cached: Option<u64>,
    /// `Rest` of A's pair.
    pub(super) rest: u64,
    pub(super) seen: Seen,
}

impl State {
    /// A runs, its ids are in place, and it has cached the page table entry. They may still go
    /// `switches` times. `rest` is what is recorded of A.
    pub(super) fn new(switches: u8, rest: u64) -> Self {
        let mut state = Self {
            memory: [0; VARS],
            sender: Sender::Idle,
            sender_buffer: Buffer::new(),
            word: Var::One,
            found: false,
            calls: (0, 0),
            receiver: Receiver::Guest,
            receiver_buffer: Buffer::new(),
            switches,
            cached: Some(0),
            rest,
            seen: Seen::default(),
        };
        state.set(Var::Ids, 1);
        state.set(Var::Tag, 1);
        state.set(Var::InGuest, 1);
        state
    }

    pub(super) fn memory(&self, var: Var) -> u64 {
        self.memory.get(var as usize).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, var: Var, value: u64) {
        if let Some(cell) = self.memory.get_mut(var as usize) {
            *cell = value;
        }
    }

    /// What the vCPU's thread reads: its own last store, or memory.
    pub(super) fn load(&self, var: Var) -> u64 {
        self.receiver_buffer
            .iter()
            .rev()
            .find(|store| store.0 == var)
            .map_or(self.memory(var), |store| store.1)
    }

    /// T1: a request, if something is queued.
    pub(super) fn check_queue(&mut self) -> Option<()> {
        if self.memory(Var::Queue) == 1 {
            self.receiver_buffer.is_empty().then_some(())?;
            self.set(Var::Request, 1);
        }
        Some(())
    }

    /// Empties the queue; whether something was in it. The request was just taken, so the store
    /// buffer is empty.
    pub(super) fn take_queue(&mut self) -> bool {
        let queued = self.memory(Var::Queue) == 1;

        self.set(Var::Queue, 0);
        queued
    }

    /// A runs, and may use what a complete call should have flushed.
    pub(super) fn is_stale(&self) -> bool {
        let complete = self.calls.1;

        self.receiver == Receiver::Guest && self.cached.is_some_and(|cached| cached < complete)
    }
}
