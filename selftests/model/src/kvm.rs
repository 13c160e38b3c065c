// SPDX-License-Identifier: GPL-2.0

//! What KVM and the module's hooks do, a step at a time. This is a short mirror of C and of
//! `rust_kvm_nvmx/nested_tlb`; each step names the function that it stands for. What is decided is
//! asked of [`crate::rules`].

mod instructions;
mod pairs;
mod transition;

use std::iter;

use crate::{
    config::Config,
    machine::Machine,
    policy::{
        flush::All,
        hv_ranges::Drain,
        options::Options,
        types::{
            Eptp,
            Invalidation,
            Level,
            Root,
            Vpid, //
        },
    },
    rules::Rule,
    state::{
        FreeVpids,
        Hooks,
        State, //
    },
    tlb::{
        self,
        Tlb,
        ROOT_EPT12,
        ROOT_L1,
        ROOT_L2, //
    },
    vcpu::{
        At,
        Ids,
        Leave,
        Then,
        Vcpu, //
    },
};

/// A vCPU's thread, with what it may change.
pub(crate) struct Thread<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) vcpu: &'a mut Vcpu,
    pub(crate) tlb: &'a mut Tlb,
    pub(crate) old_tables: &'a mut [u8; 2],
    pub(crate) free_vpids: &'a mut FreeVpids,
    pub(crate) options: Options,
    /// A flush call of an L2's is under way.
    pub(crate) under_way: bool,
    /// The hook for INVVPID is C's.
    pub(crate) in_c: bool,
}

impl Machine {
    /// The module's options, if they apply.
    pub(crate) fn options(&self, apply: bool) -> Options {
        let config = &self.config;

        if !apply {
            return Options::STOCK;
        }
        self.rules.options(
            Options::STOCK
                .with_slots(config.slots)
                .with(Options::KEEP_ROOTS, config.keep_roots)
                .with(Options::NO_EXIT_FLUSH, config.no_exit_flush)
                .with(Options::SKIP_EMPTY_QUEUE, config.skip_empty_queue)
                .with(Options::L1_FLUSH_ALONE, config.l1_flush_alone)
                .with(Options::OWN_ROOTS, config.own_roots),
        )
    }

    /// Calls `step` with the thread of a vCPU.
    pub(crate) fn thread(&self, s: &mut State, number: u8, step: impl FnOnce(&mut Thread<'_>)) {
        let Some(vcpu) = s.vcpus.get_mut(usize::from(number)) else {
            return;
        };

        step(&mut Thread {
            machine: self,
            vcpu,
            tlb: &mut s.tlb,
            old_tables: &mut s.old_tables,
            free_vpids: &mut s.free_vpids,
            options: self.options(s.options),
            under_way: s.counted,
            in_c: s.hooks == Hooks::Mixed,
        });
    }
}

impl Thread<'_> {
    fn config(&self) -> &Config {
        &self.machine.config
    }

    fn out(&self, rule: Rule) -> bool {
        self.machine.rules.is_out(rule)
    }

    fn execute(&mut self, required: Option<Invalidation>) {
        if let (Some(cpu), Some(invalidation)) = (self.vcpu.cpu, required) {
            self.tlb.execute(cpu, invalidation);
        }
    }

    /// H5 (`flush::current_vpid`).
    fn current_vpid(&self) -> Option<Vpid> {
        let uses = self.vcpu.uses_vpid(self.config());

        self.machine
            .rules
            .current_vpid(uses, self.vcpu.vpid01(), self.vcpu.vpid02())
    }

    /// The next step, if one is under way.
    pub(crate) fn go(&mut self) {
        self.vcpu.at = match self.vcpu.at {
            stable @ (At::Guest | At::Host | At::Calling) => stable,
            At::MapEvmcs(ctx, fail) => self.map_evmcs(ctx, fail),
            At::CopyIds(ctx, fail) => self.copy_ids(ctx, fail),
            At::LocalCurrent(then) => self.local_current(then),
            At::LocalGuest(then) => self.local_guest(then),
            At::FlushGuest(then) => self.flush_guest(then),
            At::Purge(then) => self.purge(then),
            At::Switch02(fail) => self.switch_to_vmcs02(fail),
            At::Enter(fail) => self.enter(fail),
            At::Switch01(leave) => self.switch_to_vmcs01(leave),
            At::Rest => self.rest(),
            At::All => self.all(),
            At::Hyperv => self.hyperv(),
            At::Drain => self.drain(),
            At::Steal => self.steal(),
            At::LoadRoot => self.load_root(),
            At::Last => self.last(),
        };
    }

    // vmx_vcpu_load_vmcs.

    /// The thread continues on a CPU (`vmx_vcpu_load`).
    pub(crate) fn load(&mut self, cpu: u8) {
        self.vcpu.cpu = Some(cpu);
        self.load_vmcs(true);
    }

