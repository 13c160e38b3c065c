// SPDX-License-Identifier: GPL-2.0

//! What guests and the host do, and what the architecture promises them for it.

use crate::{
    kvm::Thread,
    machine::{
        Action,
        Machine, //
    },
    policy::{
        flush::{
            current,
            All, //
        },
        types::{
            Level,
            Vpid, //
        },
    },
    rules::Rule,
    state::{
        Call,
        Hooks,
        Kind,
        OtherVm,
        State,
        OTHER, //
    },
    tlb::{
        Mapping,
        Page,
        ROOT_OTHER, //
    },
    vcpu::{
        At,
        Fail,
        Leave,
        Then, //
    },
};

impl Machine {
    pub(crate) fn act(&self, s: &mut State, action: Action) {
        match action {
            Action::Go(number) => self.step(s, number),
            Action::Run(number) => self.thread(s, number, |thread| thread.vcpu.at = At::All),
            Action::Exit(number) => self.leave_guest(s, number),
            Action::SchedOut(number) => {
                self.thread(s, number, |thread| thread.vcpu.cpu = None);
            }
            Action::SchedIn(number, cpu) => self.thread(s, number, |thread| {
                thread.load(cpu);
                thread.vcpu.requests.steal = thread.vcpu.steal;
            }),
            Action::Enter(number, ctx, fail, turn) => self.enter(s, number, ctx, fail, turn),
            Action::ExitToL1(number) => self.exit_to_l1(s, number),
            Action::Invvpid(number, kind, vpid12) => self.invvpid(s, number, kind, vpid12),
            Action::Invept(number, kind, eptp12) => self.invept(s, number, kind, eptp12),
            Action::Vmclear(number) => {
                self.leave_guest(s, number);
                self.thread(s, number, |thread| thread.vmclear());
            }
            Action::Vmxoff(number) => {
                self.leave_guest(s, number);
                self.thread(s, number, |thread| thread.vmxoff());
            }
            Action::Vmxon(number) => {
                self.leave_guest(s, number);
                self.thread(s, number, |thread| thread.vmxon());
            }
            Action::Vmfunc(number, ctx) => {
                self.leave_guest(s, number);
                self.thread(s, number, |thread| thread.vmfunc(ctx));
                self.forbid_by_vmfunc(s, number, ctx);
            }
            Action::OwnFlush(number) => {
                self.forbid_running(s, number);
                self.thread(s, number, |thread| thread.own_flush());
            }
            Action::RequestedFlush(number) => {
                self.leave_guest(s, number);
                self.forbid_running(s, number);
                self.thread(s, number, |thread| thread.vcpu.requests.guest = true);
            }
            Action::PvFlush(number) => {
                self.thread(s, number, |thread| thread.vcpu.steal = true);
                self.forbid_vpid(s, number, 0);
            }
            Action::Call(kind, caller) => self.call(s, kind, caller),
            Action::GoCall => self.go_call(s),
            Action::OtherVmBegins => s.other.vpid = s.free_vpids.allocate(),
            Action::OtherVmRuns(cpu) => self.other_vm_runs(s, cpu),
            Action::OtherVmStops => s.other.runs = false,
            Action::OtherVmEnds => {
                let vpid = s.other.vpid;
                s.free_vpids.free(vpid);
                s.other = OtherVm::default();
            }
            Action::Hooks => self.change_hooks(s),
        }
    }

    /// The next step of a vCPU's thread that is in the middle of something.
    pub(crate) fn step(&self, s: &mut State, number: u8) {
        if self.is_vpid0_transition(s, number) {
            self.forbid_vpid(s, number, 0);
        }
        self.thread(s, number, |thread| thread.go());
    }

    /// The guest exits. Whoever waits for that goes on.
    fn leave_guest(&self, s: &mut State, number: u8) {
        s.waiting &= !(1 << number);
        self.thread(s, number, |thread| thread.exit());
    }

    // What the architecture promises a vCPU of L1's.

    /// All linear and combined mappings of that vpid12 were flushed on that vCPU, for the guest.
    fn forbid_vpid(&self, s: &mut State, number: u8, vpid12: u8) {
        let config = &self.config;

        s.tlb.forbid(|mapping| {
            self.is_combined_of(mapping, number) && config.tag(mapping.ctx).0 == vpid12
        });
    }

