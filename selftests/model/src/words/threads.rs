// SPDX-License-Identifier: GPL-2.0

//! The steps of the two threads.

use super::{
    omission::Omission,
    state::{
        Receiver,
        Seen,
        Sender,
        State,
        Var, //
    },
    Protocol,
    A, //
};
use crate::policy::history::{
    Calls,
    Rest, //
};

impl Protocol {
    /// One step of the sender; `None`: it must wait.
    pub(super) fn send(&self, s: &mut State) -> Option<()> {
        // An atomic operation empties the store buffer first.
        let fenced = s.sender_buffer.is_empty();

        match s.sender {
            Sender::Idle => return None,
            // Vcpu::count_flush_call.
            Sender::Count => {
                let counted = s.memory(s.word) + Calls::BEGIN;
                if self.omits(Omission::SenderBarrier) {
                    s.sender_buffer.push((s.word, counted));
                } else {
                    fenced.then_some(())?;
                    s.set(s.word, counted);
                }
            }
            // Vcpu::tag_of_vcpu, policy::tags::Tags::contain.
            Sender::LookAtTag => s.found = s.memory(Var::Tag) == 1,
            // AnyVcpu::identity, policy::hv_l2::is_target.
            Sender::Look => s.found &= s.memory(Var::Ids) == 1,
            // Queue::push.
            Sender::Queue => s.sender_buffer.push((Var::Queue, 1)),
            // kvm_make_vcpus_request_mask: __kvm_make_request.
            Sender::Request => {
                fenced.then_some(())?;
                s.set(Var::Request, 1);
            }
            // kvm_make_vcpus_request_mask: kvm_request_needs_ipi, smp_call_function_many.
            Sender::Wait => {
                (fenced && s.memory(Var::InGuest) == 0).then_some(())?;
            }
            // Counted::drop.
            Sender::Uncount => {
                fenced.then_some(())?;
                s.set(s.word, s.memory(s.word) - Calls::END);
            }
            // nested_tlb::hv_l2::complete.
            Sender::Return => {
                s.calls.1 = s.calls.0;
                s.found = false;
            }
        }
        s.sender = after(self.call(), s.sender, |step| {
            s.found || !step.needs_target()
        })?;
        Some(())
    }

