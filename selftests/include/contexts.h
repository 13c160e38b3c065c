/* SPDX-License-Identifier: GPL-2.0 */
/*
 * L2 contexts: several L2s that one L1 runs in turn.  Each has its own VMCS,
 * its own stack and its own page tables, in which one range of linear addresses
 * is backed by other pages than in the next context, so that a translation
 * that should have been flushed is seen as a wrong number.
 *
 * Functions that begin with l1_ or l2_ are guest code of that level, the
 * others are for the host.
 */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include "kvm_util.h"
#include "processor.h"
#include "hyperv.h"
#include "vmx.h"
#include "compat.h"

/* Alone in its PML4 slot: page tables are shared but for this range. */
#define L2_DATA_GVA	0x640000000000ul
#define L2_MAX_PAGES	64

enum l2_ept {
	L2_EPT_OFF,
	L2_EPT_SHARED,		/* one eptp12 for all contexts that say so */
	L2_EPT_OWN,		/* an eptp12 of its own */
};

/* Shared between host and L1; pointers are L1's linear addresses. */
struct l2_context {
	struct vmx_pages *vmx;
	struct hyperv_test_pages *hv;	/* eVMCS pages, NULL for an ordinary VMCS */
	u64 eptp_gpa;			/* 0: EPT off */
	u64 cr3;
	u64 *pd;			/* the page directory of L2_DATA_GVA */
	u64 *pt;			/* ... and the page table */
	u64 rsp;			/* with which L2 starts */
	u64 page_gpa[L2_MAX_PAGES];
	u64 number;
	u16 vpid;			/* 0: VPID off */
	bool launched;
};

/* What page @page of context @number holds. */
static inline u64 l2_page_value(u64 number, u64 page)
{
	return 0x5a00000000000000ul | number << 32 | page;
}

/* Host: a VM with memory for @nr_contexts contexts of @nr_pages each. */
struct kvm_vm *contexts_vm_create(int nr_vcpus, int nr_contexts, int nr_pages);

/*
 * Host: allocate context @number with @nr_pages data pages.  Call
 * vm_enable_ept() before the first one that wants EPT, and
 * contexts_finish() after the last allocation of the test.
 */
struct l2_context *context_create(struct kvm_vm *vm, u64 number, int nr_pages,
				  enum l2_ept ept, gva_t *gva);

/* Host: the same, with @vpid, for the guest alone: its own pointer to it. */
struct l2_context *context_for_guest(struct kvm_vm *vm, u64 number, int nr_pages,
				     enum l2_ept ept, u16 vpid);

/* @first: a context of the same vCPU, which has one VP assist page for all; or NULL. */
void context_use_evmcs(struct kvm_vm *vm, struct l2_context *context,
		       const struct l2_context *first);
void contexts_finish(struct kvm_vm *vm);

/* Host: skip the test where L0 cannot handle L2's flush hypercalls for L1. */
void require_direct_flush(void);

/*
 * Host: a VM whose only vCPU runs @l1_code(struct l2_context *context, u64 hypercall_gpa).
 * The context is number 0, has one page and @vpid, and an enlightened VMCS.
 */
struct kvm_vm *direct_flush_vm(enum l2_ept ept, u16 vpid, void *l1_code,
			       struct kvm_vcpu **vcpu);

/* Guest: GUEST_SYNC() with a number for the host. */
#define GUEST_SYNC_WITH(stage, number)	ucall(UCALL_SYNC, 3, "hello", stage, number)

/*
 * Host: run until the guest's next GUEST_SYNC(); returns its stage, 0 when
 * done, and puts the number of a GUEST_SYNC_WITH() in @number unless NULL.
 */
u64 run_to_sync_with(struct kvm_vcpu *vcpu, u64 *number);

static inline u64 run_to_sync(struct kvm_vcpu *vcpu)
{
	return run_to_sync_with(vcpu, NULL);
}

/* Host: kvm_intel's parameters, as loaded now. */
bool kvm_has_ept(void);
bool kvm_has_vpid(void);

/* L1: VMX operation; not for eVMCS, see l1_hyperv_on(). */
void l1_vmxon(struct l2_context *context);

/* L1: what a Hyper-V guest does before it may use eVMCS or hypercalls. */
void l1_hyperv_on(struct l2_context *context, u64 hypercall_gpa);

/* The same on the page tables of @tables, and with a VP index that others may name. */
void l1_hyperv_on_tables(struct l2_context *tables, u64 hypercall_gpa);

/* L1: let L0 take the TLB flush hypercalls of this eVMCS's L2. */
void l1_allow_direct_flush(struct l2_context *context, u64 vm_id, u32 vp_id);

/* L1: make @context's VMCS the current one; set up for @l2_code the first time. */
void l1_load(struct l2_context *context, void *l2_code);

/* L1: VPID of the current VMCS; 0 turns it off. */
void l1_set_vpid(struct l2_context *context, u16 vpid);

/* L1: run L2 until it exits, and return the exit reason. */
u64 l1_enter(struct l2_context *context);

/* L1: a VM entry that must fail; what is in the VM-instruction error then. */
u64 l1_enter_in_vain(struct l2_context *context);

/* L1: run L2 to its next VMCALL and step over it. */
void l1_run_to_vmcall(struct l2_context *context);

/* L1: L2 exited for @reason, which must be a VMCALL: step over it. */
void l1_skip_vmcall(struct l2_context *context, u64 reason);

/* L1 and L2: turn CR4's @bits on or off. */
static inline void guest_cr4(u64 bits, bool on)
{
	set_cr4(on ? get_cr4() | bits : get_cr4() & ~bits);
}

#endif
