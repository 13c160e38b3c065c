// SPDX-License-Identifier: GPL-2.0
/*
 * When KVM has no VPID left, an L2 with VPID runs with vpid01.  Its entries
 * need no flush as long as EPT tells L1's and L2's translations apart; with EPT
 * off nothing does, so each entry and each exit with an unchanged vpid12 must
 * flush the current context, and that is vpid01.  A new vpid12 is a flush for
 * the guest, of the same VPID, and instead of the other one.
 *
 * Takes the path of vpid_exhausted.ko (in module/).
 */
#include "contexts.h"
#include "modules.h"
#include "witness.h"

#define WARM_UP	4
#define ROUNDS	8

static const char *l2_exit_region = UNJUDGED;

static void l2_code(void)
{
	for (;;) {
		witness_mark(UNJUDGED);
		GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), l2_page_value(0, 0));
		witness_mark(READ_ONCE(l2_exit_region));
		vmcall();
	}
}

static void l1_round(struct l2_context *context, const char *enter, const char *leave)
{
	WRITE_ONCE(l2_exit_region, leave);
	witness_mark(enter);
	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);
}

static void l1_code(struct l2_context *context)
{
	int i;

	l1_vmxon(context);
	l1_load(context, l2_code);
	for (i = 0; i < WARM_UP; i++)
		l1_round(context, UNJUDGED, UNJUDGED);

	GUEST_SYNC(1);
	for (i = 0; i < ROUNDS; i++)
		l1_round(context, "no_tag.same.enter", "no_tag.same.exit");
	GUEST_SYNC(2);
	for (i = 0; i < ROUNDS; i++) {
		l1_set_vpid(context, context->vpid + 1);
		l1_round(context, "no_tag.new.enter", "no_tag.new.exit");
	}
	GUEST_DONE();
}

/* Whatever happens: the next test needs its VPIDs. */
int main(int argc, char *argv[])
{
	struct flushes same = {}, new = { .single01 = ROUNDS };
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context;
	u64 before;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	TEST_ASSERT(argc == 2, "Usage: %s .../vpid_exhausted.ko", argv[0]);
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	context_create(vm, 0, 1, L2_EPT_OFF, &context)->vpid = 1;
	contexts_finish(vm);
	vcpu_args_set(vcpu, 1, context);

	module_unload_at_exit("vpid_exhausted");
	/* Not before: vpid01 is allocated with the vCPU. */
	module_must_load(argv[1], "on=1");
	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	module_must_unload("vpid_exhausted");

	before = vcpu_get_stat(vcpu, tlb_flush);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
	if (!kvm_has_ept())
		same.single01 = ROUNDS;
	TEST_ASSERT_EQ(vcpu_get_stat(vcpu, tlb_flush) - before, 2 * same.single01);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	witness_flushes("no_tag.same.enter", "vmentry.L2", &same);
	witness_flushes("no_tag.same.exit", "vmentry.L1", &same);
	witness_flushes("no_tag.new.enter", "vmentry.L2", &new);
	witness_flushes("no_tag.new.exit", "vmentry.L1", &same);

	kvm_vm_free(vm);
	return 0;
}
