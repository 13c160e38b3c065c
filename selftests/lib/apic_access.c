// SPDX-License-Identifier: GPL-2.0
/*
 * An L2's APIC-access page, and its read of that page.
 */
#include "apic_access.h"

/* movq (%rax), %rax: the CPU does not tell L1 how long it is. */
#define READ_LENGTH	3

void l1_set_apic_page(gpa_t gpa)
{
	u64 controls = vmreadz(SECONDARY_VM_EXEC_CONTROL);

	if (gpa) {
		controls |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
		GUEST_ASSERT(!vmwrite(APIC_ACCESS_ADDR, gpa));
	} else {
		controls &= ~(u64)SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	}
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL, controls));
}

/* Of the registers, L1 preserves RSP alone. */
noinline void l2_read_apic_page(const u64 *address)
{
	asm volatile("push %%rbp\n\t"
		     "movq (%%rax), %%rax\n\t"
		     "pop %%rbp"
		     : "+a"(address)
		     : : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			 "r13", "r14", "r15", "memory");
}

void l1_skip_apic_read(void)
{
	GUEST_ASSERT(!vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + READ_LENGTH));
}
