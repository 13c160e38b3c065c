// SPDX-License-Identifier: GPL-2.0
/*
 * EPTs of L1's that differ in one page.
 */
#include <string.h>

#include "nested_ept.h"

#define PDPT_INDEX	((L2_DATA_GPA >> 30) & 0x1ff)
#define ADDRESS		GENMASK_ULL(51, 12)
#define EPT_TABLE	7ul			/* readable, writable, executable */
#define EPT_PAGE	(EPT_TABLE | 6 << 3)	/* and write-back */
#define EPT_WRITABLE	BIT_ULL(1)
#define EPTP_BITS	(6 | 3 << 3)		/* write-back, 4 levels */

static u64 *hva(struct kvm_vm *vm, u64 entry)
{
	return addr_gpa2hva(vm, entry & ADDRESS);
}

static gpa_t page_alloc(struct kvm_vm *vm, gva_t *gva)
{
	*gva = vm_alloc_page(vm);
	memset(addr_gva2hva(vm, *gva), 0, PAGE_SIZE);
	return addr_gva2gpa(vm, *gva);
}

struct nested_ept *nested_ept_create(struct kvm_vm *vm, u64 number, gva_t *gva)
{
	gpa_t pml4, pdpt, pd, pt;
	struct nested_ept *ept;
	gva_t pt_gva, unused;
	int i;

	page_alloc(vm, gva);
	ept = addr_gva2hva(vm, *gva);
	pml4 = page_alloc(vm, &unused);
	pdpt = page_alloc(vm, &unused);
	pd = page_alloc(vm, &unused);
	pt = page_alloc(vm, &pt_gva);
	for (i = 0; i < ARRAY_SIZE(ept->page_gpa); i++) {
		ept->page_gpa[i] = page_alloc(vm, &unused);
		*(u64 *)addr_gva2hva(vm, unused) = l2_page_value(number, i);
	}

	*hva(vm, pml4) = pdpt | EPT_TABLE;
	hva(vm, pdpt)[PDPT_INDEX] = pd | EPT_TABLE;
	*hva(vm, pd) = pt | EPT_TABLE;
	*hva(vm, pt) = ept->page_gpa[0] | EPT_PAGE;

	ept->eptp = pml4 | EPTP_BITS;
	ept->pt = (u64 *)pt_gva;
	ept->number = number;
	return ept;
}

void nested_ept_finish(struct kvm_vm *vm, struct nested_ept *ept)
{
	u64 *shared = hva(vm, *hva(vm, vm->stage2_mmu.pgd));
	u64 *own = hva(vm, *hva(vm, ept->eptp));
	int i;

	TEST_ASSERT(!shared[PDPT_INDEX], "L1's memory reaches up to L2_DATA_GPA");
	for (i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		if (i != PDPT_INDEX)
			own[i] = shared[i];
}

void context_use_l2_gpa(struct kvm_vm *vm, struct l2_context *context)
{
	u64 *pt = addr_gva2hva(vm, (gva_t)context->pt);

	*pt = L2_DATA_GPA | (*pt & ~ADDRESS);
}

void l1_back_ept(struct nested_ept *ept, int by)
{
	WRITE_ONCE(*ept->pt, ept->page_gpa[by] | EPT_PAGE);
}

void l1_back_ept_read_only(struct nested_ept *ept, int by)
{
	WRITE_ONCE(*ept->pt, ept->page_gpa[by] | (EPT_PAGE & ~EPT_WRITABLE));
}

void l1_clear_ept(struct nested_ept *ept)
{
	WRITE_ONCE(*ept->pt, 0);
}
