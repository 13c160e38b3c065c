// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that the compiler inlines where C handles a hook, here as functions
 * of their own: what C spends in them, and the call, which Rust has too.
 */
#include "vmx/nested.c"

static void * const c_functions[] __used = {
	nested_vmx_enter_tlb_flush,
	nested_vmx_exit_tlb_flush,
	nested_vmx_invept,
	nested_vmx_invvpid,
	nested_vmx_vmfunc_tlb_flush,
	nested_evmcs_ids_changed,
	nested_evmcs_l2_tlb_flush_wanted,
};
