// SPDX-License-Identifier: GPL-2.0

//! The protocol for L2s at rest (V8 to V12): an L2's flush call on one CPU, and a vCPU that parks
//! and takes up that L2's pair on another, with their store buffers (x86-TSO).
//!
//! Each L2 has a word, found by a hash of its ids: how many calls have begun, and how many of these
//! are still in flight.
//!
//! ```text
//! sender                                 vCPU, from pair j (L2 A) to pair k (L2 B)
//!   word[A] += 1 begun, 1 in flight        w = word[A]            while A is published
//!   A is published: queue, request, wait   publish B; smp_mb()
//!   word[A] -= 1 in flight                 empty the queue: something was in it, or w has calls
//!                                            in flight: pair j loses its owner
//!                                          saved(j) = calls begun, of w
//!                                        and back to pair j
//!                                          publish A; smp_mb()
//!                                          calls begun, of word[A], differ from saved(j): flush
//! ```
//!
//! The steps that the vCPU takes in L2 A are in [`Receiver`].

use stateright::{
    Model,
    Property, //
};

macro_rules! omissions {
    ($($name:ident $text:literal)*) => {
        /// A part of the protocol that can be left out or put in another place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Omission {
            $($name,)*
        }

        impl Omission {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

omissions! {
    Comparison "no comparison on return"
    CountFirst "the sender counts after it has looked"
    Barrier "no barrier between publishing and comparing"
    EmptyQueue "the queue is not emptied on leaving"
    InFlight "calls in flight are not looked at"
    QueueAfterWord "the queue is emptied before the word is read"
    WordFirst "the word is read after the other L2 was published"
}

/// Memory that both threads use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Var {
    /// L2 A is published (1) or L2 B (0).
    Published,
    Queue,
    Request,
    /// The vCPU is in its guest.
    InGuest,
    Begun,
    InFlight,
    /// L2 A's page table entry, old or new.
    Page,
}

const VARS: usize = 7;

/// A thread's stores that others do not see yet, oldest first.
type Buffer = Vec<(Var, u8)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sender {
    WritePage,
    Count,
    Look,
    Queue,
    Request,
    Kick,
    Wait,
    Uncount,
    Done,
}

/// The vCPU. `A` and `B` are the L2 that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Receiver {
    GuestA,
    L1,
    RequestsA,
    ServeA,
    LastLookA,
    // From A to B.
    EmptyEarly,
    ReadWord,
    PublishB,
    ReadWordLate,
    EmptyQueue,
    ServeB,
    GuestB,
    // And back.
    PublishA,
    BarrierA,
    Compare,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    memory: [u8; VARS],
    sender: Sender,
    sender_buffer: Buffer,
    returned: bool,
    receiver: Receiver,
    receiver_buffer: Buffer,
    /// How often the vCPU still leaves L2 A.
    rounds: u8,
    /// What pair j has cached of the page table entry.
    cached: Option<u8>,
    /// Pair j has its owner.
    owned: bool,
    saved: u8,
    /// The word as it was read on leaving: calls begun, calls in flight.
    read: (u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SenderStoreSeen,
    ReceiverStoreSeen,
    Sender,
    Receiver,
    /// The vCPU's guest caches the page table entry.
    Cache,
    /// L1 enters L2 B, not L2 A again.
    Leave,
}

/// The protocol, perhaps less a part.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub rounds: u8,
    pub omission: Option<Omission>,
}

impl Protocol {
    fn omits(&self, omission: Omission) -> bool {
        self.omission == Some(omission)
    }

    fn send(&self, s: &mut State) -> Option<()> {
        let fenced = s.sender_buffer.is_empty();
        let late = self.omits(Omission::CountFirst);

        s.sender = match s.sender {
            Sender::WritePage => {
                s.sender_buffer.push((Var::Page, 1));
                Sender::Count
            }
            Sender::Count if late => Sender::Look,
            // An atomic operation empties the store buffer first. So do those below.
            Sender::Count => {
                fenced.then_some(())?;
                s.add(Var::Begun, 1);
                s.add(Var::InFlight, 1);
                Sender::Look
            }
            Sender::Look if load(s, &s.sender_buffer, Var::Published) == 1 => Sender::Queue,
            Sender::Look => Sender::Uncount,
            Sender::Queue => {
                s.sender_buffer.push((Var::Queue, 1));
                Sender::Request
            }
            Sender::Request => {
                fenced.then_some(())?;
                s.set(Var::Request, 1);
                Sender::Kick
            }
            Sender::Kick if load(s, &s.sender_buffer, Var::InGuest) == 1 => Sender::Wait,
            Sender::Kick => Sender::Uncount,
            Sender::Wait => {
                (s.memory(Var::InGuest) == 0).then_some(())?;
                Sender::Uncount
            }
            Sender::Uncount => {
                fenced.then_some(())?;
                if late {
                    s.add(Var::Begun, 1);
                } else {
                    s.set(Var::InFlight, s.memory(Var::InFlight) - 1);
                }
                s.returned = true;
                Sender::Done
            }
            Sender::Done => return None,
        };
        Some(())
    }

