// SPDX-License-Identifier: GPL-2.0

//! Hyper-V's state of the vCPU that a hook is about. (That of others: [`super::peers`].)

use core::ptr::NonNull;

use super::{
    bindings,
    fields::{
        self,
        Field,
        SharedNumber,
        Word, //
    },
    live::{
        Live,
        Own, //
    },
    peers::VcpuSet,
    queue::OwnQueue,
    vcpu::Vcpu, //
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
#[derive(Clone, Copy)]
pub(crate) struct Hyperv<'h> {
    hv: Own<'h, bindings::kvm_vcpu_hv>,
    vcpu: Vcpu<'h>,
}

/// The enlightened VMCS that KVM has mapped for the vCPU. L1 may write it at any time.
#[inline]
fn mapped_evmcs(vcpu: Vcpu<'_>) -> Option<Live<'_, bindings::hv_enlightened_vmcs>> {
    let evmcs = NonNull::new(vcpu.get_vmx(fields::NESTED.then(fields::HV_EVMCS)))?;

    // SAFETY: KVM sets the pointer while the page is mapped. Only this thread unmaps it, and not
    // during a hook.
    Some(unsafe { Live::from_raw(evmcs) })
}

impl<'h> Vcpu<'h> {
    /// The vCPU's Hyper-V state, if it has any, be it for SynIC alone. (`to_hv_vcpu`.)
    #[inline(always)]
    pub(crate) fn hyperv(self) -> Option<Hyperv<'h>> {
        let hv = NonNull::new(self.get(fields::HYPERV))?;

        // SAFETY: KVM sets the pointer once, to the vCPU's own state, which lives as long as that.
        let hv = unsafe { Own::from_raw(hv) };

        Some(Hyperv { hv, vcpu: self })
    }

    /// L2 runs on an enlightened VMCS, which says that flush hypercalls go to L0. It is read once.
    #[inline]
    pub(crate) fn evmcs_enables_direct_flush(self) -> bool {
        mapped_evmcs(self)
            .is_some_and(|evmcs| evmcs.read(fields::ENLIGHTENMENTS) & NESTED_FLUSH_HYPERCALL != 0)
    }

    /// What other vCPUs' flush calls name the L2 by that this vCPU runs, or enters.
    #[inline]
    pub(crate) fn l2_name(self) -> Named {
        match self.hyperv() {
            Some(hv) => hv.l2_name(),
            // User space may restore an enlightened VMCS into a vCPU without Hyper-V state.
            None if self.has_evmcs() => Named::Unknown,
            None => Named::Nobody,
        }
    }
}

impl<'h> Hyperv<'h> {
    #[inline]
    fn get<T: Copy>(self, field: Field<bindings::kvm_vcpu_hv, T>) -> T {
        self.hv.get(field)
    }

    /// The value of a field that other threads read, and only this one writes.
    #[inline]
    fn get_published<T: Word>(self, field: SharedNumber<bindings::kvm_vcpu_hv, T>) -> T {
        self.hv.live().read(field)
    }

    /// The CPUID that L1 sees offers direct flushes.
    #[inline]
    pub(crate) fn offers_direct_flush(self) -> bool {
        self.get(fields::CPUID_NESTED_EAX) & bindings::NVMX_NESTED_DIRECT_FLUSH != 0
    }

    /// The VP assist page, as it was at the last VM entry, enables direct flushes.
    #[inline]
    pub(crate) fn assist_page_enables_direct_flush(self) -> bool {
        let page = self.hv.part(fields::VP_ASSIST_PAGE);

        page.get(fields::ASSIST_PAGE_FEATURES).directhypercall() != 0
    }

    /// L1's guest-physical address of L2's partition assist page, perhaps invalid.
    #[inline]
    pub(crate) fn partition_assist_page(self) -> u64 {
        self.get_published(fields::PA_PAGE_GPA)
    }

    /// The VM id of the L2 that this vCPU runs, or ran last.
    #[inline]
    pub(crate) fn vm_id(self) -> u64 {
        self.get_published(fields::VM_ID)
    }

    /// The VP id of the L2 that this vCPU runs, or ran last.
    #[inline]
    pub(crate) fn vp_id(self) -> u32 {
        self.get_published(fields::VP_ID)
    }

    /// What other vCPUs' flush calls name the L2 by that this vCPU runs, or enters.
    #[inline]
    pub(crate) fn l2_name(self) -> Named {
        if !self.vcpu.has_evmcs() {
            Named::Nobody
        } else if self.partition_assist_page() == INVALID_GPA {
            Named::Unknown
        } else {
            Named::Ids {
                vm: self.vm_id(),
                vp: self.vp_id(),
            }
        }
    }

    /// X8: if KVM has mapped the enlightened VMCS without reading L2's ids from it, as after a
    /// restore, reads them now.
    #[inline]
    pub(crate) fn learn_identity(self) {
        if self.partition_assist_page() != INVALID_GPA {
            return;
        }
        let Some(evmcs) = mapped_evmcs(self.vcpu) else {
            return;
        };
        let page = evmcs.read(fields::EVMCS_ASSIST_PAGE);

        // `AnyVcpu::identity` reads these on other threads, the address first. A thread that sees
        // the address sees the ids, too.
        let hv = self.hv.live();
        hv.write(fields::VM_ID, evmcs.read(fields::EVMCS_VM_ID));
        hv.write(fields::VP_ID, evmcs.read(fields::EVMCS_VP_ID));
        self.hv.release(fields::PA_PAGE_GPA, page);
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
        let vm = self.vcpu.vm().part(fields::VM_HYPERV);
        let index = self.vcpu.get(fields::VCPU_INDEX) as usize;

        if let Some(field) = fields::L2_TAGS.at(index) {
            vm.write(field, tag.0);
        }
    }

    /// The vCPU's own queue for `level`.
    #[inline]
    pub(crate) fn queue(self, level: Level) -> OwnQueue<'h> {
        OwnQueue::of(self.hv, level)
    }

    /// An empty set of the VM's vCPUs, in KVM's buffer for one set. This empties an earlier one.
    #[inline]
    pub(crate) fn empty_vcpu_set(self) -> VcpuSet<'h> {
        VcpuSet::new(self.vcpu, self.hv)
    }
}
