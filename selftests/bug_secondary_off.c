// SPDX-License-Identifier: GPL-2.0
/*
 * L1 turns vmcs12's secondary controls off and on, all at once, by the bit of the primary
 * ones that activates them.  With them go vpid12 and L2's VPID.  L1 may write the primary
 * controls without a VM exit, so KVM does not take vmcs12 for changed.
 *
 * After that L2 has no VPID, and each VM entry is flush enough.  Or, with --on, L2 has a
 * VPID again, and L1's INVVPID must reach what L2 runs with.
 *
 * Nothing else of vmcs12 is written in between: not HOST_RSP and HOST_RIP either.
 *
 * The oracle sees the bit only while VMWRITE exits: without --on this needs
 * enable_shadow_vmcs=0.
 */
#include "arguments.h"
#include "backing.h"
#include "invalidate.h"

#define VPID12		1
#define ROUNDS		4
#define NR_PAGES	2

enum { DONE };

static struct l2_context *context;
static int by;		/* what backs page 0 */

static u8 stack[256];
/* Not static: only the asm below uses it. */
u64 rsp_before_entry;

static void l2_code(void)
{
	for (;;) {
		check_page(context, 0, READ_ONCE(by));
		vmcall();
	}
}

/* The exit is taken on a stack of its own, so HOST_RSP and HOST_RIP stay what they are. */
static noinline void resume(bool first)
{
	u64 failed = first, rsp = (u64)&stack[sizeof(stack)];

	asm volatile("push %%rbp\n\t"
		     "mov %%rsp, rsp_before_entry(%%rip)\n\t"
		     "test %0, %0\n\t"
		     "jz 1f\n\t"
		     "lea 2f(%%rip), %%r9\n\t"
		     "vmwrite %%rbx, %%rsi\n\t"
		     "vmwrite %%r9, %%rdi\n"
		     "1:\n\t"
		     "vmresume\n\t"
		     "mov $1, %%eax\n\t"
		     "jmp 3f\n"
		     "2:\n\t"
		     "mov rsp_before_entry(%%rip), %%rsp\n\t"
		     "xor %%eax, %%eax\n"
		     "3:\n\t"
		     "pop %%rbp\n\t"
		     : "+a"(failed), "+b"(rsp)
		     : "S"((u64)HOST_RSP), "D"((u64)HOST_RIP)
		     : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "cc", "memory");
	GUEST_ASSERT(!failed);
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_REASON), EXIT_REASON_VMCALL);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
}

static void secondary_controls(bool on)
{
	u64 controls = vmreadz(CPU_BASED_VM_EXEC_CONTROL);

	if (on)
		controls |= CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	else
		controls &= ~(u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	GUEST_ASSERT(!vmwrite(CPU_BASED_VM_EXEC_CONTROL, controls));
}

static void change_page(void)
{
	WRITE_ONCE(by, !by);
	back_page(context, 0, by);
}

static void off(void)
{
	int round;

	secondary_controls(false);
	for (round = 0; round < ROUNDS; round++) {
		resume(false);
		change_page();
	}
}

static void on(void)
{
	int round;

	/* Off, and vmcs12 is changed. */
	secondary_controls(false);
	GUEST_ASSERT(!vmwrite(VIRTUAL_PROCESSOR_ID, VPID12));
	resume(false);
	secondary_controls(true);
	for (round = 0; round < ROUNDS; round++) {
		change_page();
		l1_invvpid(round & 1 ? INVVPID_ADDRESS : INVVPID_SINGLE, VPID12,
			   (u64)backing_gva(0));
		resume(false);
	}
}

static void l1_code(bool ends_on)
{
	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
	resume(true);
	if (ends_on)
		on();
	else
		off();
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	bool ends_on = option_given(argc, argv, "--on");
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	context = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, VPID12);
	sync_global_to_guest(vm, context);
	vcpu_args_set(vcpu, 1, ends_on);

	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
	return 0;
}
