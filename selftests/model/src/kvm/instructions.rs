// SPDX-License-Identifier: GPL-2.0

//! VMX instructions of L1, and L2's VMFUNC.

use super::Thread;
use crate::{
    policy::invalidate::{
        VpidScope,
        Where,
        EPT_SINGLE, //
    },
    rules::Rule,
    vcpu::Known,
};

impl Thread<'_> {
    /// L1 executes VMCLEAR of what is current.
    pub(crate) fn vmclear(&mut self) {
        if self.vcpu.mapped != 0 {
            self.release_evmcs();
        } else {
            self.release_vmcs12();
        }
        self.vcpu.ctx = 0;
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
}
