// SPDX-License-Identifier: GPL-2.0
/*
 * An L2 whose flush hypercalls KVM handles ("direct" flush) is restored while it is
 * active.  Its ids, and the address of its partition assist page, are in its
 * enlightened VMCS only.  Until KVM has read them again it does not know them, but
 * still handles L2's calls: they fail, or miss the restored vCPU.
 */
#include "hv_pair.h"
#include "witness.h"

/*
 * The restored L2 makes a call; the same after L1 has entered it again with an eVMCS
 * that it declares clean, as Linux does after each exit; another L2 of the same VM calls
 * while the restored one waits.
 */
enum form { CALLER, CLEAN_EVMCS, WAITING_TARGET, NR_FORMS };
static const char *const form_names[NR_FORMS] = { "caller", "clean-evmcs", "waiting-target" };

enum { DONE, SAVE, WAIT };

static enum form form;
static const char region[] = "bug.restored";

static void target_l2(void)
{
	if (form != WAITING_TARGET)
		hv_pair_flush_well(BIT(TARGET));
	hv_pair_check(0);
	GUEST_SYNC(SAVE);
	if (form == CLEAN_EVMCS)
		vmcall();
	if (form == WAITING_TARGET) {
		hv_pair_check(0);
		GUEST_SYNC(WAIT);
		witness_mark(UNJUDGED);
		hv_pair_check(1);
	} else {
		hv_pair_change(1, BIT(TARGET));
		hv_pair_check(1);
	}
	vmcall();
}

static void sender_l2(void)
{
	GUEST_SYNC(WAIT);
	hv_pair_change(1, BIT(TARGET));
	vmcall();
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	l1_hv_pair_start(context, hypercall_gpa, id, id == TARGET ? target_l2 : sender_l2);
	l1_run_to_vmcall(context);
	if (id == TARGET && form == CLEAN_EVMCS) {
		/* But for what every entry of ours writes. */
		current_evmcs->hv_clean_fields |= HV_VMX_ENLIGHTENED_CLEAN_FIELD_ALL;
		l1_run_to_vmcall(context);
	}
	GUEST_DONE();
}

static void try_restore(void)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm = hv_pair_create(l1_code, 0, vcpus);
	u64 flushes = 0;

	sync_global_to_guest(vm, form);
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), SAVE);
	vcpu_save_and_go_back(vcpus[TARGET]);
	if (form == WAITING_TARGET) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), WAIT);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAIT);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), DONE);
		flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush);
		/* Handled before it continues. */
		witness_mark(region);
	}
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), DONE);
	if (form == WAITING_TARGET) {
		flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush) - flushes;
		TEST_ASSERT(flushes, "The call succeeded, and its target flushed nothing");
		witness_expect(region, "invvpid.single.vpid02", ">=", kvm_has_vpid());
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_ASSERT(argc == 3 && !strcmp(argv[1], "--form"), "--form NAME");
	while (form < NR_FORMS && strcmp(argv[2], form_names[form]))
		form++;
	TEST_ASSERT(form < NR_FORMS, "No form %s", argv[2]);

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	require_direct_flush();
	pin_self_to_any_cpu();

	try_restore();
	return 0;
}
