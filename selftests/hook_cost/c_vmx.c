// SPDX-License-Identifier: GPL-2.0
/* See c_nested.c. */
#include "vmx/vmx.c"

static void * const c_functions[] __used = {
	vmx_flush_tlb_apic_access,
	vmx_flush_tlb_reset,
};
