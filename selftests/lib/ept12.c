// SPDX-License-Identifier: GPL-2.0
/*
 * L1's own EPT, for an L1 that changes it.
 */
#include "ept12.h"

#define EPT_LEVELS	4

u64 *ept12_entry_map(struct kvm_vm *vm, struct l2_context *context, int page)
{
	struct l2_context *self = addr_gva2hva(vm, (gva_t)context);
	gpa_t gpa = self->page_gpa[page], table = self->eptp_gpa;
	u64 *entry = NULL;
	gva_t gva;
	int level;

	for (level = EPT_LEVELS - 1; level >= 0; level--) {
		u64 index = gpa >> (12 + 9 * level) & 0x1ff;

		entry = (u64 *)addr_gpa2hva(vm, table) + index;
		if (!level)
			break;
		TEST_ASSERT(!(*entry & BIT_ULL(7)), "Page %d is part of a large one", page);
		table = *entry & PHYSICAL_PAGE_MASK;
	}

	/* EPT tables are not mapped in L1; KVM must see its writes. */
	gva = vm_unused_gva_gap(vm, PAGE_SIZE, KVM_UTIL_MIN_VADDR);
	virt_map(vm, gva, table, 1);
	return (u64 *)(gva + ((unsigned long)entry & ~PAGE_MASK));
}