    /// One step of the vCPU of A; `None`: it must wait.
    pub(super) fn receive(&self, s: &mut State) -> Option<()> {
        let fenced = s.receiver_buffer.is_empty();

        s.receiver = match s.receiver {
            // vmx_vcpu_run returns; vcpu_enter_guest: OUTSIDE_GUEST_MODE.
            Receiver::Guest => {
                s.receiver_buffer.push((Var::InGuest, 0));
                Receiver::Outside
            }
            // vcpu_enter_guest: kvm_check_request.
            Receiver::Outside if s.load(Var::Request) == 1 => {
                fenced.then_some(())?;
                s.set(Var::Request, 0);
                Receiver::Drain
            }
            // vcpu_enter_guest: IN_GUEST_MODE.
            Receiver::Outside => {
                s.receiver_buffer.push((Var::InGuest, 1));
                Receiver::LastLook
            }
            // nested_tlb::hv_drain::flush_queued.
            Receiver::Drain => {
                if s.take_queue() {
                    s.cached = None;
                }
                Receiver::Outside
            }
            // vcpu_enter_guest: smp_mb__after_srcu_read_unlock, kvm_vcpu_exit_request.
            Receiver::LastLook => {
                fenced.then_some(())?;
                if s.memory(Var::Request) == 1 {
                    s.receiver_buffer.push((Var::InGuest, 0));
                    Receiver::Outside
                } else {
                    Receiver::Guest
                }
            }
            // Vcpu::flush_calls: the word for A alone.
            step @ Receiver::ReadOne => {
                s.seen.one = s.memory(Var::One);
                after(self.exit(), step, |_| true)?
            }
            // Vcpu::flush_calls: the word for all.
            step @ Receiver::ReadAll => {
                s.seen.all = s.memory(Var::All);
                after(self.exit(), step, |_| true)?
            }
            // OwnQueue::is_empty.
            step @ Receiver::LookAtQueue => {
                s.seen.queue_is_empty = s.memory(Var::Queue) == 0;
                after(self.exit(), step, |_| true)?
            }
            // Rest::at_exit, Vcpu::set_rest_in_use.
            Receiver::Record => {
                s.rest = self.rest(std::mem::take(&mut s.seen)).calls();
                if self.omits(Omission::AtExit) {
                    Receiver::EnterB
                } else {
                    Receiver::L1
                }
            }
            // nested_vmx_run, while A's ids are in place.
            Receiver::L1 => Receiver::EnterA { other_pair: false },
            // nested_set_evmcs_ids, history::ids_changed.
            Receiver::IdsGo => {
                s.receiver_buffer.push((Var::Ids, 0));
                Receiver::TagGoes
            }
            // Hyperv::publish_tag.
            Receiver::TagGoes => {
                s.receiver_buffer.push((Var::Tag, 0));
                self.after_ids()?
            }
            // T1: nested_tlb::transition::check_hyperv_queue.
            Receiver::EnterB => {
                s.check_queue()?;
                Receiver::ServeB
            }
            // vcpu_enter_guest: kvm_check_request.
            Receiver::ServeB if s.load(Var::Request) == 1 => {
                fenced.then_some(())?;
                s.set(Var::Request, 0);
                Receiver::DrainB
            }
            Receiver::ServeB => Receiver::IdsCome,
            // nested_tlb::hv_drain::flush_queued: what was A's is spent on B's pair.
            Receiver::DrainB => {
                s.take_queue();
                Receiver::IdsCome
            }
            // nested_set_evmcs_ids.
            Receiver::IdsCome => {
                s.receiver_buffer.push((Var::Ids, 1));
                if self.omits(Omission::TagLast) {
                    Receiver::EnterA { other_pair: true }
                } else {
                    Receiver::TagComes
                }
            }
            // Hyperv::publish_tag.
            Receiver::TagComes => {
                s.receiver_buffer.push((Var::Tag, 1));
                if self.omits(Omission::TagLast) {
                    Receiver::Outside
                } else {
                    Receiver::EnterA { other_pair: true }
                }
            }
            // T1: nested_tlb::transition::check_hyperv_queue; then needs_other_pair.
            Receiver::EnterA { other_pair } => {
                s.check_queue()?;
                if other_pair {
                    Receiver::CompareOne
                } else {
                    Receiver::Outside
                }
            }
            // Vcpu::flush_calls_after_ids: smp_mb, the word for A alone.
            Receiver::CompareOne => {
                (fenced || self.omits(Omission::Barrier)).then_some(())?;
                s.seen.one = s.memory(Var::One);
                Receiver::CompareAll
            }
            // Vcpu::flush_calls_after_ids: the word for all.
            Receiver::CompareAll => {
                s.seen.all = s.memory(Var::All);
                Receiver::Compare
            }
            // nested_tlb::history::enter.
            Receiver::Compare => {
                if !self.keeps(s) {
                    s.cached = None;
                }
                s.rest = Rest::running(A).calls();
                s.seen = Seen::default();
                if self.omits(Omission::TagLast) {
                    Receiver::TagComes
                } else {
                    Receiver::Outside
                }
            }
        };
        Some(())
    }
}

impl Sender {
    /// The step is done for a vCPU that runs A.
    fn needs_target(self) -> bool {
        matches!(self, Self::Queue | Self::Request | Self::Wait)
    }
}

/// The next of `steps` after this one that `is_done`.
fn after<Step: Copy + PartialEq, const N: usize>(
    steps: [Step; N],
    this: Step,
    is_done: impl Fn(Step) -> bool,
) -> Option<Step> {
    steps
        .into_iter()
        .skip_while(|&step| step != this)
        .skip(1)
        .find(|&step| is_done(step))
}
