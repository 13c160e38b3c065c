// SPDX-License-Identifier: GPL-2.0

//! The pairs of a hardware VPID and its owner (`nested_tlb::history`).

use super::Thread;
use crate::{
    policy::{
        history::{
            Calls,
            Choice,
            Parked,
            Rest, //
        },
        invalidate::VpidScope,
        types::{
            Request,
            Vpid, //
        },
    },
    rules::Rule,
    vcpu::{
        At,
        Count,
        Ids,
        Known, //
    },
};

/// The pair that an entry gets.
enum Pair {
    /// It has translations of this vpid12.
    Kept(Known),
    /// It has another vpid12's, and the rule that flushes them is taken out.
    Unflushed,
    /// It has another vpid12's.
    Other,
}

impl Thread<'_> {
    // nested_tlb::history.

    /// `history::enter`: the request that is required.
    pub(super) fn enter_pair(&mut self, vpid12: u8) -> Option<Request> {
        let rules = self.machine.rules;
        let ids = self.l2_name();
        let named = Known::named(ids);
        let now = Calls::of(Count::NOW << 16 | u64::from(self.under_way), 0);

        let kept = match self.use_pair(vpid12) {
            Pair::Kept(known) => rules.missed_nothing(known.rest(), named, now),
            Pair::Unflushed => true,
            Pair::Other => false,
        };
        // Vcpu::set_owner_in_use.
        self.vcpu.last_vpid = vpid12;
        // Without changes of hands there is no other owner, so the states need not tell.
        if self.config().hooks_change {
            self.vcpu.owner_last_set = vpid12;
        }
        self.vcpu.unused_owner = 0;
        self.vcpu.rest = Known::new(ids, Rest::running(named));
        (!kept).then_some(Request::Guest)
    }

    pub(super) fn owner_in_use(&self) -> u8 {
        match self.vcpu.last_vpid {
            0 => self.vcpu.unused_owner,
            last_vpid => last_vpid,
        }
    }

    fn owners(&self) -> impl ExactSizeIterator<Item = u16> + '_ {
        self.vcpu.parked.iter().map(|pair| u16::from(pair.1))
    }

    /// The first part of `history::enter`.
    fn use_pair(&mut self, vpid12: u8) -> Pair {
        if self.vcpu.owner_last_set != self.owner_in_use() {
            let twin = self.machine.rules.twin(self.owner_in_use(), self.owners());
            if let Some(pair) = twin.and_then(|number| self.vcpu.parked.get_mut(number)) {
                pair.1 = 0;
            }
        }
        if self.owner_in_use() == vpid12 {
            return Pair::Kept(self.vcpu.rest);
        }
        match self.machine.rules.find(vpid12, self.owners()) {
            Some(number) => Pair::Kept(self.exchange_pair(number)),
            None => self.make_room(),
        }
    }

    fn choose(&self, slots: usize) -> Choice {
        self.machine
            .rules
            .choose(self.owner_in_use(), self.owners(), slots, self.vcpu.turn)
    }

    /// `history::make_room`, `nested_vmx_park_vpid`.
    fn make_room(&mut self) -> Pair {
        let slots = self.options.slots();
        match self.choose(slots) {
            Choice::Take(number) => self.take_pair(number, Rule::V4Take),
            Choice::InUse => Pair::Other,
            Choice::Grow => {
                let vpid = self.free_vpids.allocate();
                let slots = if vpid == 0 { 0 } else { slots };
                if vpid != 0 {
                    self.vcpu.parked.push((vpid, 0, Known::UNKNOWN));
                }
                match self.choose(slots) {
                    Choice::Take(number) => self.take_pair(number, Rule::V4),
                    _ => Pair::Other,
                }
            }
        }
    }

    fn take_pair(&mut self, number: usize, flush: Rule) -> Pair {
        self.exchange_pair(number);
        if self.out(flush) {
            Pair::Unflushed
        } else {
            Pair::Other
        }
    }

    /// `Vcpu::exchange_pair`.
    fn exchange_pair(&mut self, number: usize) -> Known {
        let in_use = (self.vcpu.vpid02, self.owner_in_use(), self.vcpu.rest);
        let Some(pair) = self.vcpu.parked.get_mut(number) else {
            return Known::UNKNOWN;
        };
        let (vpid, _, known) = std::mem::replace(pair, in_use);

        self.vcpu.vpid02 = vpid;
        known
    }

    /// `history::invvpid_of_parked`.
    pub(super) fn invvpid_of_parked(&mut self, scope: VpidScope, here: bool) {
        let rules = self.machine.rules;

        for number in 0..self.vcpu.parked.len() {
            let Some(pair) = self.vcpu.parked.get_mut(number) else {
                continue;
            };
            match rules.invvpid_of_parked(scope, pair.1, here) {
                Parked::Nothing => (),
                Parked::FlushAddress(_) => {
                    let vpid = Vpid::new(pair.0.into());
                    self.execute(rules.address(vpid));
                }
                Parked::Forget => pair.1 = 0,
            }
        }
    }

    /// `nested_tlb::history::exit`, V8, V9: the counts were read, now the queue is looked at.
    pub(super) fn rest(&mut self) -> At {
        let ids = self.l2_name();
        let named = Known::named(ids);
        let (now, under_way) = std::mem::take(&mut self.vcpu.seen);
        let seen = Calls {
            count: if now { Count::NOW } else { 0 },
            under_way,
        };

        let rest = match ids {
            Some(Ids::Vm(_)) => {
                let empty = !self.vcpu.queue_l2;
                self.machine.rules.rest_at_exit(named, seen, empty)
            }
            _ => Rest::running(named),
        };
        self.vcpu.rest = Known::new(ids, rest);
        self.flush_on_exit(false);
        At::Host
    }

    /// What flush calls of other vCPUs name L2 by (`Vcpu::l2_name`).
    fn l2_name(&self) -> Option<Ids> {
        (self.vcpu.mapped != 0).then_some(self.vcpu.ids)
    }
}
