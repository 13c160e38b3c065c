// SPDX-License-Identifier: GPL-2.0

//! Hyper-V's state of the vCPU that a hook is about. (That of others: [`super::peers`].)

use kernel::sync::atomic::{
    Atomic,
    Release, //
};

use super::{
    bindings,
    fields::{
        self,
        Field,
        SharedField, //
    },
    peers::VcpuSet,
    queue::{
        OwnQueue,
        Queue, //
    },
    vcpu::Vcpu,
};
use crate::policy::{
    history::Named,
    tags::Tag,
    types::Level, //
};

/// No guest-physical address. (KVM's macro of that name, which bindgen cannot evaluate.)
pub(super) const INVALID_GPA: u64 = u64::MAX;

/// Bit 0 of the enlightened VMCS's enlightenments control: flush hypercalls of L2 go to L0.
const NESTED_FLUSH_HYPERCALL: u32 = 1 << 0;

/// Hyper-V's state of the vCPU whose thread this is.
///
/// # Invariants
///
/// `hv` is the Hyper-V state of `vcpu`, which lives as long as that does.
#[derive(Clone, Copy)]
pub(crate) struct Hyperv<'h> {
    hv: *mut bindings::kvm_vcpu_hv,
    vcpu: Vcpu<'h>,
}

/// The enlightened VMCS that KVM has mapped for the vCPU.
///
/// # Invariants
///
/// The pointer is valid for as long as the hook runs: only this thread unmaps the page. L1 may
/// write it at any time.
#[derive(Clone, Copy)]
struct Evmcs(*mut bindings::hv_enlightened_vmcs);

impl Evmcs {
    #[inline]
    fn of(vcpu: Vcpu<'_>) -> Option<Self> {
        let evmcs = vcpu.get_vmx(fields::NESTED.then(fields::HV_EVMCS));

        // INVARIANT: KVM sets the pointer while the page is mapped.
        (!evmcs.is_null()).then_some(Self(evmcs))
    }

    #[inline]
    fn get<T: Copy>(self, field: SharedField<bindings::hv_enlightened_vmcs, T>) -> T {
        // SAFETY: The page is mapped by the type invariant, and `fields` asserts that the field is
        // aligned.
        unsafe { field.of(self.0).read_volatile() }
    }
}

impl<'h> Vcpu<'h> {
    /// The vCPU's Hyper-V state, if it has any, be it for SynIC alone. (`to_hv_vcpu`.)
    #[inline(always)]
    pub(crate) fn hyperv(self) -> Option<Hyperv<'h>> {
        let hv = self.get(fields::HYPERV);

        // INVARIANT: KVM sets the pointer once, to the vCPU's own state.
        (!hv.is_null()).then_some(Hyperv { hv, vcpu: self })
    }

    /// The enlightened VMCS that L2 runs on says that flush hypercalls go to L0; `None` without
    /// one. It is read once.
    #[inline]
    pub(crate) fn evmcs_enables_direct_flush(self) -> Option<bool> {
        let control = Evmcs::of(self)?.get(fields::ENLIGHTENMENTS);

        Some(control & NESTED_FLUSH_HYPERCALL != 0)
    }
}

impl<'h> Vcpu<'h> {
    /// What flush calls of other vCPUs name the L2 by that this vCPU runs, or enters.
    #[inline]
    pub(crate) fn l2_is_named(self) -> Named {
        if !self.has_evmcs() {
            return Named::Nobody;
        }
        match self.hyperv() {
            Some(hv) if hv.partition_assist_page() != INVALID_GPA => Named::Ids {
                vm: hv.vm_id(),
                vp: hv.vp_id(),
            },
            _ => Named::Unknown,
        }
    }
}

impl<'h> Hyperv<'h> {
    #[inline]
    fn get<T: Copy>(self, field: Field<bindings::kvm_vcpu_hv, T>) -> T {
        // SAFETY: The state is the vCPU's own. By `Field`'s invariant only this thread writes the
        // field.
        unsafe { field.of(self.hv).read() }
    }

    /// The value of a field that other threads read, and only this one writes.
    #[inline]
    fn get_published<T: Copy>(self, field: SharedField<bindings::kvm_vcpu_hv, T>) -> T {
        // SAFETY: The state lives as long as the vCPU. By `SharedField`'s invariant one access
        // reads all of the field.
        unsafe { field.of(self.hv).read_volatile() }
    }

