/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two vCPUs whose L1 runs an L2 each on an enlightened VMCS and lets KVM handle the L2's
 * flush hypercalls.  All of them read the same page tables, which any of them changes.
 *
 * The host makes them take turns on one thread: nothing depends on timing.
 */
#ifndef HV_PAIR_H
#define HV_PAIR_H

#include "backing.h"
#include "flush_call.h"

#define HV_PAIR_PAGES	2
#define VM_ID		7

/* The vCPUs; L1's VP indexes, and the VP ids of the L2s. */
#define SENDER		0
#define TARGET		1

struct hv_pair {
	struct l2_context *tables;
	struct hv_input input;
};

/* Of the VM created last, known to its guests too. */
extern struct hv_pair hv_pair;

/*
 * Host: the VM, with memory for @nr_more further L2s.  @l1_code has the arguments
 * (struct l2_context *context, u64 hypercall_gpa, u64 id).  Each context has a vpid12
 * of 1, if KVM has any.
 */
struct kvm_vm *hv_pair_create(void *l1_code, int nr_more, struct kvm_vcpu *vcpus[2]);

/* Host: a further L2 like @first of the same vCPU, or one with an ordinary VMCS. */
struct l2_context *hv_pair_add(struct kvm_vm *vm, struct l2_context *first, bool evmcs);

/* Host: context of vCPU @id, as @l1_code is given it. */
struct l2_context *hv_pair_context(u64 id);

/* L1: all that comes before the first VM entry. */
void l1_hv_pair_start(struct l2_context *context, u64 hypercall_gpa, u64 id, void *l2_code);

/* L2: flush everything on @processors, which must succeed. */
void hv_pair_flush_well(u64 processors);

/* L2: back page 0 of all with the memory of page @by, and flush it on @processors. */
void hv_pair_change(int by, u64 processors);

/* All levels: page 0 must be backed by @by. */
static inline void hv_pair_check(int by)
{
	check_page(hv_pair.tables, 0, by);
}

/* What backs page 0, if all that change it do so by the functions below. */
extern u64 hv_pair_by;

/* L2: back page 0 with the other page, and flush it if @processors. */
void hv_pair_exchange(u64 processors);

/* L1 of the sender, for ever: calls of its L2, as the host orders them. */
void l1_hv_pair_send(struct l2_context *context, u64 hypercall_gpa);

/* Host: of the VM created last, the sender waits for orders. */
extern bool hv_pair_sender_waits;

/*
 * Host: let the sender's L2 be one of virtual machine @vm_id and flush @processors, 0 for
 * all, after it has exchanged page 0 if @exchange.
 */
void hv_pair_call(struct kvm_vcpu *vcpus[2], u64 vm_id, u64 processors, bool exchange);

/* Host: run the target to its next GUEST_SYNC(); how many flushes KVM has counted for it. */
u64 hv_pair_run_target(struct kvm_vcpu *vcpus[2]);

/* Host: the one, then the other. */
static inline u64 hv_pair_send(struct kvm_vcpu *vcpus[2], u64 vm_id, u64 processors,
			       bool exchange)
{
	hv_pair_call(vcpus, vm_id, processors, exchange);
	return hv_pair_run_target(vcpus);
}

#endif
