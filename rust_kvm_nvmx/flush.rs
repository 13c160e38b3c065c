// SPDX-License-Identifier: GPL-2.0

//! Executes what the policy decides, for the vCPU of a hook.

use kernel::{
    do_once_lite,
    warn_on, //
};

use crate::{
    kvm::{
        mmu::CachedRoot,
        vcpu::Vcpu, //
    },
    policy::{
        eptp,
        flush::{
            self,
            All, //
        },
        types::{
            Caps,
            Gva,
            Invalidation,
            Request,
            Root,
            Vpid, //
        },
    },
};

/// Executes an invalidation, if one is required.
#[inline(always)]
pub(crate) fn execute(vcpu: Vcpu<'_>, required: Option<Invalidation>) {
    if let Some(invalidation) = required {
        vcpu.invalidate(invalidation);
    }
}

/// Executes an invalidation, if one is required, where speed does not matter.
#[inline(never)]
pub(crate) fn execute_rare(vcpu: Vcpu<'_>, required: Option<Invalidation>) {
    execute(vcpu, required);
}

/// Makes a request, if one is required.
#[inline(always)]
pub(crate) fn request(vcpu: Vcpu<'_>, required: Option<Request>) {
    match required {
        Some(Request::Guest) => vcpu.request_flush_guest(),
        Some(Request::Current) => vcpu.request_flush_current(),
        None => (),
    }
}

/// H5: the VPID that the vCPU runs with now.
#[inline(always)]
pub(crate) fn current_vpid(vcpu: Vcpu<'_>) -> Option<Vpid> {
    flush::current_vpid(vcpu.vmcs12_uses_vpid(), || vcpu.vpid01(), || vcpu.vpid02())
}

/// H1: everything that the vCPU may have cached.
#[inline(always)]
pub(crate) fn all(vcpu: Vcpu<'_>) {
    match flush::all(vcpu.caps()) {
        All::Nothing => (),
        All::Once(invalidation) => vcpu.invalidate(invalidation),
        All::Each => each_vpid(vcpu),
    }
}

/// H1, on a CPU that has no INVVPID for all contexts.
#[cold]
#[inline(never)]
fn each_vpid(vcpu: Vcpu<'_>) {
    for required in required_for_each_vpid(vcpu) {
        execute_rare(vcpu, required);
    }
}

/// H1: what [`All::Each`] stands for.
pub(crate) fn required_for_each_vpid(vcpu: Vcpu<'_>) -> [Option<Invalidation>; 2] {
    [vcpu.vpid01(), vcpu.vpid02()].map(flush::each)
}

/// H4: the running guest's own translations.
#[inline(always)]
pub(crate) fn guest(vcpu: Vcpu<'_>) {
    execute(vcpu, required_for_guest(vcpu));
}

/// H4: what [`guest`] executes.
#[inline(always)]
pub(crate) fn required_for_guest(vcpu: Vcpu<'_>) -> Option<Invalidation> {
    flush::context(vcpu.caps(), current_vpid(vcpu))
}

/// The same as [`guest`], where speed does not matter.
#[inline(never)]
pub(crate) fn guest_rare(vcpu: Vcpu<'_>) {
    guest(vcpu);
}

/// H2, H6: a root of KVM's page tables, in the policy's terms.
#[inline(always)]
pub(crate) fn root(vcpu: Vcpu<'_>, cached: CachedRoot<'_>) -> Root {
    let caps = vcpu.caps();

    let Some(hpa) = cached.hpa() else {
        return Root::Invalid;
    };
    if !caps.has(Caps::EPT) {
        return Root::Shadow;
    }
    eptp::of_root(hpa, vcpu.page_of(cached), caps.has(Caps::EPT_AD))
        .map_or(Root::EptUnknown, Root::Ept)
}

/// The same as [`root`], where speed does not matter. Warns if the MMU does not know the root (H6).
/// KVM then flushes more than needed, never less.
#[inline(never)]
pub(crate) fn root_or_warn(vcpu: Vcpu<'_>, cached: CachedRoot<'_>) -> Root {
    let root = root(vcpu, cached);

    if root == Root::EptUnknown {
        do_once_lite! {
            warn_on!(true);
        }
    }
    root
}

/// H3 for many addresses of the running guest. What they have in common is looked up once.
pub(crate) struct Addresses<'h> {
    vcpu: Vcpu<'h>,
    vpid: Option<Vpid>,
}

impl<'h> Addresses<'h> {
    /// Addresses of the guest that runs now. Must not be kept when another level becomes active.
    #[inline(always)]
    pub(crate) fn of_running(vcpu: Vcpu<'h>) -> Self {
        Self {
            vcpu,
            vpid: current_vpid(vcpu),
        }
    }

    /// H3. `gva` is canonical.
    #[inline(always)]
    pub(crate) fn flush(&self, gva: Gva) {
        execute(self.vcpu, self.required(gva));
    }

    /// H3: what [`Addresses::flush`] executes.
    #[inline(always)]
    pub(crate) fn required(&self, gva: Gva) -> Option<Invalidation> {
        flush::address(self.vcpu.caps(), self.vpid, gva)
    }
}
