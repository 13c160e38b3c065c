// SPDX-License-Identifier: GPL-2.0

//! The protocol for L2s at rest (V8, V9), and tags (V22), with store buffers (x86-TSO): an L2's
//! flush calls on one CPU, and on another the vCPU of L2 A, which the calls name. What is decided
//! is asked of the policy itself.
//!
//! ```text
//! sender                                    the vCPU of L2 A
//!   word += 1 begun, 1 under way              A exits, its ids are in place:
//!   A's tag and ids are in place:               read A's two words
//!     queue, request, wait                      then look at the queue
//!   word -= 1 under way                         under way, or not empty: missed
//!                                             A's ids may go, then its tag;
//!                                             L2 B may use up the queue
//!                                             A's ids are put in place, then its tag; smp_mb()
//!                                               read A's two words
//!                                               missed, or another count: flush A
//! ```
//!
//! While A's ids stay in place and no other L2 runs, A is entered again without all this. Its calls
//! are in the queue.
//!
//! Left out is what makes threads wait for more: B's time in its guest and L1's, in which a sender
//! may wait for them, and that KVM must handle a request before it runs L1.

use stateright::{
    Model,
    Property, //
};

pub use self::omission::Omission;

use self::state::{
    Receiver,
    Seen,
    Sender,
    State,
    Var, //
};

use crate::policy::history::{
    Calls,
    Named,
    Rest, //
};

mod omission;
mod state;
mod threads;

/// How calls name A.
const A: Named = Named::Ids { vm: 1, vp: 1 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SenderStoreSeen,
    ReceiverStoreSeen,
    /// The sender's L2 changes the page table entry and makes a call, counted in this word.
    Call(Var),
    Sender,
    Receiver,
    /// A caches the page table entry.
    Cache,
    /// A nested VM exit.
    Exit,
    /// KVM handles the request while L1 is active. A's queue stays as it is.
    ServeL1,
    /// L1 enters another L2, or gives up the enlightened VMCS of A. An L2 with another vpid12 may
    /// have the same ids.
    Leave {
        ids_go: bool,
    },
    /// No other L2 has run.
    Back,
}

/// The protocol, perhaps less a part.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub calls: u64,
    pub switches: u8,
    pub omission: Option<Omission>,
}

impl Protocol {
    pub const STALE: &str = "A uses nothing that a complete call has flushed";
    pub const KEPT: &str = "A keeps its translations while other L2s run";

    fn omits(&self, omission: Omission) -> bool {
        self.omission == Some(omission)
    }

    /// `nested_tlb::hv_send::send_to_l2s`.
    fn call(&self) -> [Sender; 9] {
        use Sender::{
            Count,
            Idle,
            Look,
            LookAtTag,
            Queue,
            Request,
            Return,
            Uncount,
            Wait, //
        };

        let begin = match self.omission {
            Some(Omission::CountFirst) => [LookAtTag, Look, Count],
            Some(Omission::TagFirst) => [LookAtTag, Count, Look],
            _ => [Count, LookAtTag, Look],
        };
        let end = match self.omission {
            Some(Omission::UntilQueued) => [Uncount, Queue, Request, Wait],
            _ => [Queue, Request, Wait, Uncount],
        };
        let ([a, b, c], [d, e, f, g]) = (begin, end);

        [a, b, c, d, e, f, g, Return, Idle]
    }

    /// `nested_tlb::history::exit`.
    fn exit(&self) -> [Receiver; 4] {
        use Receiver::{
            LookAtQueue,
            ReadAll,
            ReadOne,
            Record, //
        };

        match self.omission {
            Some(Omission::QueueLast) => [LookAtQueue, ReadOne, ReadAll, Record],
            _ => [ReadOne, ReadAll, LookAtQueue, Record],
        }
    }

    /// The first step of A's exit.
    fn after_exit(&self) -> Option<Receiver> {
        if self.omits(Omission::AtExit) {
            Some(Receiver::L1)
        } else {
            self.exit().first().copied()
        }
    }

    /// The first step of another L2's entry, when its own ids are in place.
    fn after_ids(&self) -> Option<Receiver> {
        if self.omits(Omission::AtExit) {
            self.exit().first().copied()
        } else {
            Some(Receiver::EnterB)
        }
    }

    /// V8, V9: what is recorded at A's exit.
    fn rest(&self, seen: Seen) -> Rest {
        let calls = Calls::of(seen.one, seen.all);

        Rest::at_exit(
            A,
            Calls {
                under_way: calls.under_way && !self.omits(Omission::UnderWay),
                ..calls
            },
            seen.queue_is_empty || self.omits(Omission::Queue),
        )
    }

    /// V9: A's translations are still right, by what was read at its entry.
    fn keeps(&self, s: &State) -> bool {
        let now = Calls::of(s.seen.one, s.seen.all);
        let count = if self.omits(Omission::Comparison) {
            s.rest
        } else {
            now.count
        };

        Rest::from_fields(A, s.rest).missed_nothing(A, |_, _| Calls { count, ..now })
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.switches, Rest::running(A).calls())]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        if !s.sender_buffer.is_empty() {
            actions.push(Action::SenderStoreSeen);
        }
        if !s.receiver_buffer.is_empty() {
            actions.push(Action::ReceiverStoreSeen);
        }
        if s.sender == Sender::Idle && s.calls.0 < self.calls {
            actions.push(Action::Call(Var::One));
            actions.push(Action::Call(Var::All));
        }
        actions.push(Action::Sender);
        actions.push(Action::Receiver);
        match s.receiver {
            Receiver::Guest if s.cached.is_none() => actions.push(Action::Cache),
            Receiver::Outside => actions.push(Action::Exit),
            Receiver::L1 => {
                actions.push(Action::ServeL1);
                if s.switches > 0 {
                    actions.push(Action::Leave { ids_go: true });
                    actions.push(Action::Leave { ids_go: false });
                }
            }
            Receiver::EnterB => actions.push(Action::Back),
            _ => (),
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
            Action::Call(word) => {
                next.calls.0 += 1;
                next.sender_buffer.push((Var::Page, next.calls.0));
                next.word = word;
                next.sender = self.call().first().copied()?;
            }
            Action::Sender => self.send(&mut next)?,
            Action::Receiver => self.receive(&mut next)?,
            Action::Cache => next.cached = Some(s.memory(Var::Page)),
            Action::Exit => next.receiver = self.after_exit()?,
            Action::ServeL1 => {
                s.receiver_buffer.is_empty().then_some(())?;
                next.set(Var::Request, 0);
            }
            Action::Leave { ids_go } => {
                next.switches -= 1;
                next.receiver = if ids_go {
                    Receiver::IdsGo
                } else {
                    self.after_ids()?
                };
            }
            Action::Back => next.receiver = Receiver::IdsCome,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(Self::STALE, |_: &Self, s: &State| !s.is_stale()),
            Property::sometimes(Self::KEPT, |protocol: &Self, s: &State| {
                s.receiver == Receiver::Compare && s.cached.is_some() && protocol.keeps(s)
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore;

    #[test]
    fn the_protocol_holds() {
        let found = explore::words(None);

        assert_eq!(found.violated, None);
        assert!(found.keeps);
    }

    #[test]
    fn omissions_are_noticed() {
        for &omission in Omission::ALL {
            let found = explore::words(Some(omission));
            assert_eq!(found.violated, Some(omission.steps()), "{omission:?}");
        }
    }
}