    /// L2 has switched to the EPT of `ctx`. Without VPID that flushes the combined mappings of VPID
    /// 0, of all EPTs (SDM, "EPTP Switching").
    fn forbid_by_vmfunc(&self, s: &mut State, number: u8, ctx: u8) {
        let config = &self.config;

        if config.context(ctx).vpid12 != 0 {
            return;
        }
        s.tlb.forbid(|mapping| {
            let (vpid12, eptp12) = config.tag(mapping.ctx);
            self.is_combined_of(mapping, number) && vpid12 == 0 && eptp12 != 0
        });
    }

    fn is_combined_of(&self, mapping: &Mapping, number: u8) -> bool {
        !mapping.is_guest_physical() && mapping.vcpu == number
    }

    /// The same for the context that runs.
    fn forbid_running(&self, s: &mut State, number: u8) {
        let running = s
            .vcpus
            .get(usize::from(number))
            .map_or(0, |vcpu| vcpu.running());

        self.forbid_vpid(s, number, self.config.tag(running).0);
    }

    /// The vCPU's next step is a VM entry or VM exit without VPID, which flushes VPID 0 (SDM,
    /// "Operations that Invalidate Cached Mappings"). A VM entry that is refused is none.
    fn is_vpid0_transition(&self, s: &State, number: u8) -> bool {
        s.vcpus.get(usize::from(number)).is_some_and(|vcpu| {
            matches!(
                vcpu.at,
                At::Enter(_) | At::Switch01(Leave::Exit | Leave::Failed)
            ) && self.config.context(vcpu.ctx).vpid12 == 0
        })
    }

    fn enter(&self, s: &mut State, number: u8, ctx: u8, fail: Fail, turn: u8) {
        self.leave_guest(s, number);
        self.thread(s, number, |thread| {
            thread.vcpu.turn = turn;
            thread.vcpu.at = thread.run_nested(ctx, fail);
        });
    }

    fn exit_to_l1(&self, s: &mut State, number: u8) {
        self.leave_guest(s, number);
        self.thread(s, number, |thread| {
            thread.vcpu.at = At::LocalCurrent(Then::Leave(Leave::Exit));
        });
    }

    fn invvpid(&self, s: &mut State, number: u8, kind: u64, vpid12: u8) {
        let config = &self.config;

        self.leave_guest(s, number);
        s.tlb.forbid(|mapping| {
            let vpid = config.tag(mapping.ctx).0;
            let named = if kind == 2 { vpid != 0 } else { vpid == vpid12 };
            self.is_combined_of(mapping, number)
                && named
                && (kind != 0 || mapping.page == Page::Named)
        });
        self.thread(s, number, |thread| thread.invvpid(kind, vpid12));
    }

    fn invept(&self, s: &mut State, number: u8, kind: u64, eptp12: u8) {
        let config = &self.config;
        let single = kind == crate::policy::invalidate::EPT_SINGLE;

        self.leave_guest(s, number);
        s.tlb.forbid(|mapping| {
            if mapping.vcpu != number {
                return false;
            }
            let eptp = config.tag(mapping.ctx).1;
            match (mapping.is_guest_physical(), single) {
                (true, true) => mapping.root == Thread::root_of(eptp12),
                (true, false) => true,
                (false, true) => eptp == eptp12,
                (false, false) => eptp != 0,
            }
        });
        for (old, its) in s.old_tables.iter_mut().zip(1..) {
            if !single || its == eptp12 {
                *old |= 1 << number;
            }
        }
        self.thread(s, number, |thread| thread.invept(kind, eptp12));
    }

    // Flushes of several vCPUs.

