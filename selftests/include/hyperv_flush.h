/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hyper-V's TLB flush hypercalls, as a guest of either level makes them.
 * Their input is read from a page by its guest-physical address.
 */
#ifndef HYPERV_FLUSH_H
#define HYPERV_FLUSH_H

#include "hyperv.h"

/* The synthetic exit to L1 after a flush of L2's (TLFS), and the instruction that made it. */
#define TRAP_AFTER_FLUSH	0x10000031
#define VMCALL_LENGTH		3

/* Where the guest puts a call's input; made by the host. */
struct hv_input {
	gva_t gva;
	gpa_t gpa;
};

/* HvFlushVirtualAddressSpace and ...List, TLFS. */
struct hv_flush {
	u64 address_space;
	u64 flags;
	u64 processor_mask;
	u64 gva_list[];
};

/* KVM queues up to 15 entries of one call; more mean "flush everything". */
#define HV_FIFO_ENTRIES	15

static inline struct hv_input hv_input_create(struct kvm_vm *vm)
{
	struct hv_input input;

	input.gva = vm_alloc_page(vm);
	input.gpa = addr_gva2gpa(vm, input.gva);
	return input;
}

/* Guest: flush @nr entries of @gvas on @processors (of this level). */
static inline void guest_hv_flush_list(const struct hv_input *input, u64 processors,
				       const u64 *gvas, int nr)
{
	struct hv_flush *flush = (struct hv_flush *)input->gva;
	int i;

	flush->address_space = 0;
	flush->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	flush->processor_mask = processors;
	for (i = 0; i < nr; i++)
		flush->gva_list[i] = gvas[i];
	hyperv_hypercall(HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST |
			 (u64)nr << HV_HYPERCALL_REP_COMP_OFFSET,
			 input->gpa, 0);
}

static inline void guest_hv_fill_space(const struct hv_input *input, u64 processors)
{
	struct hv_flush *flush = (struct hv_flush *)input->gva;

	flush->address_space = 0;
	flush->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	flush->processor_mask = processors;
}

/* Guest: flush everything on @processors. */
static inline void guest_hv_flush_space(const struct hv_input *input, u64 processors)
{
	guest_hv_fill_space(input, processors);
	hyperv_hypercall(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, input->gpa, 0);
}

/* Guest: the same with the input in registers ("fast"). */
static inline void guest_hv_flush_space_fast(u64 processors)
{
	struct {
		u64 processor_mask;
		u64 unused;
	} xmm0 = { processors, 0 };

	hyperv_write_xmm_input(&xmm0, 1);
	hyperv_hypercall(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE | HV_HYPERCALL_FAST_BIT, 0,
			 HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES);
}

/*
 * L2: flush everything where L1 asked for the synthetic exit after it.  L1 keeps none of
 * L2's registers, so the status is lost.
 */
static inline void l2_hv_flush_space_and_exit(const struct hv_input *input, u64 processors)
{
	u64 control = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, gpa = input->gpa;

	guest_hv_fill_space(input, processors);
	asm volatile("xor %%r8d, %%r8d\n\t"
		     "push %%rbp\n\t"
		     "vmcall\n\t"
		     "pop %%rbp"
		     : "+c"(control), "+d"(gpa)
		     : : "rax", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			 "r15", "memory");
}

#endif
