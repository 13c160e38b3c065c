// SPDX-License-Identifier: GPL-2.0

//! All vCPUs of the VM. The threads of the others run at the same time.

use core::{
    ops::Range,
    ptr::{
        self,
        NonNull, //
    },
};

use super::{
    bindings,
    calls::call,
    fields::{
        self,
        Number, //
    },
    hyperv::INVALID_GPA,
    live::{
        Live,
        Own, //
    },
    queue::Queue,
    request::{
        bit,
        request, //
    },
    vcpu::Vcpu, //
};
use crate::policy::{
    hv_l2::Identity,
    tags::{
        Tag,
        Tags, //
    },
    types::Level, //
};

const BITS: usize = u64::BITS as usize;

/// Words of a set with a bit for each vCPU that a VM can have.
pub(super) const SET_WORDS: usize = (bindings::NVMX_MAX_VCPUS as usize).div_ceil(BITS);

/// Any vCPU of the VM, whose own thread may be running.
#[derive(Clone, Copy)]
pub(crate) struct AnyVcpu<'h> {
    vmx: Live<'h, bindings::vcpu_vmx>,
    /// Its Hyper-V state, if it has any.
    hv: Option<Live<'h, bindings::kvm_vcpu_hv>>,
    index: u32,
}

impl<'h> Vcpu<'h> {
    /// All vCPUs of the VM, with their index. vCPUs that are created meanwhile may be missing. They
    /// have no translations yet.
    #[inline]
    pub(crate) fn all_vcpus(self) -> impl Iterator<Item = (usize, AnyVcpu<'h>)> {
        self.vcpu_indexes()
            .filter_map(move |index| Some((index, self.vcpu_at(index)?)))
    }

    #[inline(always)]
    fn vcpu_indexes(self) -> Range<usize> {
        0..self.vm().read(fields::ONLINE_VCPUS).max(0) as usize
    }

    /// Those of them whose tag is one of `tags` (V22); `None` stands for all tags.
    #[inline]
    pub(crate) fn vcpus_with_tag<'t>(
        self,
        tags: Option<&'t Tags>,
    ) -> impl Iterator<Item = (usize, AnyVcpu<'h>)> + use<'h, 't> {
        self.vcpu_indexes()
            .filter(move |&index| Tags::may_have(tags, || self.tag_of_vcpu(index)))
            .filter_map(move |index| Some((index, self.vcpu_at(index)?)))
    }

    /// How many vCPUs there are.
    #[inline]
    pub(crate) fn number_of_vcpus(self) -> usize {
        self.vcpu_indexes().end
    }

    /// The tag of the vCPU with that index.
    #[inline(always)]
    fn tag_of_vcpu(self, index: usize) -> Tag {
        let vm = self.vm().part(fields::VM_HYPERV);

        fields::L2_TAGS
            .at(index)
            .map_or(Tag::UNKNOWN, |field| Tag(vm.read(field)))
    }

    /// The vCPU with that index.
    #[inline]
    pub(crate) fn vcpu_at(self, index: usize) -> Option<AnyVcpu<'h>> {
        let index = u32::try_from(index).ok()?;
        let mut hv = ptr::null_mut();

        // SAFETY: C checks the index, and sets `hv` if there is such a vCPU. vCPUs stay until their
        // VM is destroyed. The sender is a VMX vCPU, so all vCPUs of its VM are. Hyper-V state is
        // complete before its pointer is stored, and stays as long as its vCPU.
        unsafe {
            let vcpu = bindings::nvmx_get_vcpu(self.kvm(), index, &mut hv);
            if vcpu.is_null() {
                return None;
            }

            Some(AnyVcpu {
                vmx: Live::from_raw(NonNull::new_unchecked(fields::VCPU.container(vcpu))),
                hv: NonNull::new(hv).map(|hv| Live::from_raw(hv)),
                index,
            })
        }
    }

    /// Each vCPU's virtual processor index is its index in KVM, so no vCPU has to be looked up.
    #[inline]
    pub(crate) fn vp_indexes_are_indexes(self) -> bool {
        let vm = self.vm().part(fields::VM_HYPERV);

        vm.read(fields::NR_OTHER_VP_INDEXES) == 0
    }
}

