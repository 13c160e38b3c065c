// SPDX-License-Identifier: GPL-2.0

//! Calls C's function of a hook, and watches what it does.
//!
//! Requests, fields and the answer can be seen afterwards. KVM tells the client of each INVVPID and
//! INVEPT that C executes meanwhile. C's function may call other hooks. If these are watched, too,
//! what they invalidate is theirs.

use kernel::ffi::{
    c_ulong,
    c_void, //
};

use super::{
    bindings,
    counters,
    fields,
    hooks::NAMES,
    insn,
    request::{
        CURRENT,
        GUEST,
        HYPERV, //
    },
    vcpu::Vcpu, //
};
use crate::policy::{
    check::{
        Effects,
        Expected,
        Invalidations,
        Known,
        Requests,
        Verdict, //
    },
    types::Vpid,
};

/// The requests that must be taken away to see whether C makes them.
fn watched(expected: &Expected) -> u64 {
    match expected {
        Expected::Unknown | Expected::Answer(..) => 0,
        // C may look at this request. So it stays, if Rust would not make it.
        Expected::Effects(effects, _) if !effects.requests.hyperv => GUEST | CURRENT,
        Expected::Effects(..) => GUEST | CURRENT | HYPERV,
    }
}

/// What was true before the call, for a message.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "only printed")]
struct Facts {
    runs_l2: bool,
    vpid01: Option<Vpid>,
    vpid02: Option<Vpid>,
    last_vpid: u16,
    vpid12: Option<u16>,
    eptp12: Option<u64>,
}

impl Facts {
    fn of(vcpu: Vcpu<'_>) -> Self {
        let vmcs12 = vcpu.vmcs12();

        Self {
            runs_l2: vcpu.runs_l2(),
            vpid01: vcpu.vpid01(),
            vpid02: vcpu.vpid02(),
            last_vpid: vcpu.last_vpid(),
            vpid12: vmcs12.and_then(|vmcs12| vmcs12.vpid12()),
            eptp12: vmcs12.and_then(|vmcs12| vmcs12.eptp12()),
        }
    }
}

/// Calls `act`, which is C's function of hook `number`, and compares what it does with `expected`.
/// `as_number` makes a number of its answer.
#[inline(always)]
pub(super) fn watch<R: Copy>(
    vcpu: Vcpu<'_>,
    number: usize,
    expected: &dyn Fn() -> Expected,
    act: impl FnOnce() -> R,
    as_number: fn(R) -> u64,
) -> R {
    let mut watch = Watch::begin(vcpu, expected());

    // SAFETY: `watch` stays where it is, unused, until the second call puts back what was there.
    let answer = unsafe {
        let outer = vcpu.watch_with((&raw mut watch).cast());
        let answer = act();

        vcpu.watch_with(outer);
        answer
    };
    watch.end(number, as_number(answer), expected);
    answer
}

/// One call of C's function of a hook, and what was seen of it so far.
struct Watch<'h> {
    vcpu: Vcpu<'h>,
    expected: Expected,
    facts: Facts,
    invalidations: Invalidations,
    /// The requests that were there before, of those that are compared.
    before: u64,
}

impl<'h> Watch<'h> {
    /// C is about to act, and is `expected` to do this.
    #[inline(never)]
    fn begin(vcpu: Vcpu<'h>, expected: Expected) -> Self {
        Self {
            vcpu,
            facts: Facts::of(vcpu),
            invalidations: Invalidations::default(),
            before: vcpu.take_requests(watched(&expected)),
            expected,
        }
    }

    /// C has acted as hook `number`, and returned `answer`. Compares; `again` says what is expected
    /// now.
    #[inline(never)]
    fn end(&mut self, number: usize, answer: u64, again: &dyn Fn() -> Expected) {
        let made = self.vcpu.requests() & watched(&self.expected);
        self.vcpu.put_requests(self.before);

        let did = Effects {
            requests: Requests {
                guest: made & GUEST != 0,
                current: made & CURRENT != 0,
                hyperv: made & HYPERV != 0,
            },
            invalidations: self.invalidations,
            last_vpid: self.vcpu.last_vpid(),
            answer,
        };
        judge(number, &self.expected, &did, again, &self.facts);
    }
}

fn judge(
    number: usize,
    expected: &Expected,
    did: &Effects,
    again: &dyn Fn() -> Expected,
    facts: &Facts,
) {
    use counters::{
        count,
        Counter, //
    };

    match crate::policy::check::compare(expected, did, again) {
        Verdict::NotCompared => count::<{ Counter::NotCompared.number() }>(),
        Verdict::Same => count::<{ Counter::Same.number() }>(),
        Verdict::Known(Known::X3) => count::<{ Counter::KnownX3.number() }>(),
        Verdict::Known(Known::X5) => count::<{ Counter::KnownX5.number() }>(),
        Verdict::Known(Known::X6) => count::<{ Counter::KnownX6.number() }>(),
        Verdict::Known(Known::X7) => count::<{ Counter::KnownX7.number() }>(),
        Verdict::Known(Known::E2) => count::<{ Counter::KnownE2.number() }>(),
        Verdict::Known(Known::E5) => count::<{ Counter::KnownE5.number() }>(),
        Verdict::Different => {
            count::<{ Counter::Different.number() }>();
            // SAFETY: C looks at a limit of its own.
            if unsafe { bindings::nvmx_may_warn() } {
                let name = NAMES
                    .get(number)
                    .map_or("", |name| name.to_str().unwrap_or(""));
                kernel::pr_warn!("check: {name}: C: {did:?}; Rust: {expected:?}; {facts:?}\n");
            }
        }
    }
}

impl Vcpu<'_> {
    /// What C invalidates from now on goes to `watch`, or nowhere. Returns where it went before.
    ///
    /// # Safety
    ///
    /// `watch` is NULL, or a [`Watch`] that stays, and that nobody else uses, until this is called
    /// with another one.
    #[inline(never)]
    unsafe fn watch_with(self, watch: *mut c_void) -> *mut c_void {
        let field = fields::NESTED.then(fields::HOOKS_CHECK);
        let outer = self.get_vmx(field);

        // SAFETY: KVM has the field for its client alone, which is this module, and it is this
        // thread's.
        unsafe { field.of(self.vmx().as_ptr()).write(watch) };
        outer
    }
}

/// C is about to execute INVEPT (`ept`) or INVVPID of type `kind`. `id` is the EPT pointer or VPID.
///
/// # Safety
///
/// Only KVM's `kvm_nvmx_invalidates()` calls this, for the VMX vCPU of the thread that it is on.
pub(super) unsafe extern "C" fn invalidates(
    _client: *mut bindings::kvm_nvmx_client,
    vcpu: *mut bindings::kvm_vcpu,
    ept: bool,
    kind: c_ulong,
    id: u64,
    gva: bindings::gva_t,
) {
    let vmx = fields::VCPU.container(vcpu);
    let field = fields::NESTED.then(fields::HOOKS_CHECK);

    // SAFETY: C calls this for VMX vCPUs only, so it is in a `vcpu_vmx`. The pointer is NULL as KVM
    // allocates it, or what `watch_with` was last called with.
    let watch = unsafe { field.of(vmx).read().cast::<Watch<'_>>() };
    if watch.is_null() {
        return;
    }
    let invalidation = insn::of_operands(ept, kind, id, gva as u64);

    // SAFETY: It is not NULL, so it is a `Watch` that stays, and that nobody else uses now, as the
    // caller of `watch_with` promised.
    unsafe { (*watch).invalidations.add(invalidation) };
}
