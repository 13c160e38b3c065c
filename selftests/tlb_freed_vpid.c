// SPDX-License-Identifier: GPL-2.0
/*
 * A VPID that one vCPU of a VM has left to another.  The one runs an L2 and leaves VMX
 * operation, for which KVM frees the VPID of that L2.  Then the other one enters an L2
 * with a vpid12 that it has not used yet, and may be given that VPID (V4).  Both L2s use
 * one linear address, backed by a page each, under the same root of L0's EPT.
 *
 * The vCPUs take turns on one thread, and so on one CPU, whose TLB has what the first L2
 * has left.  L1 owes no INVVPID: the vpid12 is new to the vCPU.
 */
#include "backing.h"
#include "witness.h"

#define ROUNDS	4
#define LEAVER	0
#define TAKER	1

enum { DONE, TURN };

/* The taker's first L2 makes it enter VMX operation, and takes the VPID that it gets there. */
static struct l2_context *left[ROUNDS], *taking[1 + ROUNDS], *current[2];

/* The taker's entry with a new vpid12. */
static const char region[] = "freed_vpid";

static void l2_of_leaver(void)
{
	for (;;) {
		check_page(READ_ONCE(current[LEAVER]), 0, 0);
		vmcall();
	}
}

static void l2_of_taker(void)
{
	for (;;) {
		check_page(READ_ONCE(current[TAKER]), 0, 0);
		witness_mark(UNJUDGED);
		vmcall();
	}
}

static void leaver_code(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		WRITE_ONCE(current[LEAVER], left[round]);
		l1_vmxon(left[round]);
		l1_load(left[round], l2_of_leaver);
		l1_run_to_vmcall(left[round]);
		GUEST_ASSERT(!vmclear(left[round]->vmx->vmcs_gpa));
		vmxoff();
		GUEST_SYNC(TURN);
	}
	GUEST_DONE();
}

static void taker_code(void)
{
	int i;

	l1_vmxon(taking[0]);
	for (i = 0; i <= ROUNDS; i++) {
		WRITE_ONCE(current[TAKER], taking[i]);
		l1_load(taking[i], l2_of_taker);
		if (i)
			witness_mark(region);
		l1_run_to_vmcall(taking[i]);
		GUEST_SYNC(TURN);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *leaver, *taker;
	struct kvm_vm *vm;
	int i, nr = 0;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 1 + 2 * ROUNDS, 1);
	leaver = vm_vcpu_add(vm, LEAVER, leaver_code);
	taker = vm_vcpu_add(vm, TAKER, taker_code);
	for (i = 0; i < ROUNDS; i++)
		left[i] = context_for_guest(vm, nr++, 1, L2_EPT_OFF, 1);
	for (i = 0; i <= ROUNDS; i++)
		taking[i] = context_for_guest(vm, nr++, 1, L2_EPT_OFF, 1 + i);
	sync_global_to_guest(vm, left);
	sync_global_to_guest(vm, taking);

	TEST_ASSERT_EQ(run_to_sync(taker), TURN);
	for (i = 0; i < ROUNDS; i++) {
		TEST_ASSERT_EQ(run_to_sync(leaver), TURN);
		TEST_ASSERT_EQ(run_to_sync(taker), TURN);
	}
	kvm_vm_free(vm);
	witness_expect(region, "vmentry.L2", ">=", ROUNDS);
	witness_expect(region, "invvpid.single", ">=", ROUNDS);
	return 0;
}
