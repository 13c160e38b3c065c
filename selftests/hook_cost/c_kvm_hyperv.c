// SPDX-License-Identifier: GPL-2.0
/* See c_nested.c. */
#include "hyperv.c"

static void * const c_functions[] __used = {
	__kvm_hv_vcpu_flush_tlb,
};
