// SPDX-License-Identifier: GPL-2.0

//! The fields of KVM's structures that the module reads or writes, each declared once.
//!
//! A declaration makes two things: the constant through which the field is accessed, and the
//! field's line in [`LAYOUT`]. Registration compares the lines with those of the running kernel,
//! because neither vermagic nor a version number says anything about a structure's layout. Only the
//! parts of a compared field, e.g. the address in a root, are named elsewhere: they are compared by
//! the size of the whole.
//!
//! Also compared: what the C functions in `helpers.c` use, and the numbers of KVM's requests. The
//! bits within a word, e.g. the level in an MMU role, come from the headers that the module is
//! built with and are not compared.

use core::mem::offset_of;

use super::bindings::{
    self,
    kvm_nvmx_layout, //
};
use crate::policy::history;

#[macro_use]
mod declare;
pub(crate) mod compat;

use declare::{
    line,
    size_behind, //
};
pub(super) use declare::{
    Field,
    Number,
    SharedField,
    SharedNumber,
    Word, //
};

fields! {
    /// The VM.
    Field KVM: kvm_vcpu.kvm is *mut bindings::kvm;
    /// HF_* flags, among them whether L2 is active.
    Field HFLAGS: kvm_vcpu.arch.hflags is u32;
    /// A nested VM entry has begun, and L2 has not run yet.
    Field NESTED_RUN_PENDING: kvm_vcpu.arch.nested_run_pending is u8;
    /// The MMU context in use.
    Field MMU: kvm_vcpu.arch.mmu is *mut bindings::kvm_mmu;
    /// The context of L1, and of an L2 without EPT in its vmcs12.
    Field ROOT_MMU: kvm_vcpu.arch.root_mmu is bindings::kvm_mmu;
    /// The context of an L2 with EPT in its vmcs12.
    Field GUEST_MMU: kvm_vcpu.arch.guest_mmu is bindings::kvm_mmu;
    /// Hyper-V state. It is set once, by the vCPU's own thread.
    Field HYPERV: kvm_vcpu.arch.hyperv is *mut bindings::kvm_vcpu_hv;
    /// Statistics: flushes. Only the vCPU's thread writes it.
    SharedNumber STAT_TLB_FLUSH: kvm_vcpu.stat.tlb_flush is u64;
    /// The vCPU's index in its VM.
    Field VCPU_INDEX: kvm_vcpu.vcpu_idx is i32;
    /// Statistics: hypercalls. Only the vCPU's thread writes it.
    SharedNumber STAT_HYPERCALLS: kvm_vcpu.stat.hypercalls is u64;
    /// General-purpose registers, in the order of the instruction set.
    Field REGS: kvm_vcpu.arch.regs as [u64; bindings::NVMX_NR_REGS as usize];
    /// An exception that is queued for the guest.
    Field EXCEPTION: kvm_vcpu.arch.exception is bindings::kvm_queued_exception;
    /// An exception that is queued for L1, which intercepts it.
    Field EXCEPTION_VMEXIT: kvm_vcpu.arch.exception_vmexit is bindings::kvm_queued_exception;
    /// The guest's MSR_KVM_ASYNC_PF_EN.
    Field ASYNC_PF: kvm_vcpu.arch.apf.msr_en_val is u64;
    /// The requests, a bit each.
    SharedField REQUESTS: kvm_vcpu.requests as u64;
    /// The CPU that the vCPU is loaded on. It changes when the scheduler moves the vCPU's thread.
    SharedField VCPU_CPU: kvm_vcpu.cpu is i32;

    /// The root in use, by its host-physical address.
    Field ROOT_HPA: kvm_mmu.root.hpa is u64;
    /// The root in use, by its name for the guest: a CR3, or an EPT pointer of L1's.
    Field ROOT_PGD: kvm_mmu.root.pgd is u64;
    /// How many roots are kept for later use at most.
    Field NR_PREVIOUS: kvm_mmu.nr_prev_roots is u32;
    /// The roots that are kept for later use.
    Field PREVIOUS_ROOTS: kvm_mmu.prev_roots is [bindings::kvm_mmu_root_info; super::mmu::PREVIOUS];
    /// What kind of page it is.
    SharedField ROLE: kvm_mmu_page.role as u32;

    /// The vCPU in VMX's structure for it.
    Field VCPU: vcpu_vmx.vcpu is bindings::kvm_vcpu;
    /// vpid01.
    Field VPID01: vcpu_vmx.vpid is i32;
    /// The VMCS that is current.
    Field LOADED_VMCS: vcpu_vmx.loaded_vmcs is *mut bindings::loaded_vmcs;
    /// Nested state.
    Field NESTED: vcpu_vmx.nested is bindings::nested_vmx;
    /// vpid02.
    Number VPID02: nested_vmx.vpid02 is u16;
    /// The vpid12 that vpid02 was last used for.
    Number LAST_VPID: nested_vmx.last_vpid is u16;
    /// What is known of the L2 that owns vpid02. ([`super::pairs`] says what is where.)
    Field VPID02_OWNER: nested_vmx.vpid02_owner is bindings::nested_vpid;
    /// How many entries found no parked VPID.
    Number VPID_MISSES: nested_vmx.vpid_misses is u16;
    /// How many VPIDs are parked.
    Field NR_PARKED: nested_vmx.nr_parked_vpids is u16;
    /// VPIDs that other vpid12s ran with.
    Field PARKED: nested_vmx.parked_vpids is [bindings::nested_vpid; super::pairs::MAX_PARKED];
    /// A parked VPID; or, in `vpid02_owner`, the owner that was set last.
    Number PAIR_VPID: nested_vpid.vpid is u16;
    /// The vpid12 that it was last used for.
    Number PAIR_OWNER: nested_vpid.vpid12 is u16;
    /// The VM id of the L2 that it was last used for.
    Number PAIR_VM: nested_vpid.vm_id is u64;
    /// Its VP id.
    Number PAIR_VP: nested_vpid.vp_id is u32;
    /// The flush calls for it when it last ran.
    Number PAIR_CALLS: nested_vpid.calls is u64;
    /// The page frame number of L2's APIC-access page, since KVM mapped it for a VM entry.
    Field L2_APIC_PFN: nested_vmx.apic_access_page_map.pfn is u64;
    /// The APIC-access page of the L2 without EPT that ran last.
    Number L2_APIC_PAGE: nested_vmx.l2_apic_page is u64;
    /// For [`super::check`].
    Field HOOKS_CHECK: nested_vmx.hooks_check is *mut kernel::ffi::c_void;
    /// KVM's copy of vmcs12.
    Field CACHED_VMCS12: nested_vmx.cached_vmcs12 is *mut bindings::vmcs12;
    /// vmcs02.
    Field VMCS02: nested_vmx.vmcs02 is bindings::loaded_vmcs;
    /// L1's guest-physical address of the enlightened VMCS, or a number that is none.
    Field HV_EVMCS_VMPTR: nested_vmx.hv_evmcs_vmptr is u64;
    /// The enlightened VMCS that is mapped.
    Field HV_EVMCS: nested_vmx.hv_evmcs is *mut bindings::hv_enlightened_vmcs;
    /// Secondary controls that L1 is offered.
    Field SECONDARY_CTLS_HIGH: nested_vmx.msrs.secondary_ctls_high is u32;
    /// IA32_VMX_EPT_VPID_CAP for L1, bits 31:0.
    Field EPT_CAPS: nested_vmx.msrs.ept_caps is u32;
    /// IA32_VMX_EPT_VPID_CAP for L1, bits 63:32.
    Field VPID_CAPS: nested_vmx.msrs.vpid_caps is u32;
    /// The CPU that a VMCS was last loaded on. A CPU that goes offline clears it.
    SharedField VMCS_CPU: loaded_vmcs.cpu is i32;
    /// The secondary controls of a VMCS, as KVM last wrote them.
    Field SECONDARY_EXEC: loaded_vmcs.controls_shadow.secondary_exec is u32;

    /// Primary processor-based controls.
    Field CPU_BASED_CONTROL: vmcs12.cpu_based_vm_exec_control is u32;
    /// Secondary processor-based controls.
    Field SECONDARY_CONTROL: vmcs12.secondary_vm_exec_control is u32;
    /// vpid12.
    Field VPID12: vmcs12.virtual_processor_id is u16;
    /// eptp12.
    Field EPTP12: vmcs12.ept_pointer is u64;

    /// How many vCPUs it has.
    SharedField ONLINE_VCPUS: kvm.online_vcpus as i32;
    /// How often pages were taken away from the VM.
    SharedField INVALIDATIONS: kvm.mmu_invalidate_seq as u64;
    /// Hyper-V's state of a VM.
    Field VM_HYPERV: kvm.arch.hyperv is bindings::kvm_hv;
    /// Counts of L2s' flush calls.
    SharedField L2_FLUSH_CALLS: kvm_hv.l2_flush_calls as [u64; history::WORDS];
    /// Its vCPUs whose index for Hyper-V is not their index in KVM.
    SharedField NR_OTHER_VP_INDEXES: kvm_hv.num_mismatched_vp_indexes as i32;
    /// A tag for each of the first vCPUs. A vCPU's own thread writes it.
    SharedNumber L2_TAGS: kvm_hv.l2_tags is [u8; bindings::NVMX_MAX_TAGS as usize];

    /// The virtual processor's index for Hyper-V. User space may set it at any time.
    SharedField VP_INDEX: kvm_vcpu_hv.vp_index is u32;
    /// L1's guest-physical address of L2's partition assist page.
    SharedNumber PA_PAGE_GPA: kvm_vcpu_hv.nested.pa_page_gpa is u64;
    /// L2's VM id.
    SharedNumber VM_ID: kvm_vcpu_hv.nested.vm_id is u64;
    /// L2's VP id.
    SharedNumber VP_ID: kvm_vcpu_hv.nested.vp_id is u32;
    /// CPUID 0x4000000A.EAX for L1.
    Field CPUID_NESTED_EAX: kvm_vcpu_hv.cpuid_cache.nested_eax is u32;
    /// KVM's copy of the VP assist page.
    Field VP_ASSIST_PAGE: kvm_vcpu_hv.vp_assist_page is bindings::hv_vp_assist_page;
    /// The queues of addresses to flush.
    Field FLUSH_QUEUES: kvm_vcpu_hv.tlb_flush_fifo is [bindings::kvm_vcpu_hv_tlb_flush_fifo; 2];
    /// A buffer for a set of vCPUs.
    Number VCPU_MASK: kvm_vcpu_hv.vcpu_mask as [u64; super::peers::SET_WORDS];

    /// Code of a hypercall.
    Field CALL_CODE: kvm_hv_hcall.code is u16;
    /// Words of its variable header.
    Field CALL_VAR_CNT: kvm_hv_hcall.var_cnt is u16;
    /// Its repetitions.
    Field CALL_REP_CNT: kvm_hv_hcall.rep_cnt is u16;
    /// Its input is in registers.
    Field CALL_FAST: kvm_hv_hcall.fast is bool;
    /// Guest-physical address of its input, or the first word of it.
    Field CALL_INGPA: kvm_hv_hcall.ingpa is u64;
    /// Guest-physical address of its output, or the second word of its input.
    Field CALL_OUTGPA: kvm_hv_hcall.outgpa is u64;
    /// The XMM registers with the other words of its input, the low half of each first.
    Field CALL_XMM: kvm_hv_hcall.xmm as [u64; crate::policy::hv_call::FAST_WORDS - 2];

    /// Which of L2's events L0 handles. L1 may write it at any time.
    SharedField ENLIGHTENMENTS: hv_enlightened_vmcs.hv_enlightenments_control as u32;
    /// L1's guest-physical address of L2's partition assist page. L1 may write it at any time.
    SharedField EVMCS_ASSIST_PAGE: hv_enlightened_vmcs.partition_assist_page is u64;
    /// L2's VM id. L1 may write it at any time.
    SharedField EVMCS_VM_ID: hv_enlightened_vmcs.hv_vm_id is u64;
    /// L2's VP id. L1 may write it at any time.
    SharedField EVMCS_VP_ID: hv_enlightened_vmcs.hv_vp_id is u32;
}