    fn receive(&self, s: &mut State) -> Option<()> {
        let fenced = s.receiver_buffer.is_empty();
        let enter = (Var::InGuest, 1);

        s.receiver = match s.receiver {
            Receiver::GuestA => {
                s.receiver_buffer.push((Var::InGuest, 0));
                Receiver::L1
            }
            Receiver::L1 => Receiver::RequestsA,
            // vcpu_enter_guest.
            Receiver::RequestsA if load(s, &s.receiver_buffer, Var::Request) == 1 => {
                fenced.then_some(())?;
                s.set(Var::Request, 0);
                Receiver::ServeA
            }
            Receiver::RequestsA => {
                s.receiver_buffer.push(enter);
                Receiver::LastLookA
            }
            Receiver::ServeA => {
                if load(s, &s.receiver_buffer, Var::Queue) == 1 {
                    fenced.then_some(())?;
                    s.set(Var::Queue, 0);
                    s.cached = None;
                }
                s.receiver_buffer.push(enter);
                Receiver::LastLookA
            }
            Receiver::LastLookA => {
                fenced.then_some(())?;
                if s.memory(Var::Request) == 1 {
                    s.receiver_buffer.push((Var::InGuest, 0));
                    Receiver::RequestsA
                } else {
                    Receiver::GuestA
                }
            }
            Receiver::EmptyEarly => {
                fenced.then_some(())?;
                s.owned &= s.memory(Var::Queue) == 0;
                s.set(Var::Queue, 0);
                Receiver::ReadWord
            }
            Receiver::ReadWord => {
                s.read = (s.memory(Var::Begun), s.memory(Var::InFlight));
                Receiver::PublishB
            }
            Receiver::PublishB => {
                s.receiver_buffer.push((Var::Published, 0));
                if self.omits(Omission::WordFirst) {
                    Receiver::ReadWordLate
                } else {
                    Receiver::EmptyQueue
                }
            }
            Receiver::ReadWordLate => {
                fenced.then_some(())?;
                s.read = (s.memory(Var::Begun), s.memory(Var::InFlight));
                Receiver::EmptyQueue
            }
            Receiver::EmptyQueue => {
                let (begun, in_flight) = s.read;
                s.owned &= in_flight == 0 || self.omits(Omission::InFlight);
                s.saved = begun;
                s.read = (0, 0);
                if !self.omits(Omission::EmptyQueue) && !self.omits(Omission::QueueAfterWord) {
                    fenced.then_some(())?;
                    s.owned &= s.memory(Var::Queue) == 0;
                    s.set(Var::Queue, 0);
                }
                Receiver::ServeB
            }
            // What comes late is spent on pair k.
            Receiver::ServeB => {
                if load(s, &s.receiver_buffer, Var::Request) == 1 {
                    fenced.then_some(())?;
                    s.set(Var::Request, 0);
                    s.set(Var::Queue, 0);
                }
                Receiver::GuestB
            }
            Receiver::GuestB => Receiver::PublishA,
            Receiver::PublishA => {
                s.receiver_buffer.push((Var::Published, 1));
                Receiver::BarrierA
            }
            Receiver::BarrierA => {
                (fenced || self.omits(Omission::Barrier)).then_some(())?;
                Receiver::Compare
            }
            Receiver::Compare => {
                let same = s.memory(Var::Begun) == s.saved || self.omits(Omission::Comparison);
                if !(same && s.owned) {
                    s.cached = None;
                }
                s.owned = true;
                Receiver::RequestsA
            }
        };
        Some(())
    }
}

/// What a thread reads: its own last store, or memory.
fn load(s: &State, buffer: &Buffer, var: Var) -> u8 {
    buffer
        .iter()
        .rev()
        .find(|store| store.0 == var)
        .map_or(s.memory(var), |store| store.1)
}

impl State {
    fn memory(&self, var: Var) -> u8 {
        self.memory.get(var as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, var: Var, value: u8) {
        if let Some(cell) = self.memory.get_mut(var as usize) {
            *cell = value;
        }
    }

    fn add(&mut self, var: Var, value: u8) {
        self.set(var, self.memory(var) + value);
    }

    /// L2 A runs, and may use what the call should have flushed.
    fn is_stale(&self) -> bool {
        let page = self.memory(Var::Page);

        self.receiver == Receiver::GuestA
            && self.returned
            && self.cached.is_some_and(|cached| cached != page)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            memory: [0; VARS],
            sender: Sender::WritePage,
            sender_buffer: Buffer::new(),
            returned: false,
            receiver: Receiver::GuestA,
            receiver_buffer: Buffer::new(),
            rounds: self.rounds,
            cached: Some(0),
            owned: true,
            saved: 0,
            read: (0, 0),
        };
        state.set(Var::Published, 1);
        state.set(Var::InGuest, 1);
        vec![state]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        if !s.sender_buffer.is_empty() {
            actions.push(Action::SenderStoreSeen);
        }
        if !s.receiver_buffer.is_empty() {
            actions.push(Action::ReceiverStoreSeen);
        }
        actions.push(Action::Sender);
        actions.push(Action::Receiver);
        if s.receiver == Receiver::GuestA && s.cached.is_none() {
            actions.push(Action::Cache);
        }
        if s.receiver == Receiver::L1 && s.rounds > 0 {
            actions.push(Action::Leave);
        }
    }

    /// `None`: the thread must wait.
    fn next_state(&self, s: &State, action: Action) -> Option<State> {
        let mut next = s.clone();

        match action {
            Action::SenderStoreSeen => {
                let (var, value) = next.sender_buffer.remove(0);
                next.set(var, value);
            }
            Action::ReceiverStoreSeen => {
                let (var, value) = next.receiver_buffer.remove(0);
                next.set(var, value);
            }
            Action::Sender => self.send(&mut next)?,
            Action::Receiver => self.receive(&mut next)?,
            Action::Cache => next.cached = Some(s.memory(Var::Page)),
            Action::Leave => {
                next.rounds -= 1;
                next.receiver = if self.omits(Omission::WordFirst) {
                    Receiver::PublishB
                } else if self.omits(Omission::QueueAfterWord) {
                    Receiver::EmptyEarly
                } else {
                    Receiver::ReadWord
                };
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "no guest uses what was flushed",
            |_: &Self, s: &State| !s.is_stale(),
        )]
    }
}
