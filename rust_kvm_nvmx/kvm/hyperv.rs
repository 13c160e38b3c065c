// SPDX-License-Identifier: GPL-2.0

//! Hyper-V's state of vCPUs: the own one's, and that of others, whose threads run meanwhile.

use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::{
        self,
        addr_of,
        addr_of_mut, //
    },
};

use kernel::{
    container_of,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
};

use crate::{
    bindings,
    kvm::{
        queue::{
            Level,
            OwnQueue,
            Queue, //
        },
        vcpu::Vcpu,
    },
    policy::hv_l2::Identity,
};

// An enlightened VMCS starts a page, so these fields can be read in one access each.
const _: () = {
    assert!(offset_of!(bindings::hv_enlightened_vmcs, hv_enlightenments_control) % 4 == 0);
    assert!(offset_of!(bindings::hv_enlightened_vmcs, hv_vp_id) % 4 == 0);
    assert!(offset_of!(bindings::hv_enlightened_vmcs, hv_vm_id) % 8 == 0);
    assert!(offset_of!(bindings::hv_enlightened_vmcs, partition_assist_page) % 8 == 0);
};

/// No guest-physical address. (KVM's macro of that name, which bindgen cannot evaluate.)
pub(in crate::kvm) const INVALID_GPA: u64 = u64::MAX;

/// Bit 0 of the enlightened VMCS's enlightenments control: flush hypercalls of L2 go to L0.
const NESTED_FLUSH_HYPERCALL: u32 = 1 << 0;

/// The fields of a `kvm_vcpu_hv` that are read of any vCPU, in an order that never makes a vCPU
/// look as if it were known to be another one.
///
/// # Safety
///
/// Both pointers are valid; `hv` is the Hyper-V state of `vcpu`, which VMX runs.
unsafe fn identity(vcpu: *mut bindings::kvm_vcpu, hv: *mut bindings::kvm_vcpu_hv) -> Identity {
    // SAFETY: By the caller's promise. The vCPU's own thread may write each of the fields now;
    // `learn_identity` and C's `copy_enlightened_to_vmcs12` write the numbers before this one.
    let assist_page =
        unsafe { Atomic::<u64>::from_ptr(addr_of_mut!((*hv).nested.pa_page_gpa)).load(Acquire) };

    if assist_page == INVALID_GPA {
        // SAFETY: As above; the pointer is compared and nothing else.
        let evmcs = unsafe {
            let vmx = container_of!(vcpu, bindings::vcpu_vmx, vcpu);
            addr_of!((*vmx).nested.hv_evmcs).read_volatile()
        };
        if !evmcs.is_null() {
            return Identity::Unknown;
        }
    }
    // SAFETY: As above.
    unsafe {
        Identity::Known {
            vm: addr_of!((*hv).nested.vm_id).read_volatile(),
            vp: addr_of!((*hv).nested.vp_id).read_volatile(),
        }
    }
}

/// Hyper-V's state of the vCPU whose thread this is.
///
/// # Invariants
///
/// `hv` is the Hyper-V state of `vcpu`, which lives as long as that does.
#[derive(Clone, Copy)]
pub(crate) struct Hyperv<'a> {
    hv: *mut bindings::kvm_vcpu_hv,
    vcpu: Vcpu<'a>,
}

impl<'a> Vcpu<'a> {
    /// The vCPU's Hyper-V state, if it has any. (`to_hv_vcpu`.)
    pub(crate) fn hyperv(self) -> Option<Hyperv<'a>> {
        // SAFETY: By the type invariant; the pointer is set once, by the vCPU's own thread.
        let hv = unsafe { addr_of!((*self.as_ptr()).arch.hyperv).read() };

