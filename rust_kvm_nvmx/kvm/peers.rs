// SPDX-License-Identifier: GPL-2.0

//! All vCPUs of the VM. The threads of the others run at the same time.

use core::{
    marker::PhantomData,
    ops::Range,
    ptr, //
};

use kernel::{
    ffi::c_ulong,
    sync::atomic::{
        Acquire,
        Atomic, //
    },
};

use super::{
    bindings,
    calls::call,
    fields::{
        self,
        SharedField, //
    },
    hyperv::INVALID_GPA,
    queue::Queue,
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

const BITS: usize = c_ulong::BITS as usize;

/// Words of a set with a bit for each vCPU that a VM can have.
pub(super) const SET_WORDS: usize = (bindings::NVMX_MAX_VCPUS as usize).div_ceil(BITS);

/// Any vCPU of the VM, whose own thread may be running.
///
/// # Invariants
///
/// `vcpu` is a VMX vCPU and valid for `'h`; so is `hv`, its Hyper-V state, unless NULL.
#[derive(Clone, Copy)]
pub(crate) struct AnyVcpu<'h> {
    vcpu: *mut bindings::kvm_vcpu,
    hv: *mut bindings::kvm_vcpu_hv,
    index: u32,
    _vm: PhantomData<&'h bindings::kvm_vcpu>,
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
        // SAFETY: C reads a count of the vCPU's VM.
        let nr = unsafe { bindings::nvmx_nr_vcpus(self.kvm()) };

        0..nr as usize
    }

    /// Those of them that may run an L2 whose tag is one of `tags` (V22).
    #[inline]
    pub(crate) fn vcpus_with_tag(
        self,
        tags: impl FnOnce() -> Tags,
    ) -> impl Iterator<Item = (usize, AnyVcpu<'h>)> {
        let indexes = self.vcpu_indexes();
        let tags = Tags::worth_it(indexes.end, tags);

        indexes
            .filter(move |&index| tags.contain(self.tag_of_vcpu(index)))
            .filter_map(move |index| Some((index, self.vcpu_at(index)?)))
    }

    /// The tag of the vCPU with that index.
    #[inline(always)]
    fn tag_of_vcpu(self, index: usize) -> Tag {
        let hyperv = fields::VM_HYPERV.of(self.kvm());

        fields::L2_TAGS.at(index).map_or(Tag::UNKNOWN, |field| {
            // SAFETY: The bytes are part of the VM, which outlives the hook. Other vCPUs' threads
            // write theirs at any time.
            Tag(unsafe { field.of(hyperv).read_volatile() })
        })
    }

    /// The vCPU with that index.
    #[inline]
    pub(crate) fn vcpu_at(self, index: usize) -> Option<AnyVcpu<'h>> {
        let index = u32::try_from(index).ok()?;
        let mut hv = ptr::null_mut();
        // SAFETY: C checks the index, and sets `hv` if there is such a vCPU.
        let vcpu = unsafe { bindings::nvmx_get_vcpu(self.kvm(), index, &mut hv) };

        // INVARIANT: vCPUs stay until their VM is destroyed. The sender is a VMX vCPU, so all vCPUs
        // of its VM are. Hyper-V state is complete before its pointer is stored.
        (!vcpu.is_null()).then_some(AnyVcpu {
            vcpu,
            hv,
            index,
            _vm: PhantomData,
        })
    }

    /// Each vCPU's virtual processor index is its index in KVM, so no vCPU has to be looked up.
    #[inline]
    pub(crate) fn vp_indexes_are_indexes(self) -> bool {
        // SAFETY: C reads the VM's count of vCPUs whose two indexes differ.
        !unsafe { bindings::nvmx_hv_vp_indexes_differ(self.kvm()) }
    }
}

impl<'h> AnyVcpu<'h> {
    /// The value of a field of its Hyper-V state.
    ///
    /// # Safety
    ///
    /// The vCPU has Hyper-V state.
    unsafe fn get<T: Copy>(self, field: SharedField<bindings::kvm_vcpu_hv, T>) -> T {
        // SAFETY: The caller promises that there is Hyper-V state, which is valid by the type
        // invariant. By `SharedField`'s one access reads all of the field.
        unsafe { field.of(self.hv).read_volatile() }
    }

    /// Its number for Hyper-V. (`kvm_hv_get_vpindex`.)
    #[inline]
    pub(crate) fn vp_index(self) -> u32 {
        if self.hv.is_null() {
            return self.index;
        }
        // SAFETY: `hv` is not NULL here. User space may set the index meanwhile.
        unsafe { self.get(fields::VP_INDEX) }
    }

    /// Which L2 it runs, if it has Hyper-V state.
    ///
    /// The order of the reads matters: a vCPU whose ids are not known yet must not be taken for one
    /// whose ids are known.
    #[inline]
    pub(crate) fn identity(self) -> Option<Identity> {
        if self.hv.is_null() {
            return None;
        }
        // SAFETY: There is Hyper-V state, and it is a VMX vCPU. `Hyperv::learn_identity` and C's
        // `nested_set_evmcs_ids()` write the ids before the page's address, on the vCPU's own
        // thread. The pointer to the enlightened VMCS is compared and not followed.
        unsafe {
            let page = Atomic::<u64>::from_ptr(fields::PA_PAGE_GPA.of(self.hv)).load(Acquire);
            if page == INVALID_GPA {
                let vmx = fields::VCPU.container_of(self.vcpu);
                let evmcs = fields::NESTED.then(fields::HV_EVMCS).of(vmx);
                if !evmcs.read_volatile().is_null() {
                    return Some(Identity::Unknown);
                }
            }
            Some(Identity::Known {
                vm: self.get(fields::VM_ID),
                vp: self.get(fields::VP_ID),
            })
        }
    }

    /// KVM_REQ_TLB_FLUSH: all of its translations, of both levels. This does not kick the vCPU: the
    /// caller makes another request afterwards that does.
    #[inline]
    pub(crate) fn request_tlb_flush(self) {
        // SAFETY: The vCPU is valid by the type invariant, and C sets the request atomically.
        unsafe { bindings::nvmx_request_tlb_flush(self.vcpu) };
    }

    /// Its queue for `level`, if it has Hyper-V state.
    #[inline]
    pub(crate) fn queue(self, level: Level) -> Option<Queue<'h>> {
        // SAFETY: By the type invariant the state lives as long as the vCPU.
        (!self.hv.is_null()).then(|| unsafe { Queue::of(self.hv, level) })
    }
}

/// A set of a VM's vCPUs, in the buffer that KVM has for it in the sender.
pub(crate) struct VcpuSet<'a> {
    sender: Vcpu<'a>,
    words: &'a mut [c_ulong; SET_WORDS],
}

impl<'a> VcpuSet<'a> {
    /// An empty set.
    ///
    /// # Safety
    ///
    /// `words` is valid for `'a`, and nothing else uses it.
    #[inline]
    pub(super) unsafe fn new(sender: Vcpu<'a>, words: *mut [c_ulong; SET_WORDS]) -> Self {
        // SAFETY: The caller promises just this.
        let words = unsafe { &mut *words };

        words.fill(0);
        Self { sender, words }
    }

    /// Adds the vCPU with that index.
    #[inline]
    pub(crate) fn add(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / BITS) {
            *word |= 1 << (index % BITS);
        }
    }

    /// How many there are, which is at most the number of bits in [`SET_WORDS`] words.
    pub(crate) fn len(&self) -> u32 {
        let ones = self.words.iter().map(|word| word.count_ones());

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
                self.words.as_mut_ptr(),
            ))
        };
    }
}
