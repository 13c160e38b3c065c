// SPDX-License-Identifier: GPL-2.0
/*
 * An L2's flush hypercall that KVM handles ("direct" flush), for an L2 that is at rest.
 * Its L1 has cleared the enlightened VMCS, by which KVM finds an L2, and launches it
 * again after the call.  Or, with --without-vpid, L1 runs it without a VPID meanwhile, so
 * that the flush is made of another tag.  Or, with --renamed, L1 runs another L2 without
 * a VPID on the same enlightened VMCS meanwhile.  Or, with --shared-vpid, it runs another
 * L2 with the same vpid12 there, as it may if neither needs an INVVPID for the other.  What
 * the L2 had cached under its vpid12 is still there then, and L1 cannot know of the call.
 */
#include "hv_pair.h"
#include "witness.h"

#define VPID12		1
#define OTHER_VM_ID	8
#define ROUNDS		4

enum { DONE, READY };

static const char region[] = "bug.released";
/* Without it, to see that the rest is right. */
static bool release = true, without_vpid, renamed;

static void target_l2(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		hv_pair_check(round & 1);
		vmcall();
		if (without_vpid)
			vmcall();
		if (renamed)
			vmcall();
		witness_mark(UNJUDGED);
		hv_pair_check(~round & 1);
	}
	vmcall();
}

static void sender_l2(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		hv_pair_change(~round & 1, BIT(TARGET));
		vmcall();
	}
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	int round;

	l1_hv_pair_start(context, hypercall_gpa, id, id == TARGET ? target_l2 : sender_l2);
	for (round = 0; round < ROUNDS; round++) {
		l1_run_to_vmcall(context);
		if (id == TARGET && release) {
			GUEST_ASSERT(!vmclear(context->hv->enlightened_vmcs_gpa));
			context->launched = false;
		}
		if (id == TARGET && without_vpid)
			l1_set_vpid(context, 0);
		if (id == TARGET && renamed) {
			l1_allow_direct_flush(context, OTHER_VM_ID, id);
			l1_run_to_vmcall(context);
		}
		GUEST_SYNC(READY);
		if (id != TARGET)
			continue;
		if (without_vpid) {
			l1_run_to_vmcall(context);
			l1_set_vpid(context, VPID12);
		}
		if (renamed)
			l1_allow_direct_flush(context, VM_ID, id);
		witness_mark(region);
	}
	if (id == TARGET)
		l1_run_to_vmcall(context);
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	int i, round;

	without_vpid = argc == 2 && (!strcmp(argv[1], "--renamed") ||
				     !strcmp(argv[1], "--without-vpid"));
	renamed = argc == 2 && (!strcmp(argv[1], "--renamed") ||
				!strcmp(argv[1], "--shared-vpid"));
	release = argc < 2;
	TEST_ASSERT(release || without_vpid || renamed || !strcmp(argv[1], "--kept"),
		    "There is no %s", argv[1]);
	require_direct_flush();
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	vm = hv_pair_create(l1_code, 0, vcpus);
	sync_global_to_guest(vm, release);
	sync_global_to_guest(vm, without_vpid);
	sync_global_to_guest(vm, renamed);

	for (round = 0; round < ROUNDS; round++)
		for (i = TARGET; i >= SENDER; i--)
			TEST_ASSERT_EQ(run_to_sync(vcpus[i]), READY);
	for (i = TARGET; i >= SENDER; i--)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), DONE);
	kvm_vm_free(vm);

	/* At each launch, of all that the L2 had. */
	witness_expect(region, "vmentry.L2", ">=", ROUNDS);
	/* The L2 without a VPID ran with vpid01: for the emulator vpid02 is another's then. */
	witness_expect(region, without_vpid ? "invvpid.single.other" : "invvpid.single.vpid02",
		       ">=", ROUNDS);
	return 0;
}