        // INVARIANT: Just checked.
        (!hv.is_null()).then_some(Hyperv { hv, vcpu: self })
    }

    /// The enlightened VMCS that L2 runs on says that flush hypercalls go to L0. L1 can write it at
    /// any time: it is read once.
    pub(crate) fn evmcs_enables_direct_flush(self) -> Option<bool> {
        let evmcs = self.evmcs()?;
        // SAFETY: `evmcs` stays mapped until this thread unmaps it; it is aligned (see above).
        let control = unsafe {
            addr_of!((*evmcs).hv_enlightenments_control)
                .cast::<u32>()
                .read_volatile()
        };

        Some(control & NESTED_FLUSH_HYPERCALL != 0)
    }

    /// L1 has mapped an enlightened VMCS.
    pub(crate) fn has_evmcs(self) -> bool {
        self.evmcs().is_some()
    }

    /// L1 has made a plain VMCS the current one; it cannot while it has an enlightened one.
    pub(crate) fn has_plain_vmcs(self) -> bool {
        // SAFETY: By the type invariant; only this thread writes it.
        let vmcs12_gpa = unsafe { addr_of!((*self.vmx()).nested.current_vmptr).read() };

        vmcs12_gpa != INVALID_GPA
    }

    fn evmcs(self) -> Option<*mut bindings::hv_enlightened_vmcs> {
        // SAFETY: By the type invariant; only this thread maps and unmaps it.
        let evmcs = unsafe { addr_of!((*self.vmx()).nested.hv_evmcs).read() };

        (!evmcs.is_null()).then_some(evmcs)
    }

    /// All vCPUs of the VM, with their index. Those that come into being meanwhile may be missed:
    /// they have no translations yet.
    pub(crate) fn all_vcpus(self) -> impl Iterator<Item = (usize, AnyVcpu<'a>)> {
        // SAFETY: The VM of a valid vCPU.
        let nr = unsafe { bindings::nvmx_nr_vcpus(self.kvm()) } as usize;

        (0..nr).filter_map(move |index| Some((index, self.vcpu_at(index)?)))
    }

    /// The vCPU with that index.
    pub(crate) fn vcpu_at(self, index: usize) -> Option<AnyVcpu<'a>> {
        let index = u32::try_from(index).ok()?;
        let mut hv = ptr::null_mut();
        // SAFETY: The VM of a valid vCPU.
        let vcpu = unsafe { bindings::nvmx_get_vcpu(self.kvm(), index, &mut hv) };

        if vcpu.is_null() {
            return None;
        }
        // INVARIANT: vCPUs stay until their VM goes, all of a VM's are VMX's here, and the state
        // was complete when its pointer was stored.
        Some(AnyVcpu {
            vcpu,
            hv,
            index,
            _vm: PhantomData,
        })
    }

    /// Each vCPU's virtual processor index is its own index, so that there is nothing to look up.
    pub(crate) fn vp_indexes_are_indexes(self) -> bool {
        // SAFETY: The VM of a valid vCPU.
        !unsafe { bindings::nvmx_hv_vp_indexes_differ(self.kvm()) }
    }
}

impl<'a> Hyperv<'a> {
    /// The CPUID that L1 sees offers direct flushes.
    pub(crate) fn offers_direct_flush(self) -> bool {
        // SAFETY: By the type invariant; only this thread writes it.
        let features = unsafe { addr_of!((*self.hv).cpuid_cache.nested_eax).read() };

        features & bindings::NVMX_NESTED_DIRECT_FLUSH != 0
    }

    /// The VP assist page, as it was at the last VM entry, enables direct flushes.
    pub(crate) fn assist_page_enables_direct_flush(self) -> bool {
        // SAFETY: By the type invariant; only this thread writes the copy. It is packed.
        let features =
            unsafe { addr_of!((*self.hv).vp_assist_page.nested_control.features).read_unaligned() };

        features.directhypercall() != 0
    }

    /// L1's guest-physical address of L2's partition assist page, perhaps invalid.
    pub(crate) fn partition_assist_page(self) -> u64 {
        // SAFETY: By the type invariant; only this thread writes it.
        unsafe { addr_of!((*self.hv).nested.pa_page_gpa).read() }
    }

    /// The virtual machine that L2 belongs to.
    pub(crate) fn vm_id(self) -> u64 {
        // SAFETY: As above.
        unsafe { addr_of!((*self.hv).nested.vm_id).read() }
    }

    /// X8: if KVM has mapped the enlightened VMCS without reading L2's numbers from it, as after a
    /// restore, reads them now.
    pub(crate) fn learn_identity(self) {
        if self.partition_assist_page() != INVALID_GPA {
            return;
        }
        let Some(evmcs) = self.vcpu.evmcs() else {
            return;
        };
        // SAFETY: `evmcs` is mapped and aligned, see `evmcs_enables_direct_flush`. Only this thread
        // writes the fields; `identity` reads them on others, this order reversed.
        unsafe {
            let vm = addr_of!((*evmcs).hv_vm_id).cast::<u64>().read_volatile();
            let vp = addr_of!((*evmcs).hv_vp_id).cast::<u32>().read_volatile();
            let page = addr_of!((*evmcs).partition_assist_page).cast::<u64>();
            addr_of_mut!((*self.hv).nested.vm_id).write_volatile(vm);
            addr_of_mut!((*self.hv).nested.vp_id).write_volatile(vp);
            Atomic::<u64>::from_ptr(addr_of_mut!((*self.hv).nested.pa_page_gpa))
                .store(page.read_volatile(), Release);
        }
    }

