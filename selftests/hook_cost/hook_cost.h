/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU that exists in memory only: `make hook-cost` runs each hook on it, in a
 * CPU emulator that counts instructions.  What scripts/machine/hook_cost.py
 * reads consists of 8-byte fields.
 */
#ifndef HOOK_COST_H
#define HOOK_COST_H

#include <linux/kvm_host.h>

#include "x86.h"
#include "hyperv.h"
#include "mmu.h"
#include "nvmx_hooks.h"
#include "vmx/nested.h"
#include "vmx/vmx.h"
#include "vmx/x86_ops.h"

#define VPID01	1
#define VPID02	2
#define VPID12	7

extern struct vcpu_vmx vmx;
extern struct kvm_vcpu_hv hv;
extern struct vmcs12 vmcs12;
extern struct hv_enlightened_vmcs evmcs;

/* The memory operand of L1's INVVPID or INVEPT. */
extern u64 operand[2];

/* What VMREAD returns; 0 for any other field. */
struct vmcs_value {
	u64 field, value;
};

void set_vmcs_value(u64 field, u64 value);

/* One row of the table. */
struct scenario {
	const char *hook, *name;
	void (*prepare)(void);
	u64 nr_args, args[4];
};

/* The client's functions, which setup() fills in, in the order of enum kvm_nvmx_hook. */
struct hook {
	const char *name;
	void *client_function;
	u64 result_size;
};

/* Where a call of the trampoline goes to; NULL for nowhere. */
struct static_call {
	void *trampoline, *function;
};

#endif /* HOOK_COST_H */
