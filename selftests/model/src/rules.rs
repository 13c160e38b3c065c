// SPDX-License-Identifier: GPL-2.0

//! The rules as the model asks them. Each can be taken out: then the answer is what it would be if
//! the rule did not exist. The answers themselves are those of `rust_kvm_nvmx/policy`.

use crate::listed::listed;
use crate::policy::{
    flush::{
        self,
        All,
        OwnRoots, //
    },
    history::{
        self,
        Calls,
        Choice,
        Named,
        Parked,
        Rest, //
    },
    hv_call::Targets,
    hv_l2::{
        self,
        Identity, //
    },
    hv_ranges::{
        self,
        Drain, //
    },
    invalidate::{
        self,
        VpidScope,
        Where, //
    },
    options::Options,
    transition,
    types::{
        Caps,
        Gva,
        Invalidation,
        Request,
        Root,
        Vpid, //
    },
};

listed! {
    /// What can be taken out: rules of the module, and rules of C that it relies on.
    Rule:
    H1 "flush of everything: executes nothing"
    H2 "flush of the current root: executes nothing"
    H4 "flush of the guest's own translations: executes nothing"
    H5 "the current VPID: vpid01, whoever runs"
    H8 "purge: of the other level's queue, too"
    H9 "vCPU last on another CPU, or vmcs02 is new: no flush"
    H10 "newly loaded root: no flush"
    H14 "remote flush: no request"
    T1 "transition: does not ask for the other level's queue"
    T2Entry "entry without VPID: no flush"
    T2Exit "exit without VPID: no flush"
    T4 "entry with another vpid12: no flush"
    T5 "L2 without a tag of its own: no flush"
    T6 "INVVPID of L1: nothing"
    T6OtherCpu "INVVPID of L1 with vmcs02 on another CPU: nothing"
    T8 "VPID of vmcs02: never written after the first time"
    T9Before "requests before the entry: not handled as L1"
    T9After "requests after a failed entry: not handled as L2"
    T10 "requests after a VM exit or a refused entry: not handled as L2"
    T11 "VMFUNC without VPID: no flush"
    T12 "VMXON: last_vpid stays"
    T13 "INVEPT of L1: frees no roots"
    E8 "L2's call: finds no target"
    E10 "a queue with entries: nothing is flushed"
    E16 "the sender does not wait"
    X3 "L1's PV flush while L2 runs: the running guest only"
    X6Ids "change of L2's ids: last_vpid stays"
    X6NoVpid "an L2 without VPID takes L2's queue: last_vpid stays"
    X8 "unknown ids: no target"
    V1 "another vpid12: the first parked pair is taken without a flush, whoever owns it"
    V2 "the pair changes before the last check that can fail, its flush is requested after"
    V3 "vmcs02's VPID is written only if vmcs12 is dirty"
    V4 "a VPID that was just allocated has the new owner: no flush"
    V4Take "a pair that is taken from its owner: no flush"
    V5 "INVVPID of L1: parked pairs are left alone"
    V5OtherCpu "INVVPID of L1 with vmcs02 on another CPU: parked pairs are left alone"
    V6 "change of CPU: only vpid01 and the VPID in use are flushed"
    V7 "pairs also without EPT"
    V8 "L2's queue is not looked at when L2 leaves"
    V9 "calls are not compared when L2 comes back"
    V9UnderWay "calls that are under way when L2 leaves are not looked at"
    V10 "the ids are not compared when L2 comes back"
    V13 "parked VPIDs stay with the vCPU after VMXOFF, which frees them"
    V14Flush "hooks become Rust's: no request to flush everything"
    V14Order "hooks become C's before the options are off"
    V14Exits "VM exits are not recorded while the options are off"
    V16 "VM exit without VPID: no flush, also without EPT"
    V16NoVpid02 "VM exit without VPID: no flush, also if there is no vpid02"
    V18 "INVEPT of L1 frees only the root in use"
    V19 "after a time without pairs: a vpid12 may own two"
    V23 "L1's PV flush while L2 runs: never the running guest"
    V25Kept "flush of everything: the roots that are kept for later are left alone"
    V25Other "flush of everything: the roots of the level that does not run are left alone"
    X9 "without EPT: the other level is not flushed"
    X11 "VPID of vmcs02: written only if vmcs12 is dirty"
}

/// The rules, less the one that is taken out.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub(crate) caps: Caps,
    pub out: Option<Rule>,
}

/// A LIST call's only entry: one page at address 0.
const ENTRY: u64 = 0;

impl Rules {
    pub(crate) fn new(ept: bool, invvpid_all: bool) -> Self {
        let caps = [
            (Caps::EPT, ept),
            (Caps::VPID, true),
            (Caps::INVEPT_SINGLE, true),
            (Caps::INVVPID_ADDRESS, true),
            (Caps::INVVPID_SINGLE, true),
            (Caps::INVVPID_ALL, invvpid_all),
        ]
        .into_iter()
        .fold(Caps::NONE, |caps, (cap, on)| caps.with(cap, on));

        Self { caps, out: None }
    }

