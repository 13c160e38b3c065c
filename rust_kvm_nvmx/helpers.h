/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All of C that the Rust code sees: what bindgen makes of KVM's own headers,
 * and one-line functions for what bindgen cannot express.
 */
#ifndef RUST_KVM_NVMX_HELPERS_H
#define RUST_KVM_NVMX_HELPERS_H

#include <linux/jump_label.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>

#include "x86.h"
#include "hyperv.h"
#include "mmu.h"
#include "mmu/spte.h"
#include "nvmx_hooks.h"
#include "vmx/nested.h"
#include "vmx/vmx.h"

/* The counters of stats.rs, which knows what each is for. */
#define NVMX_NR_COUNTERS 52
DECLARE_PER_CPU(u64[NVMX_NR_COUNTERS], nvmx_counters);
u64 nvmx_counter_sum(unsigned int counter);
void nvmx_counters_reset(void);

/* One for each hook that Rust serves: is it C's now?  See mode.rs. */
struct nvmx_switch {
	struct static_key_false c;
};

extern struct nvmx_switch nvmx_switch_flush_tlb_all;
extern struct nvmx_switch nvmx_switch_flush_tlb_current;
extern struct nvmx_switch nvmx_switch_flush_tlb_gva;
extern struct nvmx_switch nvmx_switch_flush_tlb_guest;
extern struct nvmx_switch nvmx_switch_flush_tlb_reset;
extern struct nvmx_switch nvmx_switch_transition_tlb_flush;
extern struct nvmx_switch nvmx_switch_flush_tlb_apic_access;
extern struct nvmx_switch nvmx_switch_set_apic_access_page_addr;
extern struct nvmx_switch nvmx_switch_vmcs02_vpid;
extern struct nvmx_switch nvmx_switch_handle_invvpid;
extern struct nvmx_switch nvmx_switch_handle_invept;
extern struct nvmx_switch nvmx_switch_vmfunc_tlb_flush;
extern struct nvmx_switch nvmx_switch_post_set_cr0;
extern struct nvmx_switch nvmx_switch_post_set_cr4;
extern struct nvmx_switch nvmx_switch_steal_time_tlb_flush;
extern struct nvmx_switch nvmx_switch_hv_flush_tlb;
extern struct nvmx_switch nvmx_switch_hv_vcpu_flush_tlb;
extern struct nvmx_switch nvmx_switch_hv_purge_flush_tlb;
extern struct nvmx_switch nvmx_switch_hv_hypercall_complete;
extern struct nvmx_switch nvmx_switch_l2_tlb_flush_wanted;
extern struct nvmx_switch nvmx_switch_exit_after_l2_tlb_flush;
extern struct nvmx_switch nvmx_switch_evmcs_ids_changed;
bool nvmx_switch_is_c(struct nvmx_switch *hook);
void nvmx_switch_to_c(struct nvmx_switch *hook, bool c);

/* files.c makes a file, files.rs is asked what is in it. */
struct dentry;
struct seq_file;
void nvmx_file_create(const char *name, u16 mode, struct dentry *dir, unsigned long file);
int nvmx_file_show(struct seq_file *m, unsigned long file);
ssize_t nvmx_file_write(unsigned long file, const void __user *from, size_t len);

