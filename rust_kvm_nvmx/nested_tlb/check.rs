// SPDX-License-Identifier: GPL-2.0

//! What the hooks would do, without doing it: to compare with C, whose rules these are without
//! [`Options`].
//!
//! Each hook is here that decides from facts which are there before, and acts on its own vCPU: with
//! requests, INVVPID, INVEPT, the owner of vpid02, or an answer. Of a hypercall the result is
//! compared, but not its targets.
//!
//! None of it is inlined: it is asked in two places, and speed does not matter.

use kernel::ffi::c_ulong;

use super::{
    apic,
    flush,
    hv_l2,
    hv_send,
    transition,
    NestedTlb, //
};
use crate::{
    kvm::{
        hooks::{
            Answer,
            Ignored,
            NestedTlbChecks,
            VpidToWrite, //
        },
        hypercall::Hypercall,
        vcpu::{
            Vcpu,
            Vmcs12,
            WithSlots, //
        },
    },
    policy::{
        apic_access::Required,
        check::{
            Effects,
            Expected,
            Invalidations,
            Known,
            Requests, //
        },
        options::Options,
        roles,
        types::{
            Gva,
            Invalidation,
            Level,
            Request, //
        },
    },
};

/// No effect at all.
fn nothing(vcpu: Vcpu<'_>) -> Effects {
    Effects {
        last_vpid: vcpu.last_vpid(),
        ..Effects::default()
    }
}

fn requests(vcpu: Vcpu<'_>, request: Option<Request>) -> Effects {
    Effects {
        requests: Requests::from(request),
        ..nothing(vcpu)
    }
}

fn executes(vcpu: Vcpu<'_>, all: impl IntoIterator<Item = Invalidation>) -> Effects {
    Effects {
        invalidations: all.into_iter().collect(),
        ..nothing(vcpu)
    }
}

/// T1, with C's rule.
fn requests_hyperv(vcpu: Vcpu<'_>, level: Level) -> bool {
    transition::must_check_hyperv_queue(vcpu, level, || Options::STOCK)
}

impl NestedTlbChecks for NestedTlb {
    #[inline(never)]
    fn flush_tlb_all(vcpu: Vcpu<'_>) -> Expected {
        let mut effects = nothing(vcpu);

        flush::for_each_of_all(vcpu, Options::STOCK, |required| {
            effects.invalidations.add(Some(required));
        });
        Expected::Effects(effects, None)
    }

    #[inline(never)]
    fn flush_tlb_current(vcpu: Vcpu<'_>) -> Expected {
        Expected::Effects(executes(vcpu, flush::required_for_current(vcpu)), None)
    }

    #[inline(never)]
    fn flush_tlb_gva(vcpu: Vcpu<'_>, gva: Gva, _full: Ignored<*mut bool>) -> Expected {
        let required = flush::required_for_address(vcpu, gva);

        Expected::Effects(executes(vcpu, required), None)
    }

    #[inline(never)]
    fn flush_tlb_guest(vcpu: Vcpu<'_>) -> Expected {
        Expected::Effects(executes(vcpu, flush::required_for_guest(vcpu)), None)
    }

    #[inline(never)]
    fn flush_tlb_reset(vcpu: Vcpu<'_>) -> Expected {
        Expected::Effects(executes(vcpu, flush::required_by_reset(vcpu)), None)
    }

    #[inline(never)]
    fn flush_tlb_apic_access(vcpu: Vcpu<'_>) -> Expected {
        let required = apic::required_when_turned_on(vcpu);
        let effects = |required| {
            let mut invalidations = Invalidations::default();
            apic::for_each_invalidation(vcpu, required, |one| invalidations.add(Some(one)));
            let request = (required == Required::Request).then_some(Request::Current);

            Effects {
                invalidations,
                ..requests(vcpu, request)
            }
        };
        // C takes the current root for L1's.
        let c = (required == Required::OfPreviousRoots)
            .then(|| (Known::X7, effects(Required::OfCurrentRoot)));

        Expected::Effects(effects(required), c)
    }

    #[inline(never)]
    fn enter_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>, dirty: bool) -> Expected {
        let mut owner = vcpu.last_vpid();
        let mut request = None;
        let vpid = transition::decide_entry(
            vcpu,
            vmcs12.vpid12(),
            |vpid12| owner = vpid12,
            |required| request = required,
        );
        let mut effects = requests(vcpu, request);

        effects.requests.hyperv = requests_hyperv(vcpu, Level::L2);
        effects.last_vpid = owner;
        // X11: C writes it only if vmcs12 is dirty. Otherwise it is not compared.
        let vpid = if dirty { vpid } else { VpidToWrite::NONE };
        effects.answer = VpidToWrite::as_number(vpid.into_raw());
        Expected::Effects(effects, None)
    }

    #[inline(never)]
    fn exit_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> Expected {
        let request = transition::decide_exit(vcpu, vmcs12.uses_vpid(), || Options::STOCK);
        let mut effects = requests(vcpu, request);

        effects.requests.hyperv = requests_hyperv(vcpu, Level::L1);
        Expected::Effects(effects, None)
    }

    #[inline(never)]
    fn vmfunc_tlb_flush(vcpu: Vcpu<'_>, vmcs12: Vmcs12<'_>) -> Expected {
        let required = transition::required_on_vmfunc(vmcs12);

        Expected::Effects(requests(vcpu, required), None)
    }

    #[inline(never)]
    fn evmcs_ids_changed(vcpu: Vcpu<'_>) -> Expected {
        let effects = Effects {
            last_vpid: 0,
            ..nothing(vcpu)
        };

        Expected::Effects(effects, Some((Known::X6, nothing(vcpu))))
    }

    #[inline(never)]
    fn l2_tlb_flush_wanted(vcpu: Vcpu<'_>) -> Expected {
        let known = hv_l2::is_nested_flush(vcpu).then_some(Known::E2);

        Expected::Answer(u64::from(hv_l2::would_handle_vmcall(vcpu)), known)
    }

    #[inline(never)]
    fn hv_flush_tlb(vcpu: WithSlots<'_>, call: Hypercall<'_>) -> Expected {
        let (result, known) = hv_send::result_without_sending(vcpu, call);

        Expected::Answer(result, known)
    }

    #[inline(never)]
    fn post_set_cr0(vcpu: WithSlots<'_>, old: c_ulong, new: c_ulong) -> Expected {
        let request = roles::cr0_request(old as u64, new as u64);

        Expected::Effects(requests(*vcpu, request), None)
    }

    #[inline(never)]
    fn post_set_cr4(vcpu: WithSlots<'_>, old: c_ulong, new: c_ulong) -> Expected {
        let request = roles::cr4_request(old as u64, new as u64);

        Expected::Effects(requests(*vcpu, request), None)
    }

    /// C's function leads to [`flush_tlb_guest`](NestedTlbChecks::flush_tlb_guest), which is
    /// compared by itself.
    #[inline(never)]
    fn steal_time_tlb_flush(vcpu: WithSlots<'_>) -> Expected {
        let required = flush::required_by_steal_time(*vcpu);
        let c = required.map(|_| (Known::X3, nothing(*vcpu)));

        Expected::Effects(executes(*vcpu, required), c)
    }
}