    /// The CPUID that L1 sees offers direct flushes.
    #[inline]
    pub(crate) fn offers_direct_flush(self) -> bool {
        self.get(fields::CPUID_NESTED_EAX) & bindings::NVMX_NESTED_DIRECT_FLUSH != 0
    }

    /// The VP assist page, as it was at the last VM entry, enables direct flushes.
    #[inline]
    pub(crate) fn assist_page_enables_direct_flush(self) -> bool {
        let page = fields::VP_ASSIST_PAGE.of(self.hv);
        // SAFETY: The copy is part of the state, which lives as long as the vCPU, and only this
        // thread writes it. It is packed.
        let features = unsafe { (&raw const (*page).nested_control.features).read_unaligned() };

        features.directhypercall() != 0
    }

    /// L1's guest-physical address of L2's partition assist page, perhaps invalid.
    #[inline]
    pub(crate) fn partition_assist_page(self) -> u64 {
        self.get_published(fields::PA_PAGE_GPA)
    }

    /// The VM id of the L2 that this vCPU runs.
    #[inline]
    pub(crate) fn vm_id(self) -> u64 {
        self.get_published(fields::VM_ID)
    }

    /// The VP id of the L2 that this vCPU runs.
    #[inline]
    pub(crate) fn vp_id(self) -> u32 {
        self.get_published(fields::VP_ID)
    }

    /// X8: if KVM has mapped the enlightened VMCS without reading L2's ids from it, as after a
    /// restore, reads them now.
    #[inline]
    pub(crate) fn learn_identity(self) {
        if self.partition_assist_page() != INVALID_GPA {
            return;
        }
        let Some(evmcs) = Evmcs::of(self.vcpu) else {
            return;
        };
        let vm = evmcs.get(fields::EVMCS_VM_ID);
        let vp = evmcs.get(fields::EVMCS_VP_ID);
        let page = evmcs.get(fields::EVMCS_ASSIST_PAGE);

        // SAFETY: Only this thread writes the fields. `AnyVcpu::identity` reads them on other
        // threads, the address first. A thread that sees the address sees the ids, too.
        unsafe {
            fields::VM_ID.of(self.hv).write_volatile(vm);
            fields::VP_ID.of(self.hv).write_volatile(vp);
            Atomic::<u64>::from_ptr(fields::PA_PAGE_GPA.of(self.hv)).store(page, Release);
        }
        self.publish_tag();
    }

    /// V22: other vCPUs' senders may tell from now on by one byte whether to look at this vCPU. Its
    /// ids are in place. No call has been compared with them yet, so a sender that does not see the
    /// byte yet is seen by that comparison (V9).
    #[inline]
    pub(crate) fn publish_tag(self) {
        let tag = if self.partition_assist_page() == INVALID_GPA {
            Tag::UNKNOWN
        } else {
            Tag::of(self.vm_id(), self.vp_id())
        };
        let hyperv = fields::VM_HYPERV.of(self.vcpu.kvm());
        let index = self.vcpu.get(fields::VCPU_INDEX) as usize;

        if let Some(field) = fields::L2_TAGS.at(index) {
            // SAFETY: The bytes are part of the VM, which outlives the hook. Only this vCPU's
            // thread writes this one.
            unsafe { field.of(hyperv).write_volatile(tag.0) };
        }
    }

    /// The vCPU's own queue for `level`.
    #[inline]
    pub(crate) fn queue(self, level: Level) -> OwnQueue<'h> {
        // SAFETY: The state is this vCPU's by the type invariant, and this is the vCPU's own
        // thread.
        unsafe { OwnQueue::new(Queue::of(self.hv, level)) }
    }

    /// An empty set of the VM's vCPUs, in KVM's buffer for one set.
    #[inline]
    pub(crate) fn empty_vcpu_set(&mut self) -> VcpuSet<'_> {
        // SAFETY: Only the vCPU's thread uses the buffer, and `self` is borrowed while the set
        // lives.
        unsafe { VcpuSet::new(self.vcpu, fields::VCPU_MASK.of(self.hv)) }
    }
}
