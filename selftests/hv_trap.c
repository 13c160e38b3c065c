// SPDX-License-Identifier: GPL-2.0
/*
 * Which VMCALLs of L2 L0 handles, and how a flush ends that L0 has handled.  L0 handles a
 * call only if L1's CPUID offers it, the enlightened VMCS and the VP assist page both ask
 * for it, and the code is that of a flush.  A call that says that it is not for L1 but for
 * the hypervisor below ("Is Nested") is L1's in Rust; C takes it and fails it.  L1 gets an
 * exit, after the VMCALL, only if the TLB lock count in the partition assist page is not 0.
 * A call from user mode is #UD.
 * All from 64-bit and from 32-bit code; with --moves again and again, while the vCPU is
 * moved from CPU to CPU.
 */
#include <sys/sysinfo.h>

#include "arguments.h"
#include "contexts.h"
#include "flush_call.h"
#include "hooks.h"
#include "moves.h"

#define VPID12		1
#define VM_ID		7
#define SPACE		HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE
#define IS_NESTED	BIT(31)
#define NOWHERE_GPA	0x70000000ul
#define NOT_RUN		(-1ul)
#define TIMES_MOVED	2
/* In a segment's access rights. */
#define AR_DPL_SHIFT	5
#define AR_DPL		(3ul << AR_DPL_SHIFT)

static struct hv_input input;
static bool offered, in_32_bits, nested_is_l1s;

/* L1's orders and what came of them. */
static u64 code;
static u64 result;

/* Where the VMCALL below starts; written by L2. */
static u64 l2_vmcall;

static void l2_call_in_32_bits(void)
{
	WRITE_ONCE(l2_vmcall, (u64)hv_call_32_vmcall);
	guest_hv_fill_space(&input, BIT(0));
	WRITE_ONCE(result, hv_call_32(READ_ONCE(code), input.gpa, 0));
	vmcall();
}

/*
 * L1 keeps none of L2's registers.  What KVM has put into RAX is L2's to see only
 * if L1 did not run in between; it is stored at once.
 */
static void l2_code(void)
{
	while (in_32_bits)
		l2_call_in_32_bits();
	for (;;) {
		u64 control = READ_ONCE(code), gpa = input.gpa, rax = NOT_RUN;

		guest_hv_fill_space(&input, BIT(0));
		asm volatile("xor %%r8d, %%r8d\n\t"
			     "lea 1f(%%rip), %%rbx\n\t"
			     "mov %%rbx, %[rip]\n\t"
			     "push %%rbp\n"
			     "1:\n\t"
			     "vmcall\n\t"
			     "pop %%rbp"
			     : "+a"(rax), "+c"(control), "+d"(gpa), [rip] "=m"(l2_vmcall)
			     : : "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
				 "r14", "r15", "memory");
		WRITE_ONCE(result, rax);
		vmcall();
	}
}

/* An exit of L2's own call, as L1 would get it from a CPU. */
static void l1_check_vmcall_exit(void)
{
	GUEST_ASSERT_EQ(vmreadz(GUEST_RIP), READ_ONCE(l2_vmcall));
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_INSTRUCTION_LEN), VMCALL_LENGTH);
	GUEST_ASSERT_EQ(READ_ONCE(result), NOT_RUN);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + VMCALL_LENGTH);
}

static void l1_check_trap(void)
{
	GUEST_ASSERT_EQ(vmreadz(GUEST_RIP), READ_ONCE(l2_vmcall) + VMCALL_LENGTH);
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_INSTRUCTION_LEN), VMCALL_LENGTH);
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_INTR_INFO), 0);
	GUEST_ASSERT_EQ(vmreadz(IDT_VECTORING_INFO_FIELD), 0);
	GUEST_ASSERT_EQ(vmreadz(EXIT_QUALIFICATION), 0);
	GUEST_ASSERT_EQ(vmreadz(GUEST_INTERRUPTIBILITY_INFO), 0);
	GUEST_ASSERT_EQ(vmreadz(GUEST_ACTIVITY_STATE), 0);
	GUEST_ASSERT_EQ(vmreadz(VM_ENTRY_INTR_INFO_FIELD), 0);
	GUEST_ASSERT_EQ(vmreadz(VMX_INSTRUCTION_INFO), 0);
}

