/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All of C that the Rust code uses: what bindgen makes of KVM's own headers, and
 * short functions for what bindgen cannot translate.
 */
#ifndef RUST_KVM_NVMX_HELPERS_H
#define RUST_KVM_NVMX_HELPERS_H

#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>

#include "x86.h"
#include "hyperv.h"
#include "mmu.h"
#include "mmu/spte.h"
#include "nvmx_hooks.h"
#include "nvmx_trace.h"
#include "vmx/nested.h"
#include "vmx/vmx.h"

/* The counters of counters.rs: the hooks', then its own. */
enum { NVMX_NR_COUNTERS = KVM_NVMX_NR_HOOKS + 17 };
DECLARE_PER_CPU(u64[NVMX_NR_COUNTERS], nvmx_counters);
u64 nvmx_counter_sum(unsigned int counter);
void nvmx_counters_reset(void);

/* The prototypes that the module was built with. KVM compares them with its own. */
extern const char *const nvmx_prototypes;

/* debugfs.c makes a file, debugfs.rs says what is in it. */
struct dentry;
struct seq_file;
struct nvmx_files {
	int (*show)(struct nvmx_files *files, unsigned long number, struct seq_file *m);
	ssize_t (*write)(struct nvmx_files *files, unsigned long number,
			 const void __user *from, size_t len);
};

void nvmx_file_create(const char *name, u16 mode, struct dentry *dir, struct nvmx_files *files,
		      unsigned long number);

/* Numbers that registration compares, under their own names. */
#define NVMX_NUMBER(number) static const u64 NVMX_##number = number
NVMX_NUMBER(KVM_REQ_TLB_FLUSH);
NVMX_NUMBER(KVM_REQ_TLB_FLUSH_CURRENT);
NVMX_NUMBER(KVM_REQ_TLB_FLUSH_GUEST);
NVMX_NUMBER(KVM_REQ_HV_TLB_FLUSH);
NVMX_NUMBER(KVM_REQ_APIC_PAGE_RELOAD);
NVMX_NUMBER(KVM_REQ_APF_READY);
NVMX_NUMBER(KVM_MMU_ROOT_CURRENT);
NVMX_NUMBER(KVM_MMU_ROOTS_ALL);
NVMX_NUMBER(KVM_MMU_NUM_PREV_ROOTS);
NVMX_NUMBER(KVM_MMU_CR0_ROLE_BITS);
NVMX_NUMBER(KVM_MMU_CR4_ROLE_BITS);
NVMX_NUMBER(KVM_HV_TLB_FLUSH_FIFO_SIZE);
NVMX_NUMBER(HF_GUEST_MASK);

/* Macros with types or shifts in them, as constants. */
static const u32 NVMX_SECONDARY_CONTROLS = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
static const u32 NVMX_ENABLE_VPID = SECONDARY_EXEC_ENABLE_VPID;
static const u32 NVMX_ENABLE_EPT = SECONDARY_EXEC_ENABLE_EPT;
static const u32 NVMX_APIC_ACCESSES = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
static const u32 NVMX_VIRTUALIZE_APIC_ACCESSES = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
static const u32 NVMX_INVVPID = VMX_VPID_INVVPID_BIT;
static const u32 NVMX_INVEPT = VMX_EPT_INVEPT_BIT;
static const u32 NVMX_INVALID_OPERAND = VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID;
static const u32 NVMX_REQUEST_MASK = KVM_REQUEST_MASK;
static const u32 NVMX_MAX_VCPUS = KVM_MAX_VCPUS;
static const u32 NVMX_MAX_TAGS = ARRAY_SIZE(((struct kvm_hv *)NULL)->l2_tags);
static const u32 NVMX_MAX_PARKED = ARRAY_SIZE(((struct nested_vmx *)NULL)->parked_vpids);
static const u32 NVMX_FOLL_WRITE = FOLL_WRITE;
static const u32 NVMX_NO_PFN_HIGH = KVM_PFN_ERR_NOSLOT_MASK >> 32;
static const u64 NVMX_ASYNC_PF = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;
static const u8 NVMX_DB_VECTOR = DB_VECTOR;
static const u32 NVMX_NR_REGS = ARRAY_SIZE(((struct kvm_vcpu *)NULL)->arch.regs);
static const u64 NVMX_APIC_GFN = APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT;
static const unsigned long NVMX_ROOT_PREVIOUS_0 = KVM_MMU_ROOT_PREVIOUS(0);
static const u32 NVMX_NESTED_DIRECT_FLUSH = HV_X64_NESTED_DIRECT_FLUSH;
static const u64 NVMX_FINAL_ACCESS = PFERR_GUEST_FINAL_MASK;
static const unsigned long NVMX_EXIT_INSTRUCTION_LEN = VM_EXIT_INSTRUCTION_LEN;
static const unsigned long NVMX_APIC_ACCESS_ADDR = APIC_ACCESS_ADDR;
static const unsigned long NVMX_PENDING_DEBUG = GUEST_PENDING_DBG_EXCEPTIONS;

bool nvmx_cpu_has_vmx(void);
bool nvmx_remote_flush_misses_roots(void);

/* The log has room for a difference that was found. */
bool nvmx_may_warn(void);

/* The way from a root's address to what the MMU knows of its page (root_to_sp()). */
static const unsigned long NVMX_PAGE_SHIFT = PAGE_SHIFT;
static const unsigned long NVMX_SIZE_OF_PAGE = sizeof(struct page);
static const u32 NVMX_5_LEVELS = PT64_ROOT_5LEVEL;
unsigned long *nvmx_private_of_first_page(void);
u64 nvmx_dummy_root(void);

/* The slot of L1's APIC-access page; NULL if there is none, or an invalid one. */
const struct kvm_memory_slot *nvmx_apic_slot(struct kvm *kvm);
bool nvmx_gfn_invalidated_since(struct kvm *kvm, unsigned long sequence, u64 gfn);
u64 nvmx_pfn_to_hpa(u64 pfn);
void nvmx_lock_mmu(struct kvm *kvm);
void nvmx_unlock_mmu(struct kvm *kvm);

/* Hyper-V's hypercalls, and the queues of addresses to flush. */
void nvmx_hypercall_set_result(struct kvm_vcpu *vcpu, bool long_mode, u64 result);

/* If there is such a vCPU, sets hv to its Hyper-V state, or to NULL if it has none. */
struct kvm_vcpu *nvmx_get_vcpu(struct kvm *kvm, unsigned int index, struct kvm_vcpu_hv **hv);
bool nvmx_take_hv_tlb_flush_request(struct kvm_vcpu *vcpu);

/* To write to a queue: open locks it and returns its room, close adds entries and unlocks it. */
unsigned int nvmx_hv_queue_open(struct kvm_vcpu_hv_tlb_flush_fifo *queue);
void nvmx_hv_queue_close(struct kvm_vcpu_hv_tlb_flush_fifo *queue, const u64 *entries,
			 unsigned int nr);
unsigned int nvmx_hv_queue_out(struct kvm_vcpu_hv_tlb_flush_fifo *queue, u64 *entries,
			       unsigned int nr);
void nvmx_hv_queue_discard(struct kvm_vcpu_hv_tlb_flush_fifo *queue);

#endif /* RUST_KVM_NVMX_HELPERS_H */
