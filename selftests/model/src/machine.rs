// SPDX-License-Identifier: GPL-2.0

//! The steps of the machine: what guests and the host may do, and what must never be seen.

use stateright::{
    Model,
    Property, //
};

use crate::{
    config::Config,
    rules::Rules,
    state::{
        Call,
        FreeVpids,
        Kind,
        State,
        OTHER, //
    },
    tlb::{
        Ages,
        Mapping,
        Page,
        NO_ROOT,
        ROOT_EPT12,
        ROOT_OTHER, //
    },
    vcpu::{
        At,
        Fail, //
    },
};

/// A step. The first number is the vCPU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next step of KVM on that vCPU.
    Go(u8),
    /// From the host back to the guest.
    Run(u8),
    /// A VM exit of no consequence.
    Exit(u8),
    SchedOut(u8),
    SchedIn(u8, u8),
    /// L1 makes that context's VMCS current, and enters it. The last number is [`Vcpu::turn`].
    Enter(u8, u8, Fail, u8),
    /// L2 exits to L1.
    ExitToL1(u8),
    /// L1's INVVPID: type and vpid12.
    Invvpid(u8, u64, u8),
    /// L1's INVEPT: type and eptp12.
    Invept(u8, u64, u8),
    Vmclear(u8),
    Vmxoff(u8),
    Vmxon(u8),
    /// L2's VMFUNC, to that context's EPT.
    Vmfunc(u8, u8),
    /// The guest flushes its own translations, without a VM exit.
    OwnFlush(u8),
    /// The guest flushes its own translations, and KVM makes a request.
    RequestedFlush(u8),
    /// L1, on another vCPU, asks for a flush of this one, which is preempted.
    PvFlush(u8),
    /// A flush of several vCPUs begins, made by that vCPU or by one that is not modelled.
    Call(Kind, Option<u8>),
    /// Its next step.
    GoCall,
    OtherVmBegins,
    OtherVmRuns(u8),
    OtherVmStops,
    OtherVmEnds,
    /// The next step of a change of hooks.
    Hooks,
}

/// What must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The guest may use a translation that a complete flush of its own should have dropped.
    Flushed(Mapping),
    /// The guest may use a translation of another context's.
    Others(Mapping),
    /// KVM's tables for L1's EPT are older than L1's INVEPT.
    OldTables,
}

/// A configuration with its rules.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub config: Config,
    pub rules: Rules,
}