    /// The vCPU's own queue for `level`.
    pub(crate) fn queue(self, level: Level) -> OwnQueue<'a> {
        // SAFETY: By the type invariant; this is the vCPU's own thread.
        unsafe { OwnQueue::new(queue(self.hv, level)) }
    }

    /// An empty set of the VM's vCPUs, in KVM's buffer for it.
    pub(crate) fn empty_vcpu_set(self) -> VcpuSet<'a> {
        // INVARIANT: Only this thread uses the buffer, in one call at a time.
        // SAFETY: By the type invariant.
        let words = unsafe {
            let words = addr_of_mut!((*self.hv).vcpu_mask);
            words.write_bytes(0, 1);
            words
        };

        VcpuSet {
            words,
            _hv: PhantomData,
        }
    }
}

/// # Safety
///
/// `hv` is a vCPU's Hyper-V state and valid for `'a`.
unsafe fn queue<'a>(hv: *mut bindings::kvm_vcpu_hv, level: Level) -> Queue<'a> {
    let index = match level {
        Level::L1 => 0,
        Level::L2 => 1,
    };

    // SAFETY: By the caller's promise; there are two.
    unsafe {
        let queues = addr_of_mut!((*hv).tlb_flush_fifo);
        Queue::from_raw(
            queues
                .cast::<bindings::kvm_vcpu_hv_tlb_flush_fifo>()
                .add(index),
        )
    }
}

/// A set of a VM's vCPUs.
///
/// # Invariants
///
/// `words` is valid for `'a`, and only the thread that has this value uses it.
pub(crate) struct VcpuSet<'a> {
    words: *mut [usize],
    _hv: PhantomData<&'a bindings::kvm_vcpu_hv>,
}

impl VcpuSet<'_> {
    /// Adds the vCPU with that index.
    pub(crate) fn add(&mut self, index: usize) {
        if index / 64 < self.words.len() {
            // SAFETY: By the type invariant and the comparison.
            unsafe { *self.as_mut_ptr().add(index / 64) |= 1 << (index % 64) };
        }
    }

    /// For C: a bit for each vCPU that a VM can have.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut usize {
        self.words.cast()
    }
}

/// Any vCPU of the VM, whose own thread may be running.
///
/// # Invariants
///
/// `vcpu` is a VMX vCPU and valid for `'a`; so is `hv`, its Hyper-V state, unless NULL.
#[derive(Clone, Copy)]
pub(crate) struct AnyVcpu<'a> {
    vcpu: *mut bindings::kvm_vcpu,
    hv: *mut bindings::kvm_vcpu_hv,
    index: u32,
    _vm: PhantomData<&'a bindings::kvm_vcpu>,
}

impl<'a> AnyVcpu<'a> {
    /// Its number for Hyper-V. (`kvm_hv_get_vpindex`.)
    pub(crate) fn vp_index(self) -> u32 {
        if self.hv.is_null() {
            return self.index;
        }
        // SAFETY: By the type invariant; user space may set it meanwhile.
        unsafe { addr_of!((*self.hv).vp_index).read_volatile() }
    }

    /// Who its L2 is, if it has Hyper-V state.
    pub(crate) fn identity(self) -> Option<Identity> {
        if self.hv.is_null() {
            return None;
        }
        // SAFETY: By the type invariant.
        Some(unsafe { identity(self.vcpu, self.hv) })
    }

    /// KVM_REQ_TLB_FLUSH: all of its translations, of both levels. It serves this with the next
    /// request that kicks it, or before.
    pub(crate) fn request_tlb_flush(self) {
        // SAFETY: By the type invariant; setting a request is atomic.
        unsafe { bindings::nvmx_request_tlb_flush(self.vcpu) };
    }

    /// Its queue for `level`, if it has Hyper-V state.
    pub(crate) fn queue(self, level: Level) -> Option<Queue<'a>> {
        if self.hv.is_null() {
            return None;
        }
        // SAFETY: By the type invariant.
        Some(unsafe { queue(self.hv, level) })
    }
}
