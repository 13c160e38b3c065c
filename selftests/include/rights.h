/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest may do with the first data page of a context: it reads, writes or executes
 * there, and gets the error code of its page fault, or none.  The page begins with a
 * return instruction.
 */
#ifndef RIGHTS_H
#define RIGHTS_H

#include "backing.h"

#define RIGHTS_RET		0xc3
#define RIGHTS_WRITE		BIT_ULL(1)
#define RIGHTS_USER		BIT_ULL(2)
#define RIGHTS_NO_EXECUTE	BIT_ULL(63)
#define NO_FAULT		(-1ul)

/* Of the last probe. */
extern u64 rights_fault;

/*
 * Host: give @context's @nr_pages what follows, leave all rights to the last of its page
 * tables, and let the guests of @vm survive their probes' faults.
 */
void rights_create(struct kvm_vm *vm, struct l2_context *context, int nr_pages);

static inline u64 rights_value(const struct l2_context *context, int page)
{
	return l2_page_value(context->number, page) << 8 | RIGHTS_RET;
}

/* Guest: back the first page with page @by; the flush is the caller's. */
static inline void rights_back(struct l2_context *context, int by, u64 rights)
{
	WRITE_ONCE(context->pt[0], context->page_gpa[by] | BIT_ULL(0) | rights);
}

static inline void rights_show(struct l2_context *context, int by, u64 rights)
{
	rights_back(context, by, rights);
	invlpg((u64)backing_gva(0));
}

/* Guest: it must be backed with page @by now. */
static inline void rights_check(const struct l2_context *context, int by)
{
	GUEST_ASSERT_EQ(READ_ONCE(*backing_gva(0)), rights_value(context, by));
}

/* @instruction, which finds @page in RDI.  A call that faulted has pushed already. */
#define RIGHTS_PROBE(instruction, page)					\
({									\
	rights_fault = NO_FAULT;					\
	asm volatile("mov %%rsp, %%r11\n\t"				\
		     "lea 1f(%%rip), %%r10\n\t"				\
		     instruction "\n"					\
		     "1:\n\t"						\
		     "mov %%r11, %%rsp"					\
		     : : "D"(page)					\
		     : "rax", "r10", "r11", "cc", "memory");		\
	READ_ONCE(rights_fault);					\
})

static inline u64 fault_of_read(void *page)
{
	return RIGHTS_PROBE("mov (%%rdi), %%al", page);
}

/* Writes what is there. */
static inline u64 fault_of_write(void *page)
{
	return RIGHTS_PROBE("movb $0xc3, (%%rdi)", page);
}

static inline u64 fault_of_execute(void *page)
{
	return RIGHTS_PROBE("call *%%rdi", page);
}

#endif
