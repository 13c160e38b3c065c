/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One linear address, backed by one page and then by another: after a missing flush
 * the other page is still cached, and the emulator's oracle reports its use.  Guest
 * code, except for backing_create().
 */
#ifndef BACKING_H
#define BACKING_H

#include "contexts.h"

#define BACKING_PRESENT	(BIT_ULL(0) | BIT_ULL(1))	/* and writable */

/* The linear address of data page @page, in every context. */
static inline u64 *backing_gva(int page)
{
	return (u64 *)(L2_DATA_GVA + page * PAGE_SIZE);
}

/* Back @page of @context with the memory of page @by; the flush is the caller's. */
static inline void back_page(struct l2_context *context, int page, int by)
{
	WRITE_ONCE(context->pt[page], context->page_gpa[by] | BACKING_PRESENT);
}

/* Read @page, which must be backed with page @by of @context now. */
static inline void check_page(const struct l2_context *context, int page, int by)
{
	__GUEST_ASSERT(READ_ONCE(*backing_gva(page)) == l2_page_value(context->number, by),
		       "context %lu, page %d: read %lx, backed by page %d",
		       context->number, page, READ_ONCE(*backing_gva(page)), by);
}

/*
 * Leave the guest, of either level, and come back to it: L0 handles a read of its
 * interrupt controller's port without L1 and without userspace.
 */
static inline void guest_exit(void)
{
	asm volatile("inb $0x21, %%al" : : : "rax", "memory");
}

/*
 * Host: put a vCPU with L2 active back to where it was saved.  Nested state brings L2's
 * control registers with it; to set them by KVM_SET_SREGS would be a flush of its own.
 */
static inline void vcpu_go_back(struct kvm_vcpu *vcpu, struct kvm_x86_state *state)
{
	vcpu_regs_set(vcpu, &state->regs);
	vcpu_nested_state_set(vcpu, &state->nested);
}

/* Host: request a guest flush for the level that runs, by a change of CR4.PGE. */
static inline void vcpu_flush_guest(struct kvm_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cr4 ^= X86_CR4_PGE;
	vcpu_sregs_set(vcpu, &sregs);
}

static inline void vcpu_save_and_go_back(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	vcpu_go_back(vcpu, state);
	kvm_x86_state_cleanup(state);
}

/*
 * What a flush by the host may still follow is held back by the oracle for some
 * 200,000 instructions and until the next VM entry: outlast that.
 */
static inline void outlast_patience(void)
{
	unsigned long i;

	for (i = 0; i < 80000; i++)
		asm volatile("nop");
	guest_exit();
}

#endif
