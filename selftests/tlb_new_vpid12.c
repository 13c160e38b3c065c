// SPDX-License-Identifier: GPL-2.0
/*
 * One L2 that L1 enters with a vpid12 that it has never used, after it has changed L2's
 * page tables.  No translation can be cached for that vpid12, so L1 executes no INVVPID.
 * KVM's vpid02, and without EPT its shadow page tables, are those of the vpid12 before.
 */
#include "backing.h"
#include "witness.h"

#define ROUNDS		6
#define NR_PAGES	2

static struct l2_context *context;
static u64 by;		/* what backs page 0 */

static const char region[] = "new_vpid12";

static void l2_code(void)
{
	for (;;) {
		check_page(context, 0, READ_ONCE(by));
		vmcall();
	}
}

static void l1_code(void)
{
	int round;

	l1_vmxon(context);
	l1_load(context, l2_code);
	for (round = 1; round <= ROUNDS; round++) {
		l1_set_vpid(context, round);
		witness_mark(region);
		l1_run_to_vmcall(context);
		witness_mark(UNJUDGED);
		WRITE_ONCE(by, !by);
		back_page(context, 0, by);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	context = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, 1);
	sync_global_to_guest(vm, context);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
	witness_expect(region, "vmentry.L2", ">=", ROUNDS);
	return 0;
}
