// SPDX-License-Identifier: GPL-2.0

//! What KVM and the module's hooks do, a step at a time. This is a short mirror of C and of
//! `rust_kvm_nvmx/nested_tlb`; each step names the function that it stands for. What is decided is
//! asked of [`crate::rules`].

use crate::{
    config::Config,
    machine::Machine,
    policy::{
        flush::All,
        history::{
            Calls,
            Choice,
            Parked,
            Rest, //
        },
        hv_ranges::Drain,
        invalidate::{
            VpidScope,
            Where,
            EPT_SINGLE, //
        },
        options::Options,
        types::{
            Eptp,
            Invalidation,
            Level,
            Request,
            Root,
            Vpid, //
        },
    },
    rules::Rule,
    state::{
        At,
        Count,
        Fail,
        FreeVpids,
        Hooks,
        Ids,
        Known,
        Leave,
        State,
        Then,
        Vcpu, //
    },
    tlb::{
        Tlb,
        ROOT_EPT12, //
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
                .with(Options::L1_FLUSH_ALONE, config.l1_flush_alone),
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

    /// KVM_REQ_TLB_FLUSH (`kvm_vcpu_flush_tlb_all`, `nested_tlb::flushes::all`).
    fn all(&mut self) -> At {
        if self.vcpu.requests.all {
            self.vcpu.requests.all = false;
            self.vcpu.requests.current = false;
            match self.machine.rules.all() {
                All::Nothing => (),
                All::Once(invalidation) => self.execute(Some(invalidation)),
                All::Each => {
                    self.execute(self.machine.rules.each(self.vcpu.vpid01()));
                    self.execute(self.machine.rules.each(self.vcpu.vpid02()));
                }
            }
        }
        At::LocalCurrent(Then::Hyperv)
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

    /// H2 (`nested_tlb::flushes::current`).
    fn flush_current(&mut self) {
        let root = self.vcpu.root(self.config());
        let root = if !self.config().ept {
            Root::Shadow
        } else if self.has_root() {
            Root::Ept(Eptp(u64::from(root) << 12))
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

    /// H4 (`kvm_vcpu_flush_tlb_guest`, `nested_tlb::flushes::guest`), and whether to purge
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

    /// KVM_REQ_STEAL_UPDATE (`record_steal_time`, `nested_tlb::flushes::steal_time`).
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

    // nested_vmx_run.

    /// L1 executes VMPTRLD, and VMLAUNCH or VMRESUME.
    pub(crate) fn run_nested(&mut self, ctx: u8, fail: Fail) -> At {
        if self.config().context(ctx).evmcs != 0 {
            return At::MapEvmcs(ctx, fail);
        }
        // VMPTRLD.
        if self.vcpu.ctx != ctx || self.vcpu.mapped != 0 {
            self.release_vmcs12();
            self.vcpu.ctx = ctx;
            self.vcpu.dirty = true;
        }
        self.vcpu.mapped = 0;
        // nested_vmx_handle_enlightened_vmptrld: no enlightened VMCS.
        self.release_evmcs();
        At::LocalCurrent(Then::Enter(fail))
    }

    /// `nested_vmx_handle_enlightened_vmptrld`. The ids of the old one stay until the new ones are
    /// copied.
    fn map_evmcs(&mut self, ctx: u8, fail: Fail) -> At {
        let context = self.config().context(ctx);
        let old = self.config().context(self.vcpu.ctx);

        if self.vcpu.mapped == context.evmcs {
            let same_ids = old.vm == context.vm;
            self.vcpu.ctx = ctx;
            // L1 says which fields are clean. Ids that have changed are not.
            if same_ids && self.vcpu.ids != Ids::Unknown {
                return At::LocalCurrent(Then::Enter(fail));
            }
            return At::CopyIds(ctx, fail);
        }
        if self.vcpu.mapped == 0 {
            self.release_evmcs();
        }
        self.vcpu.mapped = context.evmcs;
        self.vcpu.ctx = ctx;
        At::CopyIds(ctx, fail)
    }

    /// `copy_enlightened_to_vmcs12`.
    fn copy_ids(&mut self, ctx: u8, fail: Fail) -> At {
        self.set_ids(Ids::Vm(self.config().context(ctx).vm));
        At::LocalCurrent(Then::Enter(fail))
    }

    /// `nested_set_evmcs_ids`, `nested_tlb::evmcs_ids_changed`.
    fn set_ids(&mut self, ids: Ids) {
        let changed = self.vcpu.ids != ids;

        self.vcpu.ids = ids;
        if changed && !self.out(Rule::X6Ids) {
            // Vcpu::hide_owner_in_use.
            if self.options.parks() {
                self.vcpu.unused_owner = self.owner_in_use();
            }
            self.vcpu.last_vpid = 0;
        }
    }

    /// `nested_release_evmcs`.
    fn release_evmcs(&mut self) {
        self.vcpu.mapped = 0;
        if self.config().hyperv {
            self.set_ids(Ids::Vm(0));
        }
    }

    /// `nested_release_vmcs12`, V18 (`nested_tlb::instructions::vmcs12_released`).
    fn release_vmcs12(&mut self) {
        let kept = self.options.has(Options::KEEP_ROOTS);

        if self.vcpu.ctx != 0 && self.vcpu.mapped == 0 && !kept {
            self.vcpu.roots = 0;
        }
    }

    /// L1 executes VMCLEAR of what is current.
    pub(crate) fn vmclear(&mut self) {
        if self.vcpu.mapped != 0 {
            self.release_evmcs();
        } else {
            self.release_vmcs12();
        }
        self.vcpu.ctx = 0;
    }

    // nested_vmx_enter_non_root_mode.

    /// `vmx_switch_vmcs`, `prepare_vmcs02_early`.
    fn switch_to_vmcs02(&mut self, fail: Fail) -> At {
        self.vcpu.l2 = true;
        self.load_vmcs(false);
        if fail == Fail::Early {
            if self.out(Rule::V2) && self.vpid12().is_some() {
                let _lost = self.flush_on_entry(self.vcpu.dirty);
            }
            self.vcpu.turn = 0;
            return At::Switch01(Leave::Failed);
        }
        At::Enter(fail)
    }

    /// `prepare_vmcs02`, `nested_tlb::transition::enter`.
    fn enter(&mut self, fail: Fail) -> At {
        let dirty = self.vcpu.dirty || self.vcpu.mapped != 0;

        self.vcpu.dirty = false;
        self.check_hyperv_queue(Level::L2);
        let required = self.flush_on_entry(dirty);
        self.vcpu.requests.add(required);
        self.vcpu.turn = 0;
        match fail {
            Fail::Late if self.out(Rule::T9After) => At::Switch01(Leave::Failed),
            Fail::Late => At::LocalCurrent(Then::Leave(Leave::Failed)),
            Fail::No | Fail::Early | Fail::Refused => {
                self.vcpu.refused = fail == Fail::Refused;
                At::Host
            }
        }
    }

    fn vpid12(&self) -> Option<u8> {
        Some(self.config().context(self.vcpu.ctx).vpid12).filter(|&vpid12| vpid12 != 0)
    }

    /// `nested_tlb::transition::flush_on_entry`, with the write of the VPID that it returns.
    fn flush_on_entry(&mut self, dirty: bool) -> Option<Request> {
        let rules = &self.machine.rules;
        let vpid12 = self.vpid12().map(u16::from);
        let new_owner = rules.new_owner(vpid12, self.vcpu.last_vpid.into());

        if let (Some(_), Some(vpid12)) = (new_owner, self.vpid12()) {
            // nested_tlb::history::is_on.
            if self.options.parks() && self.vcpu.vpid02 != 0 {
                let required = self.enter_pair(vpid12);
                if dirty || !self.out(Rule::V3) {
                    self.vcpu.vmcs02_vpid = self.vcpu.vpid02;
                }
                return required.filter(|_| !self.out(Rule::T4));
            }
            self.vcpu.last_vpid = vpid12;
        }
        let required = rules.required_on_entry(vpid12, new_owner, self.vcpu.vpid02());
        if rules.must_write_vpid(dirty) && !(self.out(Rule::T8) && self.vcpu.vmcs02_vpid != 0) {
            self.vcpu.vmcs02_vpid = self.current_vpid().map_or(0, |vpid| vpid.get() as u8);
        }
        required
    }

    // nested_tlb::history.

    /// `history::enter`: the request that is required.
    fn enter_pair(&mut self, vpid12: u8) -> Option<Request> {
        let rules = self.machine.rules;
        let ids = self.l2_is_named();
        let named = Known::named(ids);
        let now = Calls::of(Count::NOW << 16 | u64::from(self.under_way), 0);

        let kept = match self.use_pair(vpid12) {
            Pair::Kept(known) => rules.missed_nothing(known.rest(), named, now),
            Pair::Unflushed => true,
            Pair::Other => false,
        };
        // Vcpu::set_owner_in_use.
        self.vcpu.last_vpid = vpid12;
        self.vcpu.unused_owner = 0;
        self.vcpu.rest = Known::new(ids, Rest::running(named));
        (!kept).then_some(Request::Guest)
    }

    fn owner_in_use(&self) -> u8 {
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
    fn invvpid_of_parked(&mut self, scope: VpidScope, here: bool) {
        let rules = self.machine.rules;

        for number in 0..self.vcpu.parked.len() {
            let Some(pair) = self.vcpu.parked.get_mut(number) else {
                continue;
            };
            match (rules.invvpid_of_parked(scope, pair.1, here), scope) {
                (Parked::Nothing, _) => (),
                (Parked::FlushAddress, VpidScope::Address(..)) => {
                    let vpid = Vpid::new(pair.0.into());
                    self.execute(rules.address(vpid));
                }
                (Parked::FlushAddress | Parked::Forget, _) => pair.1 = 0,
            }
        }
    }

    /// T1 (`nested_tlb::transition::check_hyperv_queue`).
    fn check_hyperv_queue(&mut self, level: Level) {
        let is_empty = !*self.vcpu.queue(level);

        if self
            .machine
            .rules
            .must_check_hyperv_queue(self.config().hyperv, self.options, is_empty)
        {
            self.vcpu.requests.hyperv = true;
        }
    }

    // __nested_vmx_vmexit.

    /// `vmx_switch_vmcs`, `load_vmcs12_host_state`, `nested_tlb::transition::exit`.
    fn switch_to_vmcs01(&mut self, leave: Leave) -> At {
        self.vcpu.l2 = false;
        self.load_vmcs(false);
        if leave == Leave::Refused {
            return At::Host;
        }
        self.check_hyperv_queue(Level::L1);
        // nested_tlb::history::exit.
        let failed = leave == Leave::Failed;
        let parks = self.options.parks() && self.vcpu.vpid02 != 0;
        if self.config().hyperv && parks && self.vpid12().is_some() && !failed {
            self.vcpu.seen = (true, self.under_way);
            return At::Rest;
        }
        self.flush_on_exit(failed);
        At::Host
    }

    /// `nested_tlb::history::exit`, V8, V9: the counts were read, now the queue is looked at.
    fn rest(&mut self) -> At {
        let ids = self.l2_is_named();
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

    /// What flush calls of other vCPUs name L2 by (`Vcpu::l2_is_named`).
    fn l2_is_named(&self) -> Option<Ids> {
        (self.vcpu.mapped != 0).then_some(self.vcpu.ids)
    }

    /// `nested_tlb::transition::flush_on_exit`.
    fn flush_on_exit(&mut self, entry_failed: bool) {
        let uses_vpid = self.vpid12().is_some();
        let rules = self.machine.rules;
        let vpid02 = self.vcpu.vpid02();
        let required = rules.required_on_exit(uses_vpid, vpid02, self.options, entry_failed);

        self.vcpu.requests.add(required);
    }

    /// L2's VMFUNC to another EPT pointer (`nested_vmx_eptp_switching`,
    /// `nested_tlb::transition::vmfunc`).
    pub(crate) fn vmfunc(&mut self, ctx: u8) {
        let uses_vpid = self.config().context(ctx).vpid12 != 0;

        self.vcpu.ctx = ctx;
        if self.machine.rules.vmfunc_requires_guest_flush(uses_vpid) {
            self.vcpu.requests.guest = true;
        }
    }

    // L1's instructions.

    /// T6 (`nested_tlb::instructions::invvpid`).
    pub(crate) fn invvpid(&mut self, kind: u64, vpid12: u8) {
        let rules = self.machine.rules;
        let Some(scope) = rules.vpid_scope(kind, [vpid12.into(), 0]) else {
            return;
        };
        let vpid = rules.current_vpid(Some(true), self.vcpu.vpid01(), self.vcpu.vpid02());
        let number = |cpu: Option<u8>| cpu.map_or(-1, i32::from);
        let place = rules.where_vpid02_is(number(self.vcpu.cpu), number(self.vcpu.cpu02));

        // V5. C's code knows no pairs.
        if self.options.parks() && self.vcpu.vpid02 != 0 && !self.in_c {
            self.invvpid_of_parked(scope, self.vcpu.cpu == self.vcpu.cpu02);
            if !rules.concerns_pair_in_use(scope, self.owner_in_use()) {
                return;
            }
        }
        match place {
            Some(Where::Now) => self.execute(match scope {
                VpidScope::Address(..) => rules.address(vpid),
                VpidScope::Context(_) | VpidScope::All => rules.context(vpid),
            }),
            Some(Where::AtNextEntry) => self.vcpu.last_vpid = 0,
            None => (),
        }
    }

    /// T13 (`nested_tlb::instructions::invept`).
    pub(crate) fn invept(&mut self, kind: u64, eptp12: u8) {
        if self.out(Rule::T13) {
            return;
        }
        // L1's pointers are at addresses that differ in EP4TA; the low bits do not matter.
        let eptp = |eptp12: u8| u64::from(eptp12) << 12;

        for bit in 0..2 {
            if self.out(Rule::V18) && self.config().context(self.vcpu.ctx).eptp12 != bit + 1 {
                continue;
            }
            let kept = eptp(bit + 1) | 0x5e;
            if kind != EPT_SINGLE || self.machine.rules.same_ept(kept, eptp(eptp12) | 0x1e) {
                self.vcpu.roots &= !(1 << bit);
            }
        }
    }

    /// `enter_vmx_operation`.
    pub(crate) fn vmxon(&mut self) {
        self.vcpu.vmxon = true;
        self.vcpu.cpu02 = None;
        self.vcpu.vmcs02_vpid = 0;
        self.vcpu.vpid02 = self.free_vpids.allocate();
        if !self.out(Rule::T12) {
            self.vcpu.last_vpid = 0;
        }
        self.vcpu.unused_owner = 0;
        self.vcpu.rest = Known::UNKNOWN;
    }

    /// `free_nested`. C does not clear the field.
    pub(crate) fn vmxoff(&mut self) {
        self.vcpu.vmxon = false;
        self.free_vpids.free(self.vcpu.vpid02);
        for &(vpid, _, _) in &self.vcpu.parked {
            self.free_vpids.free(vpid);
        }
        if !self.out(Rule::V13) {
            self.vcpu.parked.clear();
        }
        self.vcpu.ctx = 0;
        self.vcpu.roots = 0;
        self.release_evmcs();
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
