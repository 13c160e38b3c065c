// SPDX-License-Identifier: GPL-2.0

//! Nested VM entries and VM exits.

use super::Thread;
use crate::{
    policy::{
        options::Options,
        types::{
            Level,
            Request, //
        },
    },
    rules::Rule,
    vcpu::{
        At,
        Fail,
        Ids,
        Leave,
        Then, //
    },
};

impl Thread<'_> {
    // nested_vmx_run.

    /// L1 executes VMPTRLD, and VMLAUNCH or VMRESUME.
    pub(crate) fn run_nested(&mut self, ctx: u8, fail: Fail) -> At {
        if self.config().context(ctx).evmcs != 0 {
            return At::MapEvmcs(ctx, fail);
        }
        // VMPTRLD; or, in one VMCS, VMWRITE of the primary controls, a shadowed field.
        if self.config().one_vmcs && self.vcpu.ctx != 0 {
            self.vcpu.ctx = ctx;
        }
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
    pub(super) fn map_evmcs(&mut self, ctx: u8, fail: Fail) -> At {
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
    pub(super) fn copy_ids(&mut self, ctx: u8, fail: Fail) -> At {
        self.set_ids(Ids::Vm(self.config().context(ctx).vm));
        At::LocalCurrent(Then::Enter(fail))
    }

    /// `nested_set_evmcs_ids`, `nested_tlb::history::ids_changed`.
    fn set_ids(&mut self, ids: Ids) {
        let changed = self.vcpu.ids != ids;

        self.vcpu.ids = ids;
        if changed && !self.out(Rule::X6Ids) {
            // Vcpu::hide_owner_in_use, Vcpu::forget_last_vpid.
            self.vcpu.unused_owner = if self.options.parks() {
                self.owner_in_use()
            } else {
                0
            };
            self.vcpu.last_vpid = 0;
        }
    }

    /// `nested_release_evmcs`.
    pub(super) fn release_evmcs(&mut self) {
        self.vcpu.mapped = 0;
        if self.config().hyperv {
            self.set_ids(Ids::Vm(0));
        }
    }

    /// `nested_release_vmcs12`, V18 (`nested_tlb::instructions::vmcs12_released`).
    pub(super) fn release_vmcs12(&mut self) {
        let kept = self.options.has(Options::KEEP_ROOTS);

        if self.vcpu.ctx != 0 && self.vcpu.mapped == 0 && !kept {
            self.vcpu.roots = 0;
        }
    }

    // nested_vmx_enter_non_root_mode.

    /// `vmx_switch_vmcs`, `prepare_vmcs02_early`.
    pub(super) fn switch_to_vmcs02(&mut self, fail: Fail) -> At {
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
    pub(super) fn enter(&mut self, fail: Fail) -> At {
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
    pub(super) fn switch_to_vmcs01(&mut self, leave: Leave) -> At {
        self.vcpu.l2 = false;
        self.load_vmcs(false);
        if leave == Leave::Refused {
            return At::Host;
        }
        self.check_hyperv_queue(Level::L1);
        // nested_tlb::history::exit.
        let failed = leave == Leave::Failed;
        let records =
            (self.options.parks() || self.records_without_pairs()) && self.vcpu.vpid02 != 0;
        if self.config().hyperv && records && self.vpid12().is_some() && !failed {
            self.vcpu.seen = (true, self.under_way);
            return At::Rest;
        }
        self.flush_on_exit(failed);
        At::Host
    }

    /// `nested_tlb::history::exit` records while the options are off, unless the hook is C's.
    fn records_without_pairs(&self) -> bool {
        self.config().slots > 1 && !self.in_c && !self.out(Rule::V14Exits)
    }

    /// `nested_tlb::transition::flush_on_exit`.
    pub(super) fn flush_on_exit(&mut self, entry_failed: bool) {
        let uses_vpid = self.vpid12().is_some();
        let rules = self.machine.rules;
        let vpid02 = self.vcpu.vpid02();
        let required = rules.required_on_exit(uses_vpid, vpid02, self.options, entry_failed);

        self.vcpu.requests.add(required);
    }
}