/* Macros with types or shifts in them, as constants. */
static const u32 NVMX_HF_GUEST_MASK = HF_GUEST_MASK;
static const u32 NVMX_SECONDARY_CONTROLS = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
static const u32 NVMX_ENABLE_VPID = SECONDARY_EXEC_ENABLE_VPID;
static const u32 NVMX_ENABLE_EPT = SECONDARY_EXEC_ENABLE_EPT;
static const u32 NVMX_VIRTUALIZE_APIC_ACCESSES = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
static const u32 NVMX_INVVPID = VMX_VPID_INVVPID_BIT;
static const u32 NVMX_INVEPT = VMX_EPT_INVEPT_BIT;
static const u32 NVMX_INVALID_OPERAND = VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID;
static const u32 NVMX_EMULATED = X86EMUL_CONTINUE;
static const u32 NVMX_FOLL_WRITE = FOLL_WRITE;
static const u64 NVMX_APIC_GFN = APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT;
static const unsigned long NVMX_ROOT_CURRENT = KVM_MMU_ROOT_CURRENT;
static const unsigned long NVMX_ROOT_PREVIOUS_0 = KVM_MMU_ROOT_PREVIOUS(0);
static const unsigned long NVMX_ROOTS_ALL = KVM_MMU_ROOTS_ALL;
static const u64 NVMX_CR0_ROLE = KVM_MMU_CR0_ROLE_BITS;
static const u64 NVMX_CR4_ROLE = KVM_MMU_CR4_ROLE_BITS;
static const u32 NVMX_NESTED_DIRECT_FLUSH = HV_X64_NESTED_DIRECT_FLUSH;
static const u64 NVMX_FINAL_ACCESS = PFERR_GUEST_FINAL_MASK;
static const unsigned long NVMX_EXIT_INSTRUCTION_LEN = VM_EXIT_INSTRUCTION_LEN;

bool nvmx_cpu_has_vmx(void);
bool nvmx_root_is_dummy(u64 root_hpa);
const struct kvm_mmu_page *nvmx_root_to_sp(u64 root_hpa);
void nvmx_request_tlb_flush(struct kvm_vcpu *vcpu);
void nvmx_request_tlb_flush_current(struct kvm_vcpu *vcpu);
void nvmx_request_tlb_flush_guest(struct kvm_vcpu *vcpu);
void nvmx_request_hv_tlb_flush(struct kvm_vcpu *vcpu);
void nvmx_request_apic_page_reload(struct kvm_vcpu *vcpu);
void nvmx_request_apf_ready(struct kvm_vcpu *vcpu);
bool nvmx_has_async_pf(struct kvm_vcpu *vcpu);
int nvmx_get_cpu(void);
void nvmx_put_cpu(void);

/* The slot of L1's APIC-access page; NULL if it has none that counts. */
const struct kvm_memory_slot *nvmx_apic_slot(struct kvm *kvm);
unsigned long nvmx_invalidations_so_far(struct kvm *kvm);
bool nvmx_gfn_invalidated_since(struct kvm *kvm, unsigned long sequence, u64 gfn);
bool nvmx_pfn_is_none(u64 pfn);
u64 nvmx_pfn_to_hpa(u64 pfn);
void nvmx_lock_mmu(struct kvm *kvm);
void nvmx_unlock_mmu(struct kvm *kvm);

/* Hyper-V's hypercalls, and each vCPU's queue of what they flush. */
u16 nvmx_hypercall_code(struct kvm_vcpu *vcpu, bool long_mode);
void nvmx_hypercall_set_result(struct kvm_vcpu *vcpu, bool long_mode, u64 result);
unsigned int nvmx_nr_vcpus(struct kvm *kvm);

/* If there is such a vCPU, sets hv to its Hyper-V state, or to NULL if it has none. */
struct kvm_vcpu *nvmx_get_vcpu(struct kvm *kvm, unsigned int index, struct kvm_vcpu_hv **hv);
bool nvmx_hv_vp_indexes_differ(struct kvm *kvm);
unsigned int nvmx_hv_tlb_flush_request(void);
bool nvmx_take_hv_tlb_flush_request(struct kvm_vcpu *vcpu);

/* To write to a queue: open locks it and returns its room, close has what is to go into it. */
unsigned int nvmx_hv_queue_open(struct kvm_vcpu_hv_tlb_flush_fifo *queue);
void nvmx_hv_queue_close(struct kvm_vcpu_hv_tlb_flush_fifo *queue, const u64 *entries,
			 unsigned int nr);
unsigned int nvmx_hv_queue_out(struct kvm_vcpu_hv_tlb_flush_fifo *queue, u64 *entries,
			       unsigned int nr);
void nvmx_hv_queue_discard(struct kvm_vcpu_hv_tlb_flush_fifo *queue);

#endif /* RUST_KVM_NVMX_HELPERS_H */