parts! {
    /// Of a root that is kept: its host-physical address.
    Field PREVIOUS_HPA: kvm_mmu_root_info.hpa is u64;
    /// Its name for the guest.
    Field PREVIOUS_PGD: kvm_mmu_root_info.pgd is u64;
    /// Of the VP assist page: what L1 wants L0 to do for L2s.
    Field ASSIST_PAGE_FEATURES: hv_vp_assist_page.nested_control.features
        is bindings::hv_nested_enlightenments_control__bindgen_ty_1;
    /// How many entries have ever been added to a queue, modulo 2^32.
    SharedField QUEUE_ADDED: kvm_vcpu_hv_tlb_flush_fifo.entries.__bindgen_anon_1.kfifo.in_ is u32;
    /// How many have been taken out. Only the queue's reader writes it.
    SharedField QUEUE_TAKEN: kvm_vcpu_hv_tlb_flush_fifo.entries.__bindgen_anon_1.kfifo.out is u32;
}

/// An element of an array that has it, for constants.
const fn element<S, T, const N: usize>(array: Field<S, [T; N]>, number: usize) -> Field<S, T> {
    match array.at(number) {
        Some(field) => field,
        None => panic!("no such element"),
    }
}

/// The queue of what to flush for L1. `helpers.c` asserts which comes first.
pub(super) const L1_FLUSH_QUEUE: Field<
    bindings::kvm_vcpu_hv,
    bindings::kvm_vcpu_hv_tlb_flush_fifo,