    /// The current VMCS is loaded on the CPU that the thread is on. `continues`: the thread may
    /// have been on another one. Otherwise one VMCS takes the other one's place, which was loaded
    /// on this CPU after the last move.
    fn load_vmcs(&mut self, continues: bool) {
        let cpu = self.vcpu.cpu;
        let last = if self.vcpu.l2 {
            &mut self.vcpu.cpu02
        } else {
            &mut self.vcpu.cpu01
        };

        let moved = *last != cpu && (continues || last.is_none());
        *last = cpu;
        if moved && !self.out(Rule::H9) {
            self.vcpu.requests.all = true;
        }
    }

    // vcpu_enter_guest.

    /// KVM_REQ_TLB_FLUSH (`kvm_vcpu_flush_tlb_all`, `nested_tlb::flush::all`).
    fn all(&mut self) -> At {
        if self.vcpu.requests.all {
            self.vcpu.requests.all = false;
            self.vcpu.requests.current = false;
            match self.machine.rules.all(self.options) {
                All::Nothing => (),
                All::Once(invalidation) => self.execute(Some(invalidation)),
                All::Each => {
                    self.execute(self.machine.rules.each(self.vcpu.vpid01()));
                    self.execute(self.machine.rules.each(self.vcpu.vpid02()));
                }
                All::OwnRoots => {
                    let roots = self.own_roots().map(Self::of_ept);
                    let own = self.machine.rules.own_roots(roots);

                    own.for_each_required(|required| self.execute(Some(required)));
                }
            }
        }
        At::LocalCurrent(Then::Hyperv)
    }

    /// V25 (`nested_tlb::flush::own_roots`). The direct roots are always there, if they are used.
    fn own_roots(&self) -> impl Iterator<Item = tlb::Root> + use<'_> {
        let running = self.vcpu.root(self.config());
        let kept = (0..2).filter(|bit| self.vcpu.roots & 1 << bit != 0);
        let forget_kept = self.out(Rule::V25Kept);
        let forget_other = self.out(Rule::V25Other);

        let direct_l2 = self.config().contexts.iter().any(|ctx| ctx.eptp12 == 0);