/* L2 calls @call_code; L1 must see @reason first, or (0) nothing but L2's last VMCALL. */
static void l1_call(struct l2_context *context, u64 call_code, u64 reason)
{
	u64 exit;

	WRITE_ONCE(code, call_code);
	WRITE_ONCE(result, NOT_RUN);
	exit = l1_enter(context);
	if (reason) {
		__GUEST_ASSERT(exit == reason, "exit reason %lx, expected %lx", exit, reason);
		if (reason == TRAP_AFTER_FLUSH)
			l1_check_trap();
		else
			l1_check_vmcall_exit();
		exit = l1_enter(context);
	}
	GUEST_ASSERT_EQ(exit, EXIT_REASON_VMCALL);
	/* The second VMCALL: the first one is done. */
	GUEST_ASSERT_NE(vmreadz(GUEST_RIP), READ_ONCE(l2_vmcall));
	GUEST_ASSERT_NE(READ_ONCE(result), NOT_RUN);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
}

static void l1_served(struct l2_context *context, u64 call_code, u64 status)
{
	l1_call(context, call_code, 0);
	GUEST_ASSERT_EQ(READ_ONCE(result), status);
}

static void l1_try_nested(struct l2_context *context)
{
	static const u64 flushes[] = {
		SPACE, HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST | 1ul << HV_HYPERCALL_REP_COMP_OFFSET,
		HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, SPACE | HV_HYPERCALL_FAST_BIT,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(flushes); i++) {
		if (nested_is_l1s)
			l1_call(context, flushes[i] | IS_NESTED, EXIT_REASON_VMCALL);
		else
			l1_served(context, flushes[i] | IS_NESTED, 3);
	}
	l1_call(context, HVCALL_SEND_IPI | IS_NESTED, EXIT_REASON_VMCALL);

	/* There is no hypervisor below L0. */
	guest_hv_fill_space(&input, BIT(0));
	GUEST_ASSERT_EQ(flush_status(SPACE | IS_NESTED, input.gpa, 0), 3);
}

static void l1_try_who_serves(struct l2_context *context)
{
	static const u64 others[] = {
		HVCALL_NOTIFY_LONG_SPIN_WAIT, HVCALL_SEND_IPI, 0, 1, 4, 0x12, 0x15, 0xffff,
	};
	int i;

	if (!offered) {
		l1_call(context, SPACE, EXIT_REASON_VMCALL);
		return;
	}
	l1_served(context, SPACE, 0);
	/* All other bits of the control word do not decide which level handles it. */
	l1_served(context, SPACE | HV_HYPERCALL_FAST_BIT, 0);
	l1_served(context, SPACE | 1ul << HV_HYPERCALL_REP_COMP_OFFSET, 3);
	l1_served(context, HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST, 3);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		l1_call(context, others[i], EXIT_REASON_VMCALL);
	l1_try_nested(context);

	/* Read live: no clean bit is touched. */
	current_evmcs->hv_enlightenments_control.nested_flush_hypercall = 0;
	l1_call(context, SPACE, EXIT_REASON_VMCALL);
	current_evmcs->hv_enlightenments_control.nested_flush_hypercall = 1;
	l1_served(context, SPACE, 0);

	/* Read at each VM entry. */
	current_vp_assist->nested_control.features.directhypercall = 0;
	l1_call(context, SPACE, EXIT_REASON_VMCALL);
	current_vp_assist->nested_control.features.directhypercall = 1;
	l1_served(context, SPACE, 0);
}

static void l1_set_cpl(u64 cpl)
{
	vmwrite(GUEST_CS_SELECTOR, (vmreadz(GUEST_CS_SELECTOR) & ~3ul) | cpl);
	vmwrite(GUEST_SS_SELECTOR, (vmreadz(GUEST_SS_SELECTOR) & ~3ul) | cpl);
	vmwrite(GUEST_CS_AR_BYTES, (vmreadz(GUEST_CS_AR_BYTES) & ~AR_DPL) | cpl << AR_DPL_SHIFT);
	vmwrite(GUEST_SS_AR_BYTES, (vmreadz(GUEST_SS_AR_BYTES) & ~AR_DPL) | cpl << AR_DPL_SHIFT);
}

/* The call is one for L0.  L1 gets the exception, and lets L2 skip the call. */
static void l1_try_user_mode(struct l2_context *context)
{
	vmwrite(EXCEPTION_BITMAP, BIT(UD_VECTOR));
	l1_set_cpl(3);
	WRITE_ONCE(code, SPACE);
	GUEST_ASSERT_EQ(l1_enter(context), EXIT_REASON_EXCEPTION_NMI);
	GUEST_ASSERT_EQ((u8)vmreadz(VM_EXIT_INTR_INFO), UD_VECTOR);
	GUEST_ASSERT_EQ(vmreadz(GUEST_RIP), READ_ONCE(l2_vmcall));
	vmwrite(EXCEPTION_BITMAP, 0);
	l1_set_cpl(0);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + VMCALL_LENGTH);
	l1_run_to_vmcall(context);
}

