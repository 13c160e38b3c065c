// SPDX-License-Identifier: GPL-2.0
/* What each hook is measured on.  See hook_cost.h. */
#include "hook_cost.h"

#define VCPU	((u64)&vmx.vcpu)
#define VMCS12	((u64)&vmcs12)
#define GVA	0x7f0000001000ull

static bool full;
static struct kvm_hv_hcall call;

static void in_l1(void)
{
}

static void with_hyperv(void)
{
	vmx.vcpu.arch.hyperv = &hv;
	vmx.vcpu.arch.hyperv_enabled = true;
}

static void vpid12(u16 vpid)
{
	vmcs12.cpu_based_vm_exec_control = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	vmcs12.secondary_vm_exec_control = SECONDARY_EXEC_ENABLE_EPT;
	if (vpid)
		vmcs12.secondary_vm_exec_control |= SECONDARY_EXEC_ENABLE_VPID;
	vmcs12.virtual_processor_id = vpid;
}

/* Where enter_tlb_flush and exit_tlb_flush are called. */
static void in_l2(void)
{
	vpid12(VPID12);
	enter_guest_mode(&vmx.vcpu);
	vmx.loaded_vmcs = &vmx.nested.vmcs02;
	vmx.vcpu.arch.mmu = &vmx.vcpu.arch.guest_mmu;
}

static void in_new_l2(void)
{
	in_l2();
	vpid12(VPID12 + 1);
}

/* It has run before, and the client has kept its VPID. */
static void in_other_l2(void)
{
	in_new_l2();
	vmx.nested.nr_parked_vpids = 1;
	vmx.nested.parked_vpids[0] = (struct nested_vpid) {
		.vpid = VPID02 + 1,
		.vpid12 = VPID12 + 1,
	};
}

static void in_l2_without_vpid(void)
{
	in_l2();
	vpid12(0);
}

static void in_l2_with_hyperv(void)
{
	in_l2();
	with_hyperv();
}

static void in_other_l2_with_hyperv(void)
{
	in_other_l2();
	with_hyperv();
}

static void in_l2_without_vpid_with_hyperv(void)
{
	in_l2_without_vpid();
	with_hyperv();
}

/* Enlightened, and L1 lets L0 handle its flush hypercalls. */
static void in_direct_l2(void)
{
	in_l2_with_hyperv();
	hv.cpuid_cache.nested_eax = HV_X64_NESTED_DIRECT_FLUSH;
	hv.vp_assist_page.nested_control.features.directhypercall = 1;
	hv.nested.pa_page_gpa = 0x1000;
	hv.nested.vm_id = 1;
	hv.nested.vp_id = 1;
	evmcs.hv_enlightenments_control.nested_flush_hypercall = 1;
	evmcs.hv_vm_id = 1;
	evmcs.hv_vp_id = 1;
	vmx.nested.hv_evmcs = &evmcs;
	vmx.nested.hv_evmcs_vmptr = 0x2000;
	vmx.vcpu.arch.regs[VCPU_REGS_RCX] = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE;
	set_vmcs_value(GUEST_CS_AR_BYTES, VMX_AR_L_MASK);
}

static void in_direct_l2_other_call(void)
{
	in_direct_l2();
	vmx.vcpu.arch.regs[VCPU_REGS_RCX] = HVCALL_POST_MESSAGE;
}

static void queue(int fifo, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		kfifo_put(&hv.tlb_flush_fifo[fifo].entries, GVA + i * PAGE_SIZE);
}

static void in_l1_one_queued(void)
{
	with_hyperv();
	queue(HV_L1_TLB_FLUSH_FIFO, 1);
}

static void in_l2_four_queued(void)
{
	in_l2_with_hyperv();
	queue(HV_L2_TLB_FLUSH_FIFO, 4);
}

static void in_l1_purge(void)
{
	with_hyperv();
	kvm_make_request(KVM_REQ_HV_TLB_FLUSH, &vmx.vcpu);
}

static void in_l2_purge(void)
{
	in_l2();
	in_l1_purge();
}

/* L1 executes INVVPID or INVEPT of TYPE. */
static void invalidation(u64 type, u64 first, u64 second)
{
	set_vmcs_value(VMX_INSTRUCTION_INFO, VCPU_REGS_RAX << 28);
	vmx.vcpu.arch.regs[VCPU_REGS_RAX] = type;
	operand[0] = first;
	operand[1] = second;
}

static void invvpid_address(void)
{
	invalidation(VMX_VPID_EXTENT_INDIVIDUAL_ADDR, VPID12, GVA);
}

static void invvpid_context(void)
{
	invalidation(VMX_VPID_EXTENT_SINGLE_CONTEXT, VPID12, 0);
}

static void invvpid_all(void)
{
	invalidation(VMX_VPID_EXTENT_ALL_CONTEXT, 0, 0);
}

static void invvpid_on_other_cpu(void)
{
	invvpid_context();
	vmx.nested.vmcs02.cpu = 1;
}

static void invept_all(void)
{
	invalidation(VMX_EPT_EXTENT_GLOBAL, 0, 0);
}

/* To all vCPUs, by registers. */
static void call_for_all(void)
{
	with_hyperv();
	call.fast = true;
	call.code = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE;
	call.outgpa = HV_FLUSH_ALL_PROCESSORS;
}