    pub fn is_out(&self, rule: Rule) -> bool {
        self.out == Some(rule)
    }

    pub fn ept(&self) -> bool {
        self.caps.has(Caps::EPT)
    }

    // Flushes that KVM asks for.

    pub(crate) fn all(&self, options: Options) -> All {
        if self.is_out(Rule::H1) {
            return All::Nothing;
        }
        if self.is_out(Rule::V6) {
            return All::Each;
        }
        flush::all(self.caps, options)
    }

    pub(crate) fn own_roots(&self, roots: impl Iterator<Item = Root>) -> OwnRoots {
        let mut own = OwnRoots::default();

        roots.for_each(|root| own.add(root));
        own
    }

    pub(crate) fn each(&self, vpid: Option<Vpid>) -> Option<Invalidation> {
        flush::each(vpid)
    }

    pub(crate) fn current(&self, root: Root, vpid: Option<Vpid>) -> Option<Invalidation> {
        if self.is_out(Rule::H2) {
            return None;
        }
        flush::current(self.caps, root, || vpid)
    }

    pub(crate) fn address(&self, vpid: Option<Vpid>) -> Option<Invalidation> {
        flush::address(self.caps, vpid, Gva(ENTRY))
    }

    pub(crate) fn guest(&self, vpid: Option<Vpid>) -> Option<Invalidation> {
        if self.is_out(Rule::H4) {
            return None;
        }
        flush::context(self.caps, vpid)
    }

    pub(crate) fn context(&self, vpid: Option<Vpid>) -> Option<Invalidation> {
        flush::context(self.caps, vpid)
    }

    pub(crate) fn l1_flush_while_in_l2(
        &self,
        current: Option<Vpid>,
        vpid01: Option<Vpid>,
    ) -> Option<Invalidation> {
        if self.is_out(Rule::X3) {
            return None;
        }
        flush::l1_flush_while_in_l2(self.caps, current, vpid01)
    }

    pub(crate) fn l1_flush_concerns_running_guest(
        &self,
        current: Option<Vpid>,
        vpid01: Option<Vpid>,
        options: Options,
    ) -> bool {
        flush::l1_flush_concerns_running_guest(self.caps, current, vpid01, options)
            && !self.is_out(Rule::V23)
    }

    pub(crate) fn current_vpid(
        &self,
        vmcs12_uses_vpid: Option<bool>,
        vpid01: Option<Vpid>,
        vpid02: Option<Vpid>,
    ) -> Option<Vpid> {
        let uses = vmcs12_uses_vpid.filter(|_| !self.is_out(Rule::H5));

        flush::current_vpid(uses, || vpid01, || vpid02)
    }

    // Transitions.

    pub(crate) fn must_check_hyperv_queue(
        &self,
        has_hyperv: bool,
        options: Options,
        is_empty: bool,
    ) -> bool {
        !self.is_out(Rule::T1)
            && transition::must_check_hyperv_queue(has_hyperv, self.caps, || options, || is_empty)
    }

    pub(crate) fn new_owner(&self, vpid12: Option<u16>, last_vpid: u16) -> Option<u16> {
        transition::new_owner(vpid12, last_vpid)
    }

    pub(crate) fn required_on_entry(
        &self,
        vpid12: Option<u16>,
        new_owner: Option<u16>,
        vpid02: Option<Vpid>,
    ) -> Option<Request> {
        let new_owner = new_owner.filter(|_| !self.is_out(Rule::T4));
        let required = transition::required_on_entry(vpid12, new_owner, || vpid02, self.caps);

        self.without_t2_t5(vpid12.is_some(), Rule::T2Entry, required)
    }

    pub(crate) fn required_on_exit(
        &self,
        uses_vpid: bool,
        vpid02: Option<Vpid>,
        options: Options,
        entry_failed: bool,
    ) -> Option<Request> {
        let caps = self.caps.with(Caps::EPT, self.is_out(Rule::V16));
        let vpid02 = || match vpid02 {
            None if self.is_out(Rule::V16NoVpid02) => Vpid::new(u16::MAX),
            vpid02 => vpid02,
        };
        let required =
            transition::required_on_exit(uses_vpid, vpid02, caps, || options, || entry_failed);

        self.without_t2_t5(uses_vpid, Rule::T2Exit, required)
    }

    fn without_t2_t5(
        &self,
        uses_vpid: bool,
        t2: Rule,
        required: Option<Request>,
    ) -> Option<Request> {
        required.filter(|&required| match required {
            Request::Guest => uses_vpid || !self.is_out(t2),
            Request::Current => !self.is_out(Rule::T5),
        })
    }

    pub(crate) fn must_write_vpid(&self, dirty: bool) -> bool {
        transition::must_write_vpid(self.caps) && (dirty || !self.is_out(Rule::X11))
    }

    pub(crate) fn vmfunc_requires_guest_flush(&self, uses_vpid: bool) -> bool {
        !self.is_out(Rule::T11) && transition::vmfunc_requires_guest_flush(uses_vpid)
    }

    // L1's instructions.

