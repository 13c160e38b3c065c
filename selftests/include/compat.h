/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that differs in the library of the KVM selftests between the kernels that there are patches
 * for (docs/porting.md).  The library of 7.3 has a macro by which it is known.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "processor.h"
#include "vmx.h"

#ifdef VMX_SWITCH_GPRS_ASM
static inline void prepare_vmcs_for(struct vmx_pages *vmx, void *code)
{
	prepare_vmcs(vmx, code);
}
#else
static inline void prepare_vmcs_for(struct vmx_pages *vmx, void *code)
{
	prepare_vmcs(vmx, code, NULL);
	/* Its own value, -1, lets each page fault of L2 exit to L1. */
	GUEST_ASSERT(!vmwrite(PAGE_FAULT_ERROR_CODE_MATCH, 0));
}

static inline void flush_page(u64 address)
{
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

#define invlpg flush_page
#endif

#endif