#define ROW(hook, name, prepare, args...)						\
	{ #hook, name, prepare, COUNT_ARGS(args), { args } },

const struct scenario scenarios[] = {
ROW(enter_tlb_flush, "same vpid12", in_l2, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "same vpid12, dirty", in_l2, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "same vpid12, Hyper-V", in_l2_with_hyperv, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "same vpid12, Hyper-V, dirty", in_l2_with_hyperv, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "other vpid12", in_other_l2, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "other vpid12, dirty", in_other_l2, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "other vpid12, Hyper-V", in_other_l2_with_hyperv, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "other vpid12, Hyper-V, dirty", in_other_l2_with_hyperv, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "new vpid12, dirty", in_new_l2, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "no VPID", in_l2_without_vpid, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "no VPID, dirty", in_l2_without_vpid, VCPU, VMCS12, true)
ROW(enter_tlb_flush, "no VPID, Hyper-V", in_l2_without_vpid_with_hyperv, VCPU, VMCS12, false)
ROW(enter_tlb_flush, "no VPID, Hyper-V, dirty", in_l2_without_vpid_with_hyperv, VCPU, VMCS12, true)
ROW(exit_tlb_flush, "VPID", in_l2, VCPU, VMCS12)
ROW(exit_tlb_flush, "VPID, Hyper-V", in_l2_with_hyperv, VCPU, VMCS12)
ROW(exit_tlb_flush, "no VPID", in_l2_without_vpid, VCPU, VMCS12)
ROW(flush_tlb_guest, "L1", in_l1, VCPU)
ROW(flush_tlb_guest, "L2", in_l2, VCPU)
ROW(flush_tlb_guest, "L2 without VPID", in_l2_without_vpid, VCPU)
ROW(flush_tlb_current, "L1", in_l1, VCPU)
ROW(flush_tlb_current, "L2", in_l2, VCPU)
ROW(flush_tlb_all, "L1", in_l1, VCPU)
ROW(flush_tlb_gva, "L1", in_l1, VCPU, GVA, (u64)&full)
ROW(flush_tlb_gva, "L2", in_l2, VCPU, GVA, (u64)&full)
ROW(flush_tlb_reset, "L1", in_l1, VCPU)
ROW(set_apic_access_page_addr, "not virtualized", in_l1, VCPU)
ROW(flush_tlb_apic_access, "L1", in_l1, VCPU)
ROW(flush_tlb_apic_access, "L2", in_l2, VCPU)
ROW(handle_invvpid, "address", invvpid_address, VCPU)
ROW(handle_invvpid, "single context", invvpid_context, VCPU)
ROW(handle_invvpid, "all contexts", invvpid_all, VCPU)
ROW(handle_invvpid, "vmcs02 on another CPU", invvpid_on_other_cpu, VCPU)
ROW(handle_invept, "global", invept_all, VCPU)
ROW(vmfunc_tlb_flush, "VPID", in_l2, VCPU, VMCS12)
ROW(vmfunc_tlb_flush, "no VPID", in_l2_without_vpid, VCPU, VMCS12)
ROW(evmcs_ids_changed, "L2's", in_direct_l2, VCPU)
ROW(l2_tlb_flush_wanted, "no Hyper-V", in_l2, VCPU)
ROW(l2_tlb_flush_wanted, "not offered", in_l2_with_hyperv, VCPU)
ROW(l2_tlb_flush_wanted, "a flush, wanted", in_direct_l2, VCPU)
ROW(l2_tlb_flush_wanted, "another hypercall", in_direct_l2_other_call, VCPU)
ROW(hv_flush_tlb, "all vCPUs, in registers", call_for_all, VCPU, (u64)&call)
ROW(hv_vcpu_flush_tlb, "L1, empty", with_hyperv, VCPU)
ROW(hv_vcpu_flush_tlb, "L1, 1 page", in_l1_one_queued, VCPU)
ROW(hv_vcpu_flush_tlb, "L2, empty", in_l2_with_hyperv, VCPU)
ROW(hv_vcpu_flush_tlb, "L2, 4 pages", in_l2_four_queued, VCPU)
ROW(hv_purge_flush_tlb, "no request", with_hyperv, VCPU)
ROW(hv_purge_flush_tlb, "L1, request", in_l1_purge, VCPU)
ROW(hv_purge_flush_tlb, "L2, request", in_l2_purge, VCPU)
ROW(hv_hypercall_complete, "L1", with_hyperv, VCPU, HV_STATUS_SUCCESS)
ROW(exit_after_l2_tlb_flush, "L2", in_direct_l2, VCPU)
ROW(post_set_cr0, "nothing toggled", in_l1, VCPU, X86_CR0_PE | X86_CR0_PG, X86_CR0_PE | X86_CR0_PG)
ROW(post_set_cr4, "PGE toggled", in_l1, VCPU, X86_CR4_PAE, X86_CR4_PAE | X86_CR4_PGE)
ROW(post_set_cr4, "nothing toggled", in_l1, VCPU, X86_CR4_PAE, X86_CR4_PAE)
ROW(steal_time_tlb_flush, "L1", in_l1, VCPU)
};

const u64 nr_scenarios = ARRAY_SIZE(scenarios);