impl<'h> AnyVcpu<'h> {
    /// Its number for Hyper-V. User space may set it meanwhile. (`kvm_hv_get_vpindex`.)
    #[inline]
    pub(crate) fn vp_index(self) -> u32 {
        self.hv.map_or(self.index, |hv| hv.read(fields::VP_INDEX))
    }

    /// Which L2 it runs, or ran last, if it has Hyper-V state.
    ///
    /// The order of the reads matters: a vCPU whose ids are not known yet must not be taken for one
    /// whose ids are known. `Hyperv::learn_identity` and C's `nested_set_evmcs_ids()` write the ids
    /// before the page's address.
    #[inline]
    pub(crate) fn identity(self) -> Option<Identity> {
        let hv = self.hv?;

        if hv.acquire(fields::PA_PAGE_GPA) == INVALID_GPA {
            let evmcs = fields::NESTED.then(fields::HV_EVMCS).shared();

            if !self.vmx.read(evmcs).is_null() {
                return Some(Identity::Unknown);
            }
        }
        Some(Identity::Known {
            vm: hv.read(fields::VM_ID),
            vp: hv.read(fields::VP_ID),
        })
    }

    /// KVM_REQ_TLB_FLUSH: all of its translations, of both levels. This does not kick the vCPU: the
    /// caller makes another request afterwards that does.
    #[inline]
    pub(crate) fn request_tlb_flush(self) {
        request::<{ bit(bindings::NVMX_KVM_REQ_TLB_FLUSH as u32) }>(self.vmx.part(fields::VCPU));
    }

    /// Its queue for `level`, if it has Hyper-V state.
    #[inline]
    pub(crate) fn queue(self, level: Level) -> Option<Queue<'h>> {
        self.hv.map(|hv| Queue::of(hv, level))
    }
}

/// A set of a VM's vCPUs, in the buffer that KVM has for it in the sender. No reference is made to
/// the buffer, as nothing keeps a hook from asking for two sets.
pub(crate) struct VcpuSet<'h> {
    sender: Vcpu<'h>,
    hv: Own<'h, bindings::kvm_vcpu_hv>,
}

impl<'h> VcpuSet<'h> {
    /// An empty set, in the Hyper-V state of `sender`.
    #[inline]
    pub(super) fn new(sender: Vcpu<'h>, hv: Own<'h, bindings::kvm_vcpu_hv>) -> Self {
        for word in Self::words() {
            hv.set(word, 0);
        }
        Self { sender, hv }
    }

    /// Where its words are.
    #[inline(always)]
    fn words() -> impl Iterator<Item = Number<bindings::kvm_vcpu_hv, u64>> {
        (0..SET_WORDS).filter_map(|number| fields::VCPU_MASK.at(number))
    }

    /// Adds the vCPU with that index.
    #[inline]
    pub(crate) fn add(&mut self, index: usize) {
        if let Some(word) = fields::VCPU_MASK.at(index / BITS) {
            self.hv.set(word, self.hv.get(word) | 1 << (index % BITS));
        }
    }

    /// How many there are, which is at most the number of bits in [`SET_WORDS`] words.
    pub(crate) fn len(&self) -> u32 {
        let ones = Self::words().map(|word| self.hv.get(word).count_ones());

        ones.fold(0, u32::wrapping_add)
    }

    /// E16: makes one request of all of them, KVM_REQ_HV_TLB_FLUSH. Returns when each has left its
    /// guest.
    #[inline]
    pub(crate) fn request_hyperv_flush(self) {
        let sender = self.sender;
        let request = bindings::NVMX_KVM_REQ_HV_TLB_FLUSH as u32;

        // SAFETY: kvm's function; the buffer has a bit for each vCPU that a VM can have.
        let _: bool = unsafe {
            call!(sender.kvm_functions.kvm_make_vcpus_request_mask(
                sender.kvm(),
                request,
                self.hv.part(fields::VCPU_MASK).as_ptr().cast(),
            ))
        };
    }
}
