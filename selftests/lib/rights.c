// SPDX-License-Identifier: GPL-2.0
/*
 * Pages and page tables for guests that try what they may do, and survive it.
 */
#include "rights.h"

u64 rights_fault;

static void note_fault(struct ex_regs *regs)
{
	WRITE_ONCE(rights_fault, regs->error_code);
	regs->rip = regs->r10;
}

void rights_create(struct kvm_vm *vm, struct l2_context *context, int nr_pages)
{
	u64 *entry = (u64 *)addr_gpa2hva(vm, context->cr3) + (L2_DATA_GVA >> 39 & 0x1ff);
	int i;

	for (i = 0; i < nr_pages; i++)
		*(u64 *)addr_gpa2hva(vm, context->page_gpa[i]) = rights_value(context, i);
	/* Of the three tables above it. */
	for (i = 0; i < 3; i++) {
		*entry |= RIGHTS_USER;
		entry = addr_gpa2hva(vm, *entry & PHYSICAL_PAGE_MASK);
	}
	vm_install_exception_handler(vm, PF_VECTOR, note_fault);
}