    fn call(&self, s: &mut State, kind: Kind, caller: Option<u8>) {
        let config = &self.config;

        if let Some(number) = caller {
            self.leave_guest(s, number);
            self.thread(s, number, |thread| {
                thread.vcpu.at = At::Calling;
                // hv_send::send_to_l2s.
                if kind != Kind::L1 {
                    thread.learn_identity();
                }
            });
        }
        s.caller = caller;
        s.tlb.condemn(|mapping| match kind {
            Kind::Host => mapping.vcpu != OTHER,
            Kind::L1 => !mapping.is_guest_physical() && mapping.ctx == 0 && mapping.vcpu != OTHER,
            Kind::L2(vm) => !mapping.is_guest_physical() && config.context(mapping.ctx).vm == vm,
        });
        // Vcpu::count_flush_call.
        if let Kind::L2(vm) = kind {
            s.counted = true;
            for vcpu in &mut s.vcpus {
                vcpu.seen.0 = false;
                vcpu.rest.count(vm);
                for pair in &mut vcpu.parked {
                    pair.2.count(vm);
                }
            }
        }
        s.call = match kind {
            Kind::Host => Call::Request(kind, 0, u8::MAX),
            Kind::L1 | Kind::L2(_) => Call::Look(kind, 0, 0),
        };
    }

    /// `nested_tlb::hv_send`, `kvm_make_all_cpus_request`.
    fn go_call(&self, s: &mut State) {
        s.call = match s.call {
            Call::None => Call::None,
            Call::Look(kind, number, targets) => match s.vcpus.get(usize::from(number)) {
                None => Call::Request(kind, 0, targets),
                Some(vcpu) => {
                    let target = match kind {
                        Kind::L2(vm) => self.rules.is_target(vm, vcpu.ids.identity()),
                        Kind::L1 | Kind::Host => true,
                    };
                    if target {
                        Call::Push(kind, number, targets | 1 << number)
                    } else {
                        Call::Look(kind, number + 1, targets)
                    }
                }
            },
            Call::Push(kind, number, targets) => {
                let level = match kind {
                    Kind::L2(_) => Level::L2,
                    // E17: the level that is meant, whichever runs.
                    Kind::L1 | Kind::Host => Level::L1,
                };
                self.thread(s, number, |thread| thread.push(level));
                Call::Look(kind, number + 1, targets)
            }
            Call::Request(kind, number, targets) => {
                let Some(vcpu) = s.vcpus.get_mut(usize::from(number)) else {
                    s.call = Call::Wait;
                    return;
                };
                if targets & 1 << number != 0 {
                    if kind != Kind::Host {
                        vcpu.requests.hyperv = true;
                    } else if !self.rules.is_out(Rule::H14) {
                        vcpu.requests.all = true;
                    }
                    if vcpu.at == At::Guest && !self.rules.is_out(Rule::E16) {
                        s.waiting |= 1 << number;
                    }
                }
                Call::Request(kind, number + 1, targets)
            }
            Call::Wait => {
                s.counted = false;
                s.tlb.complete();
                if let Some(number) = s.caller.take() {
                    self.thread(s, number, |thread| thread.exit());
                }
                Call::None
            }
        };
    }

    // Who has the hooks.

    /// The next step of `Registration::set` or of loading and unloading.
    fn change_hooks(&self, s: &mut State) {
        s.hooks = match s.hooks {
            Hooks::Rust => {
                s.options = self.rules.is_out(Rule::V14Order);
                Hooks::Mixed
            }
            Hooks::Mixed => {
                s.options = false;
                Hooks::Flush(0)
            }
            // kvm_nvmx_flush_all_vms.
            Hooks::Flush(number) => match s.vcpus.get_mut(usize::from(number)) {
                Some(vcpu) => {
                    if !self.rules.is_out(Rule::V14Flush) {
                        vcpu.requests.all = true;
                    }
                    Hooks::Flush(number + 1)
                }
                None => {
                    s.options = true;
                    Hooks::Rust
                }
            },
        };
    }

    /// The other VM's vCPU is loaded, flushes if it comes from another CPU, and runs.
    fn other_vm_runs(&self, s: &mut State, cpu: u8) {
        let vpid = Vpid::new(u16::from(s.other.vpid));

        if s.other.cpu != Some(cpu) {
            let required = match self.rules.all(self.options(s.options)) {
                All::Nothing => None,
                All::Once(invalidation) => Some(invalidation),
                All::Each => self.rules.each(vpid),
                All::OwnRoots => current(self.rules.caps, Thread::of_ept(ROOT_OTHER), || None),
            };
            if let Some(invalidation) = required {
                s.tlb.execute(cpu, invalidation);
            }
        }
        s.other.cpu = Some(cpu);
        s.other.runs = true;
    }
}