static void l1_use_assist_page(gpa_t gpa)
{
	current_evmcs->partition_assist_page = gpa;
	current_evmcs->hv_clean_fields &= ~HV_VMX_ENLIGHTENED_CLEAN_FIELD_ENLIGHTENMENTSCONTROL;
}

static void l1_try_lock_counts(struct l2_context *context)
{
	static const u32 locked[] = { 1, 2, 0x80000000, ~0u };
	u32 *count = context->hv->partition_assist;
	int i;

	for (i = 0; i < ARRAY_SIZE(locked); i++) {
		*count = locked[i];
		l1_call(context, SPACE, TRAP_AFTER_FLUSH);
		/* Bad input flushes nothing: L1 has nothing to know. */
		l1_served(context, SPACE | 1ul << HV_HYPERCALL_REP_COMP_OFFSET, 3);
	}
	*count = 0;
	/* Only the first word counts. */
	count[1] = 1;
	l1_served(context, SPACE, 0);
	count[1] = 0;

	/* Not read while its part of the eVMCS is declared clean. */
	current_evmcs->partition_assist_page = NOWHERE_GPA;
	l1_served(context, SPACE, 0);

	l1_use_assist_page(NOWHERE_GPA);
	l1_served(context, SPACE, 3);
	l1_use_assist_page(-1ul);
	l1_served(context, SPACE, 3);
	l1_use_assist_page(context->hv->partition_assist_gpa);
	l1_served(context, SPACE, 0);
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa)
{
	l1_hyperv_on(context, hypercall_gpa);
	l1_vmxon(context);
	l1_load(context, l2_code);
	/* L1's tables, which are for user mode, too. */
	vmwrite(GUEST_CR3, get_cr3());
	l1_allow_direct_flush(context, VM_ID, 0);

	l1_try_who_serves(context);
	if (offered)
		l1_try_lock_counts(context);
	if (offered && !in_32_bits)
		l1_try_user_mode(context);
	GUEST_DONE();
}

/* Leave all that @table maps, at @level, to user mode as well. */
static void allow_user_mode(struct kvm_vm *vm, gpa_t table, int level)
{
	u64 *entry = addr_gpa2hva(vm, table);
	int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*entry); i++) {
		if (!(entry[i] & BIT_ULL(0)))
			continue;
		entry[i] |= BIT_ULL(2);
		if (level > PG_LEVEL_4K)
			allow_user_mode(vm, entry[i] & PHYSICAL_PAGE_MASK, level - 1);
	}
}

static void try_vm(enum l2_ept ept, bool offer)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = direct_flush_vm(ept, kvm_has_vpid() ? VPID12 : 0, l1_code, &vcpu);
	if (!offer)
		vcpu_clear_cpuid_feature(vcpu, HV_X64_NESTED_DIRECT_FLUSH);
	input = hv_input_create(vm);
	offered = offer;
	contexts_finish(vm);
	allow_user_mode(vm, vm->mmu.pgd, vm->mmu.pgtable_levels);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, offered);
	sync_global_to_guest(vm, in_32_bits);
	sync_global_to_guest(vm, nested_is_l1s);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
}

static void try_vms(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		in_32_bits = i;
		try_vm(L2_EPT_OFF, true);
		try_vm(L2_EPT_OFF, false);
		if (kvm_cpu_has_ept())
			try_vm(L2_EPT_SHARED, true);
	}
}

static void try_moved(void)
{
	pthread_t self = pthread_self();
	int i;

	moves_begin(&self, 1);
	for (i = 0; i < TIMES_MOVED; i++)
		try_vms();
	moves_end_after_many();
}

int main(int argc, char *argv[])
{
	bool moved = option_given(argc, argv, "--moves");

	require_direct_flush();
	pin_self_to_any_cpu();
	nested_is_l1s = hook_is_rust("l2_tlb_flush_wanted");

	if (moved) {
		__TEST_REQUIRE(get_nprocs() > 1, "one CPU: nowhere to move to");
		try_moved();
	} else {
		try_vms();
	}
	return 0;
}