    pub(crate) fn vpid_scope(&self, kind: u64, operand: [u64; 2]) -> Option<VpidScope> {
        invalidate::vpid_scope(kind, operand, |_| true)
    }

    /// `None`: nothing is done.
    pub(crate) fn where_vpid02_is(&self, this_cpu: i32, cpu_of_vmcs02: i32) -> Option<Where> {
        if self.is_out(Rule::T6) {
            return None;
        }
        let answer = invalidate::where_vpid02_is(this_cpu, cpu_of_vmcs02);

        (answer == Where::Now || !self.is_out(Rule::T6OtherCpu)).then_some(answer)
    }

    /// Whether an INVVPID flushes the pair in use.
    pub(crate) fn concerns_pair_in_use(&self, scope: VpidScope, last_vpid: u8) -> bool {
        history::invvpid_concerns_pair_in_use(scope, last_vpid.into())
    }

    // Several VPIDs for L2s.

    /// The options that apply where a vCPU reads them.
    pub(crate) fn options(&self, options: Options) -> Options {
        if history::may_park(self.caps) || self.is_out(Rule::V7) {
            options
        } else {
            options.with_slots(1)
        }
    }

    /// The parked pair that `vpid12` owns.
    pub(crate) fn find(
        &self,
        vpid12: u8,
        owners: impl ExactSizeIterator<Item = u16>,
    ) -> Option<usize> {
        if self.is_out(Rule::V1) && owners.len() != 0 {
            return Some(0);
        }
        history::find(vpid12.into(), owners)
    }

    /// The parked pair that the owner of the pair in use owns, too.
    pub(crate) fn twin(&self, in_use: u8, owners: impl Iterator<Item = u16>) -> Option<usize> {
        history::twin(in_use.into(), owners).filter(|_| !self.is_out(Rule::V19))
    }

    /// Which pair an entry gets whose vpid12 owns none. `turn`: the parked pair that is taken if
    /// there is no other way.
    pub(crate) fn choose(
        &self,
        last_vpid: u8,
        owners: impl Iterator<Item = u16>,
        slots: usize,
        turn: u8,
    ) -> Choice {
        // The number of misses with which it is that pair's turn.
        let misses = u16::from(turn) * 8;
        let misses = if turn == 0 { 0 } else { misses - 1 };

        history::choose(last_vpid.into(), owners, slots, misses)
    }

    /// V8, V9: what a pair remembers when its L2 leaves the CPU.
    pub(crate) fn rest_at_exit(&self, named: Named, seen: Calls, queue_is_empty: bool) -> Rest {
        let seen = Calls {
            under_way: seen.under_way && !self.is_out(Rule::V9UnderWay),
            ..seen
        };

        Rest::at_exit(named, seen, queue_is_empty || self.is_out(Rule::V8))
    }

    /// V9, V10: whether a pair's translations are still right.
    pub(crate) fn missed_nothing(&self, rest: Rest, entering: Named, now: Calls) -> bool {
        let rest = if self.is_out(Rule::V10) {
            Rest::from_fields(entering, rest.calls())
        } else {
            rest
        };
        let now = match (self.is_out(Rule::V9), rest.calls()) {
            (true, count) => Calls { count, ..now },
            (false, _) => now,
        };

        rest.missed_nothing(entering, |_, _| now)
    }

    pub(crate) fn invvpid_of_parked(&self, scope: VpidScope, owner: u8, here: bool) -> Parked {
        if self.is_out(Rule::V5) || (self.is_out(Rule::V5OtherCpu) && !here) {
            return Parked::Nothing;
        }
        history::invvpid_of_parked(scope, owner.into(), here)
    }

    pub(crate) fn same_ept(&self, kept: u64, named: u64) -> bool {
        invalidate::same_ept(kept, named)
    }

    // Hyper-V's calls.

    pub(crate) fn is_target(&self, vm: u8, identity: Identity) -> bool {
        if self.is_out(Rule::E8) || (self.is_out(Rule::X8) && identity == Identity::Unknown) {
            return false;
        }
        hv_l2::is_target(u64::from(vm), &Targets::All, identity)
    }

    /// How a queue with one entry, or with none, is handled.
    pub(crate) fn drain(&self, empty: bool) -> Drain {
        let entries = [ENTRY];
        let entries = if empty { &[][..] } else { &entries[..] };

        hv_ranges::drain(entries, self.caps.has(Caps::INVVPID_ADDRESS))
    }

    pub(crate) fn leaves_vpid02_stale(&self, uses_vpid: Option<bool>, was_empty: bool) -> bool {
        !self.is_out(Rule::X6NoVpid) && hv_ranges::leaves_vpid02_stale(uses_vpid, was_empty)
    }

    pub(crate) fn vpid_of_other_level(
        &self,
        uses_vpid: Option<bool>,
        vpid01: Option<Vpid>,
        vpid02: Option<Vpid>,
    ) -> Option<Vpid> {
        hv_ranges::vpid_of_other_level(uses_vpid, vpid01, vpid02).filter(|_| !self.is_out(Rule::X9))
    }
}
