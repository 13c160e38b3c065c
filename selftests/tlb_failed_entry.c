// SPDX-License-Identifier: GPL-2.0
/*
 * A VM entry with another vpid12 that fails late, after KVM has switched to L2:
 * the flush that the new vpid12 owes was requested for L2 by then, and must be
 * served for L2 before the vCPU goes back to L1, whose VPID is another one.  The
 * next entry, with the same vpid12, does not request it again.
 *
 * Two L2s back one linear address by a page each; the first leaves a translation
 * behind, then the second is entered, fails, is entered again, and uses it.
 */
#include "backing.h"

#define NR_CONTEXTS	2
#define ROUNDS		2

enum { DONE };

static struct l2_context *contexts[NR_CONTEXTS], *current;
static struct vmx_msr_entry *msr_list;
static gpa_t msr_list_gpa;

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, 0);
		vmcall();
	}
}

static void load(int number)
{
	WRITE_ONCE(current, contexts[number]);
	l1_load(current, l2_code);
	l1_set_vpid(current, 1 + number);
}

static void run(int number)
{
	load(number);
	l1_run_to_vmcall(current);
}

static void run_after_failure(int number)
{
	u64 reason;

	load(number);
	/* FS's base may not be in the list. */
	msr_list->index = MSR_FS_BASE;
	GUEST_ASSERT(!vmwrite(VM_ENTRY_MSR_LOAD_ADDR, msr_list_gpa));
	GUEST_ASSERT(!vmwrite(VM_ENTRY_MSR_LOAD_COUNT, 1));
	reason = l1_enter(current);
	__GUEST_ASSERT(reason == (EXIT_REASON_FAILED_VMENTRY | EXIT_REASON_MSR_LOAD_FAIL),
		       "exit for %lx", reason);
	GUEST_ASSERT(!vmwrite(VM_ENTRY_MSR_LOAD_COUNT, 0));
	l1_run_to_vmcall(current);
}

static void l1_code(void)
{
	int round;

	l1_vmxon(contexts[0]);
	run(1);
	for (round = 0; round < ROUNDS; round++) {
		run(0);
		run_after_failure(1);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t gva;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, NR_CONTEXTS, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	for (i = 0; i < NR_CONTEXTS; i++) {
		context_create(vm, i, 1, L2_EPT_OFF, &gva);
		contexts[i] = (struct l2_context *)gva;
	}
	contexts_finish(vm);
	msr_list = (struct vmx_msr_entry *)vm_alloc_page(vm);
	msr_list_gpa = addr_gva2gpa(vm, (gva_t)msr_list);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, msr_list);
	sync_global_to_guest(vm, msr_list_gpa);

	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
	return 0;
}
