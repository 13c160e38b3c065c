// SPDX-License-Identifier: GPL-2.0
/*
 * An L2's flush call for two virtual processors, in a VM of many vCPUs, each of which has an
 * L2 of its own active: the two flush when they next run, and no other one does.  With
 * --restored, one of the two was restored meanwhile, so that KVM does not know its L2's IDs.
 * Also a workload for `make bench`: what the call costs.
 */
#include "arguments.h"
#include "contexts.h"
#include "flush_call.h"
#include "witness.h"

#define ROUNDS		100
#define MAX_VCPUS	64
#define VM_ID		7
#define SENDER		0
#define TARGETS		(BIT(1) | BIT(2))
#define RESTORED	1

enum { DONE, ACTIVE };

static struct hv_input input;
static u64 nr_vcpus = MAX_VCPUS;

static const char *const regions[] = {
	[2] = "costs.call_of_4_vcpus", [3] = "costs.call_of_8_vcpus",
	[4] = "costs.call_of_16_vcpus", [5] = "costs.call_of_32_vcpus",
	[6] = "costs.call_of_64_vcpus",
};

static const char *region(void)
{
	return regions[__builtin_ctzl(nr_vcpus)];
}

static void target_l2_code(void)
{
	for (;;)
		GUEST_SYNC(ACTIVE);
}

static void sender_l2_code(void)
{
	int round;
	u16 status;

	guest_hv_fill_space(&input, TARGETS);
	witness_mark(region());
	for (round = 0; round < ROUNDS; round++) {
		status = flush_status(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, input.gpa, 0);
		__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "status %u", status);
	}
	witness_mark(UNJUDGED);
	GUEST_DONE();
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, id == SENDER ? sender_l2_code : target_l2_code);
	l1_allow_direct_flush(context, VM_ID, id);
	l1_enter(context);
	__GUEST_ASSERT(0, "L2 %lu has exited", id);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	struct l2_context *context;
	struct kvm_vm *vm;
	bool restored = false;
	u64 flushes, i;

	if (argc == 3 && !strcmp(argv[1], "--vcpus"))
		nr_vcpus = atoi_positive("number of vCPUs", argv[2]);
	else
		restored = option_given(argc, argv, "--restored");
	TEST_ASSERT(nr_vcpus >= 4 && nr_vcpus <= MAX_VCPUS && !(nr_vcpus & (nr_vcpus - 1)),
		    "Usage: %s [--vcpus 4|8|16|32|64 | --restored]", argv[0]);
	require_direct_flush();
	__TEST_REQUIRE(kvm_has_ept(), "kvm_intel has ept=0: that many L2s take minutes");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(nr_vcpus, nr_vcpus, 1);
	for (i = 0; i < nr_vcpus; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, l1_code);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
		context = context_for_guest(vm, i, 1, L2_EPT_OFF, kvm_has_vpid());
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context), NULL);
		vcpu_args_set(vcpus[i], 3, context, addr_gva2gpa(vm, vm_alloc_page(vm)), i);
	}
	input = hv_input_create(vm);
	contexts_finish(vm);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, nr_vcpus);

	for (i = 1; i < nr_vcpus; i++)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), ACTIVE);
	if (restored) {
		vcpu_save_and_go_back(vcpus[RESTORED]);
		TEST_ASSERT_EQ(run_to_sync(vcpus[RESTORED]), ACTIVE);
	}
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), DONE);
	for (i = 1; i < nr_vcpus; i++) {
		flushes = vcpu_get_stat(vcpus[i], tlb_flush);
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), ACTIVE);
		flushes = vcpu_get_stat(vcpus[i], tlb_flush) - flushes;
		TEST_ASSERT(!flushes == !(TARGETS & BIT(i)),
			    "vCPU %lu flushed %lu times", i, flushes);
	}

	printf("# bench %s %d\n", region(), ROUNDS);
	kvm_vm_free(vm);
	return 0;
}
