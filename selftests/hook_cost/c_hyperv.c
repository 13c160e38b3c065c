// SPDX-License-Identifier: GPL-2.0
/* See c_nested.c. */
#include "vmx/hyperv.c"

static void * const c_functions[] __used = {
	nested_evmcs_exit_after_l2_tlb_flush,
	kvm_hv_vcpu_purge_flush_tlb,
};