        iter::once(ROOT_L1)
            .chain(direct_l2.then_some(ROOT_L2))
            .chain(kept.map(|bit| ROOT_EPT12 + bit))
            .filter(move |&root| {
                let is_other = (root >= ROOT_EPT12) != (running >= ROOT_EPT12);
                let forgotten = if is_other { forget_other } else { forget_kept };

                root == running || !forgotten
            })
    }

    pub(crate) fn of_ept(root: tlb::Root) -> Root {
        Root::Ept(Eptp(u64::from(root) << 12))
    }

    /// KVM_REQ_TLB_FLUSH_CURRENT (`kvm_service_local_tlb_flush_requests`).
    fn local_current(&mut self, then: Then) -> At {
        let ignored = match then {
            Then::Enter(_) => self.out(Rule::T9Before),
            Then::Leave(_) => self.out(Rule::T10),
            Then::Hyperv | Then::Load => false,
        };

        if ignored {
            return self.after(then);
        }
        if self.vcpu.requests.current {
            self.vcpu.requests.current = false;
            self.flush_current();
        }
        At::LocalGuest(then)
    }

    /// H2 (`nested_tlb::flush::current`).
    fn flush_current(&mut self) {
        let root = self.vcpu.root(self.config());
        let root = if !self.config().ept {
            Root::Shadow
        } else if self.has_root() {
            Self::of_ept(root)
        } else {
            Root::Invalid
        };

        self.execute(self.machine.rules.current(root, self.current_vpid()));
    }

    /// KVM_REQ_TLB_FLUSH_GUEST.
    fn local_guest(&mut self, then: Then) -> At {
        if self.vcpu.requests.guest {
            self.vcpu.requests.guest = false;
            At::FlushGuest(then)
        } else {
            self.after(then)
        }
    }

    /// H4 (`kvm_vcpu_flush_tlb_guest`, `nested_tlb::flush::guest`), and whether to purge
    /// (`nested_tlb::hv_drain::purge`).
    fn flush_guest(&mut self, then: Then) -> At {
        self.execute(self.machine.rules.guest(self.current_vpid()));
        if self.machine.rules.ept() && self.vcpu.requests.hyperv {
            self.vcpu.requests.hyperv = false;
            At::Purge(then)
        } else {
            self.after(then)
        }
    }

    /// H8: the purge's second half.
    fn purge(&mut self, then: Then) -> At {
        self.discard();
        self.after(then)
    }

    fn after(&mut self, then: Then) -> At {
        match then {
            Then::Hyperv => At::Hyperv,
            Then::Load => At::LoadRoot,
            Then::Enter(fail) => At::Switch02(fail),
            Then::Leave(leave) => At::Switch01(leave),
        }
    }

    /// KVM_REQ_HV_TLB_FLUSH.
    fn hyperv(&mut self) -> At {
        if self.vcpu.requests.hyperv {
            self.vcpu.requests.hyperv = false;
            At::Drain
        } else {
            At::Steal
        }
    }

    /// E10 (`nested_tlb::hv_drain::flush_queued`).
    fn drain(&mut self) -> At {
        if !self.machine.rules.ept() {
            self.discard();
            return At::FlushGuest(Then::Load);
        }
        let empty = !self.take();
        if !self.out(Rule::E10) {
            match self.machine.rules.drain(empty) {
                Drain::Everything => self.execute(self.machine.rules.guest(self.current_vpid())),
                Drain::Pages if empty => (),
                Drain::Pages => self.execute(self.machine.rules.address(self.current_vpid())),
            }
        }
        At::Steal
    }

    /// X8 (`Hyperv::learn_identity`).
    pub(crate) fn learn_identity(&mut self) {
        if self.vcpu.ids == Ids::Unknown && self.vcpu.mapped != 0 {
            self.vcpu.ids = Ids::Vm(self.config().context(self.vcpu.ctx).vm);
        }
    }

    /// `nested_tlb::hv_drain::take`: whether something was queued.
    fn take(&mut self) -> bool {
        self.learn_identity();
        let uses = self.vcpu.uses_vpid(self.config());
        let level = self.vcpu.level();

        let taken = std::mem::take(self.vcpu.queue(level));
        if self.machine.rules.leaves_vpid02_stale(uses, !taken) {
            self.vcpu.last_vpid = 0;
        }
        taken
    }

    /// `nested_tlb::hv_drain::discard`.
    fn discard(&mut self) {
        self.take();
        if self.out(Rule::H8) {
            let level = self.vcpu.level().other();
            *self.vcpu.queue(level) = false;
        }
        if !self.machine.rules.ept() {
            let level = self.vcpu.level().other();
            *self.vcpu.queue(level) = false;
            let uses = self.vcpu.uses_vpid(self.config());
            let vpid = self.machine.rules.vpid_of_other_level(
                uses,
                self.vcpu.vpid01(),
                self.vcpu.vpid02(),
            );
            self.execute(self.machine.rules.context(vpid));
        }
    }

    /// KVM_REQ_STEAL_UPDATE (`record_steal_time`, `nested_tlb::flush::steal_time`).
    fn steal(&mut self) -> At {
        if !std::mem::take(&mut self.vcpu.requests.steal) {
            return At::LoadRoot;
        }
        let current = self.current_vpid();
        let vpid01 = self.vcpu.vpid01();

        self.vcpu.steal = false;
        self.execute(self.machine.rules.l1_flush_while_in_l2(current, vpid01));
        if self
            .machine
            .rules
            .l1_flush_concerns_running_guest(current, vpid01, self.options)
        {
            At::FlushGuest(Then::Load)
        } else {
            At::LoadRoot
        }
    }

    fn eptp12_bit(&self) -> Option<u8> {
        let eptp12 = self.config().context(self.vcpu.ctx).eptp12;

        (self.vcpu.l2 && eptp12 != 0).then(|| eptp12 - 1)
    }

    fn has_root(&self) -> bool {
        self.eptp12_bit()
            .is_none_or(|bit| self.vcpu.roots & 1 << bit != 0)
    }

    /// `kvm_mmu_reload`. KVM's tables for L1's EPT are synced when their root is loaded, and it is
    /// flushed (H10). A root that is kept is neither (H11).
    fn load_root(&mut self) -> At {
        if let Some(bit) = self.eptp12_bit().filter(|_| !self.has_root()) {
            self.vcpu.roots |= 1 << bit;
            if let Some(old) = self.old_tables.get_mut(usize::from(bit)) {
                *old = 0;
            }
            if !self.out(Rule::H10) {
                self.flush_current();
            }
        }
        At::Last
    }

    /// The last look at the requests, and VM entry.
    fn last(&mut self) -> At {
        if self.vcpu.requests.any() {
            At::Host
        } else if self.vcpu.refused {
            self.vcpu.refused = false;
            At::LocalCurrent(Then::Leave(Leave::Refused))
        } else {
            At::Guest
        }
    }

    /// The guest exits.
    pub(crate) fn exit(&mut self) {
        self.vcpu.at = At::Host;
    }

    /// INVLPG or MOV to CR3: the CPU itself invalidates the current VPID's linear and combined
    /// mappings, for all EP4TAs.
    pub(crate) fn own_flush(&mut self) {
        let vpid = Vpid::new(u16::from(self.vcpu.hardware_vpid()));

        self.execute(vpid.map(Invalidation::InvvpidSingle));
    }

    /// The root of an EPT pointer of L1's.
    pub(crate) fn root_of(eptp12: u8) -> u8 {
        ROOT_EPT12 + eptp12 - 1
    }

    /// A flush call is queued.
    pub(crate) fn push(&mut self, level: Level) {
        *self.vcpu.queue(level) = true;
    }
}
