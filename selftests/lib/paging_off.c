// SPDX-License-Identifier: GPL-2.0
/*
 * Putting the code of paging_off_code.S to its place, and calling it there.
 */
#include <string.h>

#include "paging_off.h"
#include "processor.h"

void paging_off_create(struct kvm_vm *vm)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, PAGING_OFF_GPA,
				    PAGING_OFF_SLOT, 1, 0);
	virt_map(vm, PAGING_OFF_GPA, PAGING_OFF_GPA, 1);
	memcpy(addr_gpa2hva(vm, PAGING_OFF_GPA), paging_off_begin,
	       paging_off_end - paging_off_begin);
	if (vm->stage2_mmu.pgd_created)
		tdp_map(vm, PAGING_OFF_GPA, PAGING_OFF_GPA, PAGE_SIZE);
}

/* Not the paging: to set that would be a flush of its own. */
void paging_off_start(struct kvm_vcpu *vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cs.base = PAGING_OFF_GPA;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_get(vcpu, &regs);
	regs.rip = 0;
	vcpu_regs_set(vcpu, &regs);
}

static void *at_its_place(const char *label)
{
	return (void *)(PAGING_OFF_GPA + (label - paging_off_begin));
}

void guest_toggle_paging_and(u32 cr4_bits)
{
	void *toggle = at_its_place(paging_off_toggle);

	*(u32 *)at_its_place(paging_off_cr4_bits) = cr4_bits;
	asm volatile("call *%0" : "+a"(toggle) : : "rcx", "rdx", "memory", "cc");
}

void guest_toggle_paging(void)
{
	guest_toggle_paging_and(0);
}

struct paging_off_start *guest_start_parameters(void)
{
	return at_its_place(paging_off_parameters);
}