impl Machine {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            rules: Rules::new(config.ept, config.invvpid_all),
        }
    }

    /// What a guest that runs may use and must not.
    pub fn violation(&self, s: &State) -> Option<Violation> {
        let config = &self.config;

        for (number, vcpu) in (0..).zip(&s.vcpus) {
            let (At::Guest, Some(cpu)) = (vcpu.at, vcpu.cpu) else {
                continue;
            };
            let root = vcpu.root(config);
            let own = config.tag(vcpu.running());
            for mapping in s.tlb.mappings() {
                if mapping.cpu != cpu || mapping.root != root {
                    continue;
                }
                if mapping.is_guest_physical() {
                    if mapping.vcpu == number && mapping.is_forbidden() {
                        return Some(Violation::Flushed(mapping.clone()));
                    }
                } else if mapping.vpid == vcpu.hardware_vpid() {
                    if mapping.vcpu != number || config.tag(mapping.ctx) != own {
                        return Some(Violation::Others(mapping.clone()));
                    }
                    if mapping.is_forbidden() {
                        return Some(Violation::Flushed(mapping.clone()));
                    }
                }
            }
            let old = own
                .1
                .checked_sub(1)
                .and_then(|e| s.old_tables.get(usize::from(e)));
            if vcpu.l2 && old.is_some_and(|old| old & 1 << number != 0) {
                return Some(Violation::OldTables);
            }
        }
        if let (true, Some(cpu)) = (s.other.runs, s.other.cpu) {
            let root = if config.ept { ROOT_OTHER } else { NO_ROOT };
            return s
                .tlb
                .mappings()
                .iter()
                .find(|mapping| {
                    mapping.cpu == cpu
                        && mapping.root == root
                        && mapping.vpid == s.other.vpid
                        && mapping.vcpu != OTHER
                })
                .map(|mapping| Violation::Others(mapping.clone()));
        }
        None
    }

    /// Each guest that runs caches all that it can.
    pub(crate) fn fill(&self, s: &mut State) {
        let State {
            vcpus, tlb, other, ..
        } = s;

        for (number, vcpu) in (0..).zip(vcpus.iter()) {
            let (At::Guest, Some(cpu)) = (vcpu.at, vcpu.cpu) else {
                continue;
            };
            let root = vcpu.root(&self.config);
            let mapping = Mapping {
                cpu,
                vpid: vcpu.hardware_vpid(),
                root,
                vcpu: number,
                ctx: vcpu.running(),
                page: Page::Named,
                ages: Ages::ALLOWED,
            };
            // Without INVVPID by address there is no difference.
            if self.config.invvpid {
                tlb.cache(Mapping {
                    page: Page::Others,
                    ..mapping
                });
            }
            // KVM's tables for L1's EPT are the VM's, and so is what is cached of them alone.
            if root >= ROOT_EPT12 {
                for vcpu in 0..self.config.vcpus {
                    tlb.cache(Mapping {
                        vpid: 0,
                        ctx: 0,
                        vcpu,
                        ..mapping
                    });
                }
            }
            tlb.cache(mapping);
        }
        if let (true, Some(cpu)) = (other.runs, other.cpu) {
            tlb.cache(Mapping {
                cpu,
                vpid: other.vpid,
                root: if self.config.ept { ROOT_OTHER } else { NO_ROOT },
                vcpu: OTHER,
                ctx: 0,
                page: Page::Named,
                ages: Ages::ALLOWED,
            });
        }
    }

    fn guest_actions(&self, s: &State, number: u8, actions: &mut Vec<Action>) {
        let Some(vcpu) = s.vcpus.get(usize::from(number)) else {
            return;
        };
        let config = &self.config;

        actions.push(Action::Exit(number));
        if config.own_flushes {
            actions.push(Action::OwnFlush(number));
        }
        if config.requested_flushes {
            actions.push(Action::RequestedFlush(number));
        }
        let calls = s.call == Call::None && config.hyperv;
        if vcpu.l2 {
            actions.push(Action::ExitToL1(number));
            if config.vmfunc {
                let from = config.context(vcpu.ctx);
                for to in config.context_numbers() {
                    let other = config.context(to);
                    if other.vpid12 == from.vpid12
                        && other.eptp12 != from.eptp12
                        && other.eptp12 != 0
                        && from.eptp12 != 0
                    {
                        actions.push(Action::Vmfunc(number, to));
                    }
                }
            }
            let vm = config.context(vcpu.ctx).vm;
            if calls && vm != 0 && vm == config.l2_calls {
                actions.push(Action::Call(Kind::L2(vm), Some(number)));
            }
            return;
        }
        if calls && config.l1_calls {
            actions.push(Action::Call(Kind::L1, Some(number)));
        }
        if !vcpu.vmxon {
            actions.push(Action::Vmxon(number));
            return;
        }
        if config.vmxoff {
            actions.push(Action::Vmxoff(number));
        }
        if config.vmclear && vcpu.ctx != 0 {
            actions.push(Action::Vmclear(number));
        }
        for ctx in config.context_numbers() {
            // Whether it is a parked pair's turn matters only if all slots are in use.
            let turns = if 1 + vcpu.parked.len() == usize::from(config.slots) {
                vcpu.parked.len() as u8
            } else {
                0
            };
            for turn in 0..=turns {
                actions.push(Action::Enter(number, ctx, Fail::No, turn));
                if config.failures {
                    actions.push(Action::Enter(number, ctx, Fail::Early, turn));
                    actions.push(Action::Enter(number, ctx, Fail::Late, turn));
                }
                if config.refusals {
                    actions.push(Action::Enter(number, ctx, Fail::Refused, turn));
                }
            }
        }
        if config.invvpid {
            // Type 3 is type 1 to KVM.
            for kind in [0, 1] {
                for vpid12 in 1..=config.most(|context| context.vpid12) {
                    actions.push(Action::Invvpid(number, kind, vpid12));
                }
            }
            actions.push(Action::Invvpid(number, 2, 0));
        }
        if config.invept {
            for eptp12 in 1..=config.most(|context| context.eptp12) {
                actions.push(Action::Invept(number, 1, eptp12));
            }
            actions.push(Action::Invept(number, 2, 0));
        }
    }

    fn host_actions(&self, s: &State, actions: &mut Vec<Action>) {
        let config = &self.config;

        match s.call {
            Call::None => {
                if config.remaps {
                    actions.push(Action::Call(Kind::Host, None));
                }
                if config.l1_calls {
                    actions.push(Action::Call(Kind::L1, None));
                }
                if config.l2_calls != 0 {
                    actions.push(Action::Call(Kind::L2(config.l2_calls), None));
                }
            }
            Call::Wait if s.waiting != 0 => (),
            _ => actions.push(Action::GoCall),
        }
        if config.hooks_change {
            actions.push(Action::Hooks);
        }
        if !config.other_vm {
            return;
        }
        if s.other.vpid == 0 {
            if s.free_vpids != FreeVpids::NONE {
                actions.push(Action::OtherVmBegins);
            }
        } else if s.other.runs {
            actions.push(Action::OtherVmStops);
        } else {
            actions.push(Action::OtherVmEnds);
            for cpu in (0..config.cpus).filter(|&cpu| !s.is_busy(cpu)) {
                actions.push(Action::OtherVmRuns(cpu));
            }
        }
    }
}

impl Model for Machine {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.config)]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        let config = &self.config;

        for (number, vcpu) in (0..).zip(&s.vcpus) {
            if vcpu.cpu.is_none() {
                for cpu in (0..config.cpus).filter(|&cpu| !s.is_busy(cpu)) {
                    actions.push(Action::SchedIn(number, cpu));
                }
                if config.pv_flushes && !vcpu.steal {
                    actions.push(Action::PvFlush(number));
                }
                continue;
            }
            if config.moves && vcpu.at != At::Guest && (vcpu.at == At::Host || config.fine) {
                actions.push(Action::SchedOut(number));
            }
            match vcpu.at {
                At::Guest => self.guest_actions(s, number, actions),
                At::Host => {
                    actions.push(Action::Run(number));
                    // An event for L1 comes before L2 runs again.
                    if vcpu.l2 && !vcpu.refused {
                        actions.push(Action::ExitToL1(number));
                    }
                }
                At::Calling => (),
                _ => actions.push(Action::Go(number)),
            }
        }
        self.host_actions(s, actions);
    }

    fn next_state(&self, s: &State, action: Action) -> Option<State> {
        let mut next = s.clone();

        self.act(&mut next, action);
        let fine = self.config.fine;
        for number in 0..self.config.vcpus {
            while next
                .at(number)
                .is_some_and(|at| at.is_local() || !(fine || at.is_stable()))
            {
                self.step(&mut next, number);
            }
        }
        self.fill(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "no guest uses what was flushed",
            |machine: &Self, s: &State| machine.violation(s).is_none(),
        )]
    }
}

impl State {
    fn at(&self, number: u8) -> Option<At> {
        self.vcpus.get(usize::from(number)).map(|vcpu| vcpu.at)
    }
}
