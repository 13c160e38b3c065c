// SPDX-License-Identifier: GPL-2.0
/*
 * L2 contexts: how L1 runs them.  Guest code.
 */
#include <stddef.h>

#include "contexts.h"

void l1_vmxon(struct l2_context *context)
{
	GUEST_ASSERT(prepare_for_vmx_operation(context->vmx));
}

void l1_hyperv_on(struct l2_context *context, u64 hypercall_gpa)
{
	wrmsr(HV_X64_MSR_GUEST_OS_ID, HYPERV_LINUX_OS_ID);
	wrmsr(HV_X64_MSR_HYPERCALL, hypercall_gpa);
	if (context->hv)
		enable_vp_assist(context->hv->vp_assist_gpa, context->hv->vp_assist);
}

void l1_hyperv_on_tables(struct l2_context *tables, u64 hypercall_gpa)
{
	set_cr3(tables->cr3);
	l1_hyperv_on(tables, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
}

/* The library has one of each; another vCPU may have used them. */
static void use_vmcs_of(struct l2_context *context)
{
	enable_evmcs = context->hv;
	if (context->hv) {
		current_vp_assist = context->hv->vp_assist;
		current_evmcs = context->hv->enlightened_vmcs;
	}
}

static void l1_make_current(struct l2_context *context)
{
	use_vmcs_of(context);
	if (context->hv)
		GUEST_ASSERT(load_evmcs(context->hv));
	else if (context->launched)
		GUEST_ASSERT(!vmptrld(context->vmx->vmcs_gpa));
	else
		GUEST_ASSERT(load_vmcs(context->vmx));
}

void l1_set_vpid(struct l2_context *context, u16 vpid)
{
	u64 controls;

	use_vmcs_of(context);
	controls = vmreadz(SECONDARY_VM_EXEC_CONTROL);
	if (vpid)
		controls |= SECONDARY_EXEC_ENABLE_VPID;
	else
		controls &= ~(u64)SECONDARY_EXEC_ENABLE_VPID;
	context->vpid = vpid;
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL, controls));
	GUEST_ASSERT(!vmwrite(VIRTUAL_PROCESSOR_ID, vpid));
	if (context->hv)
		current_evmcs->hv_clean_fields &=
			~(HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_GRP1 |
			  HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_XLAT);
}

void l1_load(struct l2_context *context, void *l2_code)
{
	l1_make_current(context);
	if (context->launched)
		return;

	context->vmx->eptp_gpa = context->eptp_gpa;
	prepare_vmcs_for(context->vmx, l2_code);
	GUEST_ASSERT(!vmwrite(GUEST_RSP, context->rsp));
	GUEST_ASSERT(!vmwrite(GUEST_CR3, context->cr3));
	if (context->vpid)
		l1_set_vpid(context, context->vpid);
}

void l1_allow_direct_flush(struct l2_context *context, u64 vm_id, u32 vp_id)
{
	use_vmcs_of(context);
	*(u32 *)context->hv->partition_assist = 0;
	current_vp_assist->nested_control.features.directhypercall = 1;
	current_evmcs->partition_assist_page = context->hv->partition_assist_gpa;
	current_evmcs->hv_enlightenments_control.nested_flush_hypercall = 1;
	current_evmcs->hv_vm_id = vm_id;
	current_evmcs->hv_vp_id = vp_id;
	current_evmcs->hv_clean_fields &=
		~HV_VMX_ENLIGHTENED_CLEAN_FIELD_ENLIGHTENMENTSCONTROL;
}

/*
 * VM entry.  The library's own keeps L2's registers in one global array, which
 * two vCPUs would take from each other, so nothing is kept here: L2 holds
 * nothing in registers across vmcall().  Returns 0 when L2 ran, 1 on VMfail.
 */
static int vm_enter(struct l2_context *context)
{
	u64 rsp_encoding = HOST_RSP, rip_encoding = HOST_RIP;
	void *rsp_field = NULL, *rip_field = NULL;
	int ret = context->launched;

	if (context->hv) {
		rsp_field = (void *)current_evmcs + offsetof(struct hv_enlightened_vmcs, host_rsp);
		rip_field = (void *)current_evmcs + offsetof(struct hv_enlightened_vmcs, host_rip);
		current_evmcs->hv_clean_fields &=
			~(HV_VMX_ENLIGHTENED_CLEAN_FIELD_HOST_GRP1 |
			  HV_VMX_ENLIGHTENED_CLEAN_FIELD_HOST_POINTER);
	}

	asm volatile("push %%rbp\n\t"
		     "mov %%rsp, %%r8\n\t"
		     "lea 5f(%%rip), %%r9\n\t"
		     /* Where to come back: fields of the eVMCS or of the VMCS. */
		     "test %%rcx, %%rcx\n\t"
		     "jz 1f\n\t"
		     "mov %%r8, (%%rcx)\n\t"
		     "mov %%r9, (%%rbx)\n\t"
		     "jmp 2f\n"
		     "1:\n\t"
		     "vmwrite %%r8, %%rsi\n\t"
		     "vmwrite %%r9, %%rdi\n"
		     "2:\n\t"
		     "test %%eax, %%eax\n\t"
		     "jz 3f\n\t"
		     "vmresume\n\t"
		     "jmp 4f\n"
		     "3:\n\t"
		     "vmlaunch\n"
		     /* After the instruction only when it failed. */
		     "4:\n\t"
		     "mov $1, %%eax\n\t"
		     "jmp 6f\n"
		     "5:\n\t"
		     "xor %%eax, %%eax\n"
		     "6:\n\t"
		     "pop %%rbp\n\t"
		     : "+a"(ret), "+b"(rip_field), "+c"(rsp_field),
		       "+S"(rsp_encoding), "+D"(rip_encoding)
		     : : "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			 "cc", "memory");
	return ret;
}

u64 l1_enter(struct l2_context *context)
{
	int failed;

	use_vmcs_of(context);
	failed = vm_enter(context);
	use_vmcs_of(context);
	__GUEST_ASSERT(!failed, "VM entry of context %lu: VMfail %lu",
		       context->number, vmreadz(VM_INSTRUCTION_ERROR));
	context->launched = true;
	return vmreadz(VM_EXIT_REASON);
}

u64 l1_enter_in_vain(struct l2_context *context)
{
	int failed;

	use_vmcs_of(context);
	failed = vm_enter(context);
	use_vmcs_of(context);
	GUEST_ASSERT(failed);
	return vmreadz(VM_INSTRUCTION_ERROR);
}

void l1_skip_vmcall(struct l2_context *context, u64 reason)
{
	__GUEST_ASSERT(reason == EXIT_REASON_VMCALL,
		       "context %lu exited for %lx, qualification %lx, RIP %lx",
		       context->number, reason, vmreadz(EXIT_QUALIFICATION),
		       vmreadz(GUEST_RIP));
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
}

void l1_run_to_vmcall(struct l2_context *context)
{
	l1_skip_vmcall(context, l1_enter(context));
}
