/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One flush hypercall of a guest that flushes itself, from L1 or from its L2: the
 * caller, the input, and the status that comes back.
 */
#ifndef FLUSH_CALL_H
#define FLUSH_CALL_H

#include "backing.h"
#include "hyperv_flush.h"

#define FLUSH_CALL_VM_ID	7
#define FLUSH_CALL_VP		0	/* VP index of L1, VP id of L2 */

enum flush_level { FLUSH_FROM_L1, FLUSH_FROM_L2 };

/* HvFlushVirtualAddressSpaceEx and ...ListEx, TLFS; banks, then addresses. */
struct hv_flush_ex {
	u64 address_space;
	u64 flags;
	u64 format;
	u64 valid_banks;
	u64 contents[];
};

enum { HV_SET_SPARSE_4K, HV_SET_ALL };

/* The control word of a call with @reps entries. */
static inline u64 flush_control(u16 code, u64 reps)
{
	return code | reps << HV_HYPERCALL_REP_COMP_OFFSET;
}

/* Guest: the status of a call, which need not be success. */
static inline u16 flush_status(u64 control, u64 input, u64 output)
{
	u64 result = ~0ul;
	u8 vector = __hyperv_hypercall(control, input, output, &result);

	__GUEST_ASSERT(!vector, "vector %u", vector);
	return result;
}

/*
 * Guest: the result of a call from a 32-bit code segment, and where its VMCALL is; code and
 * stack are below 4 GiB.
 */
u64 hv_call_32(u64 control, u64 input, u64 output);
extern const char hv_call_32_vmcall[];

/*
 * Host: a VM whose only vCPU runs @body at @level, with KVM handling an L2's calls;
 * its page tables are those of *@context, at either level.
 */
struct kvm_vm *flush_call_vm(enum flush_level level, enum l2_ept ept, int nr_pages,
			     void (*body)(void), struct kvm_vcpu **vcpu,
			     struct l2_context **context);

/* Host: the index in @names of --form NAME, 0 without it; --level 2 sets *@level. */
int flush_call_options(int argc, char *argv[], const char *const names[], int nr_names,
		       enum flush_level *level);

#endif
