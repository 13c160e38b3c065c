/* SPDX-License-Identifier: GPL-2.0 */
/*
 * EPTs of L1's that differ in one page: L2_DATA_GPA, which is backed by another page
 * with each EPT pointer.
 */
#ifndef NESTED_EPT_H
#define NESTED_EPT_H

#include "contexts.h"

/* Far from L1's memory: all of them share that part of the EPT. */
#define L2_DATA_GPA	0x2000000000ul

#define EPTP_AD		BIT_ULL(6)	/* accessed and dirty flags */

/* Shared between host and L1; pointers are L1's linear addresses. */
struct nested_ept {
	u64 eptp;
	u64 *pt;		/* the table of L2_DATA_GPA */
	u64 page_gpa[2];	/* the pages that may back it */
	u64 number;
};

/* Host: EPT @number, whole after nested_ept_finish(). */
struct nested_ept *nested_ept_create(struct kvm_vm *vm, u64 number, gva_t *gva);

/* Host: after contexts_finish(). */
void nested_ept_finish(struct kvm_vm *vm, struct nested_ept *ept);

/* Host: @context's first data page is the one at L2_DATA_GPA. */
void context_use_l2_gpa(struct kvm_vm *vm, struct l2_context *context);

/* L1: back L2_DATA_GPA by page @by of @ept, or none; any INVEPT is the caller's. */
void l1_back_ept(struct nested_ept *ept, int by);
void l1_back_ept_read_only(struct nested_ept *ept, int by);
void l1_clear_ept(struct nested_ept *ept);

#endif