> = element(FLUSH_QUEUES, 0);
/// The queue of what to flush for L2.
pub(super) const L2_FLUSH_QUEUE: Field<
    bindings::kvm_vcpu_hv,
    bindings::kvm_vcpu_hv_tlb_flush_fifo,
> = element(FLUSH_QUEUES, 1);

used_by_helpers! {
    kvm_vcpu.vcpu_id;
    kvm.mmu_lock;
    kvm.mmu_invalidate_in_progress;
    kvm.mmu_invalidate_range_start;
    kvm.mmu_invalidate_range_end;
    kvm.memslots;
    kvm.vcpu_array;
    kvm_memslots.id_hash;
    kvm_memslots.node_idx;
    kvm_memory_slot.id;
    kvm_memory_slot.id_node;
    kvm_memory_slot.flags;
    kvm_vcpu_hv_tlb_flush_fifo.write_lock;
    kvm_vcpu_hv_tlb_flush_fifo.entries;
}

sizes! {
    kvm_nvmx_ops;
    kvm_nvmx_host;
    kvm_nvmx_client;
    kvm_nvmx_kvm_functions;
    kvm_nvmx_vmx_functions;
    vmx_invalidation;
    kvm;
    kvm_vcpu;
    vcpu_vmx;
    vmcs12;
    kvm_mmu;
    kvm_mmu_root_info;
    kvm_mmu_page;
    kvm_hv;
    kvm_vcpu_hv;
    kvm_vcpu_hv_tlb_flush_fifo;
    kvm_hv_hcall;
    kvm_memory_slot;
    kvm_memslots;
    hv_enlightened_vmcs;
}

