// SPDX-License-Identifier: GPL-2.0

//! L1's own INVVPID and INVEPT (T6, T13, V5), and what it keeps of its EPTs' roots (V18).

use crate::{
    kvm::{
        calls::Asked,
        hooks::Handled,
        mmu::{
            CachedRoot,
            RootSet, //
        },
        trace::{
            Insn,
            Outcome, //
        },
        vcpu::{
            Vcpu,
            WithSlots, //
        }, //
    },
    policy::{
        self,
        invalidate::{
            self,
            VpidScope,
            Where, //
        },
        options::Options,
        types::Caps, //
    },
};

use super::{
    flush,
    history, //
};

/// T6: L1 executes INVVPID.
#[inline(always)]
pub(super) fn invvpid(vcpu: WithSlots<'_>) -> Handled {
    if vcpu.traces_l1_invalidate() {
        return trace_invvpid(vcpu);
    }
    handle_invvpid(vcpu, |_, _| ())
}

/// Calls `decided` before it acts.
#[inline(always)]
fn handle_invvpid(vcpu: WithSlots<'_>, decided: impl FnOnce(&Asked, Outcome)) -> Handled {
    let asked = match vcpu.read_invvpid() {
        Ok(asked) => asked,
        Err(handled) => return handled,
    };
    let is_canonical = |gva| vcpu.is_canonical(gva);
    let Some(scope) = invalidate::vpid_scope(asked.kind, asked.operand, is_canonical) else {
        decided(&asked, Outcome::InvalidOperand);
        return vcpu.vm_fail_operand();
    };

    decided(&asked, flush_l2(*vcpu, scope));
    // Without EPT, L1 and L2 share an MMU context. Its roots have no VPIDs, so all of L2's are
    // freed.
    if !vcpu.caps().has(Caps::EPT) {
        vcpu.free_l2_roots();
    }
    vcpu.vm_succeed()
}

/// T6, V5: flushes the translations of L2s that are named. L1's own need no flush.
///
/// If this thread moves to another CPU meanwhile, all of them are flushed there (H9), and again
/// when it comes back to this one.
#[inline(always)]
fn flush_l2(vcpu: Vcpu<'_>, scope: VpidScope) -> Outcome {
    let place = invalidate::where_vpid02_is(vcpu.cpu(), vcpu.cpu_of_vmcs02());

    if history::is_on(vcpu) {
        history::invvpid_of_parked(vcpu, scope, place == Where::Now);
        if !policy::history::invvpid_concerns_pair_in_use(scope, vcpu.owner_in_use()) {
            return Outcome::NotInUse;
        }
    }
    flush_pair_in_use(vcpu, scope, place)
}

/// T6: flushes the VPID that L2 has, or would have if it ran. Without pairs to tell them apart, all
/// of L1's VPIDs share it.
#[inline(always)]
fn flush_pair_in_use(vcpu: Vcpu<'_>, scope: VpidScope, place: Where) -> Outcome {
    let caps = vcpu.caps();
    let vpid = policy::flush::current_vpid(Some(true), || vcpu.vpid01(), || vcpu.vpid02());

    match place {
        Where::Now => {
            flush::execute(
                vcpu,
                match scope {
                    VpidScope::Address(_, gva) => policy::flush::address(caps, vpid, gva),
                    VpidScope::Context(_) | VpidScope::All => policy::flush::context(caps, vpid),
                },
            );
            Outcome::FlushHere
        }
        Where::AtNextEntry => {
            vcpu.forget_last_vpid();
            Outcome::FlushOnEntry
        }
    }
}

/// T13: L1 executes INVEPT.
#[inline(always)]
pub(super) fn invept(vcpu: WithSlots<'_>) -> Handled {
    if vcpu.traces_l1_invalidate() {
        return trace_invept(vcpu);
    }
    handle_invept(vcpu, |_, _| ())
}

/// KVM's roots for L1's EPT are stale, and are freed. Nothing is executed here, because a root is
/// flushed when it is loaded (H10).
#[inline(always)]
fn handle_invept(vcpu: WithSlots<'_>, decided: impl FnOnce(&Asked, Outcome)) -> Handled {
    let asked = match vcpu.read_invept() {
        Ok(asked) => asked,
        Err(handled) => return handled,
    };
    let [eptp, _] = asked.operand;

    let roots = if asked.kind == invalidate::EPT_SINGLE {
        if !vcpu.is_valid_eptp12(eptp) {
            decided(&asked, Outcome::InvalidOperand);
            return vcpu.vm_fail_operand();
        }
        roots_of(*vcpu, eptp)
    } else if has_roots(*vcpu) {
        RootSet::ALL
    } else {
        RootSet::default()
    };
    if roots.is_empty() {
        decided(&asked, Outcome::NoRoot);
    } else {
        decided(&asked, Outcome::FreeRoots);
        vcpu.free_guest_mmu_roots(roots);
    }
    vcpu.vm_succeed()
}

/// V18: L1 leaves a VMCS by VMPTRLD of another one, or by VMCLEAR. Neither is among the operations
/// that invalidate mappings (SDM, "Operations that Invalidate Cached Mappings"), and L1's INVEPT
/// finds the roots of EPTs that are not in use, too. C drops them all the same.
#[inline(always)]
pub(super) fn vmcs12_released(vcpu: WithSlots<'_>) {
    if vcpu.options().has(Options::KEEP_ROOTS) {
        vcpu.keep_more_roots();
    } else {
        vcpu.free_guest_mmu_roots(RootSet::ALL);
    }
}

/// T13: KVM keeps a root for any EPT pointer of L1's. They are in the context for an L2 with EPT,
/// whichever level is active.
#[inline(always)]
fn has_roots(vcpu: Vcpu<'_>) -> bool {
    let mmu = vcpu.guest_mmu();

    mmu.current().hpa().is_some() || mmu.previous().any(|root| root.hpa().is_some())
}

/// T13: the roots that KVM keeps for this EPT pointer of L1's.
#[inline(always)]
fn roots_of(vcpu: Vcpu<'_>, eptp: u64) -> RootSet {
    let mmu = vcpu.guest_mmu();
    let same =
        |root: CachedRoot<'_>| root.hpa().is_some() && invalidate::same_ept(root.pgd(), eptp);
    let mut roots = RootSet::default();

    roots.add_current(same(mmu.current()));
    for (number, root) in mmu.previous().enumerate() {
        roots.add_previous(number, same(root));
    }
    roots
}

#[cold]
#[inline(never)]
fn trace_invvpid(vcpu: WithSlots<'_>) -> Handled {
    handle_invvpid(vcpu, |asked, outcome| {
        trace(*vcpu, Insn::Invvpid, asked, outcome)
    })
}

#[cold]
#[inline(never)]
fn trace_invept(vcpu: WithSlots<'_>) -> Handled {
    handle_invept(vcpu, |asked, outcome| {
        trace(*vcpu, Insn::Invept, asked, outcome)
    })
}

fn trace(vcpu: Vcpu<'_>, insn: Insn, asked: &Asked, outcome: Outcome) {
    let [first, second] = asked.operand;

    vcpu.trace_l1_invalidate(|| (insn, asked.kind, first, second, outcome));
}