numbers! {
    KVM_REQ_TLB_FLUSH;
    KVM_REQ_TLB_FLUSH_CURRENT;
    KVM_REQ_TLB_FLUSH_GUEST;
    KVM_REQ_HV_TLB_FLUSH;
    KVM_REQ_APIC_PAGE_RELOAD;
    KVM_REQ_APF_READY;
    KVM_MMU_ROOT_CURRENT;
    KVM_MMU_ROOTS_ALL;
    KVM_MMU_NUM_PREV_ROOTS;
    KVM_MMU_CR0_ROLE_BITS;
    KVM_MMU_CR4_ROLE_BITS;
    KVM_HV_TLB_FLUSH_FIFO_SIZE;
    HF_GUEST_MASK;
}

const LINES: usize =
    FIELDS.len() + compat::LINES.len() + HELPERS.len() + SIZES.len() + NUMBERS.len();

/// All lines, as C takes them.
#[repr(transparent)]
pub(super) struct Layout([kvm_nvmx_layout; LINES]);

// SAFETY: The pointers in the lines are to constant strings, which any thread may read.
unsafe impl Sync for Layout {}

impl Layout {
    /// The number of lines.
    pub(super) const LEN: u32 = LINES as u32;

    /// The first line.
    pub(super) const fn as_ptr(&self) -> *const kvm_nvmx_layout {
        self.0.as_ptr()
    }
}

/// What the module relies on.
pub(super) static LAYOUT: Layout = {
    let mut all = [line("\0", 0, 0); LINES];
    let parts = [FIELDS, compat::LINES, HELPERS, SIZES, NUMBERS];
    let (mut part, mut to) = (0, 0);

    while part < parts.len() {
        let mut from = 0;
        while from < parts[part].len() {
            all[to] = parts[part][from];
            from += 1;
            to += 1;
        }
        part += 1;
    }
    Layout(all)
};
