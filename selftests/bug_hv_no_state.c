// SPDX-License-Identifier: GPL-2.0
/*
 * A Hyper-V flush for the L1 of a vCPU that has no Hyper-V state, and so no queue,
 * while its L2 is running.  KVM flushes the VPID of the level that runs, and no
 * transition requests L1's flush again.  With --comes the VMM reads a Hyper-V MSR of the
 * vCPU after the request, and the vCPU handles it afterwards.  By the read the vCPU gets
 * its state, and with it an empty queue: KVM flushes nothing at all.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include "arguments.h"
#include "backing.h"
#include "hyperv_flush.h"
#include "options.h"
#include "witness.h"

#define NR_PAGES	2
#define VPID12		1
#define SENDER		0
#define TARGET		1
#define ROUNDS		4

enum { DONE, WAITING, SENT };

static struct l2_context *tables;	/* of both L1s */
static const char region[] = "bug.no_state", first_region[] = "bug.no_state.first";

static void target_l2(void)
{
	for (;;) {
		GUEST_SYNC(WAITING);
		vmcall();
	}
}

static void target_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int round;

	set_cr3(tables->cr3);
	l1_vmxon(context);
	l1_load(context, target_l2);
	for (round = 0; round < ROUNDS; round++) {
		check_page(tables, 0, round & 1);
		l1_run_to_vmcall(context);
		witness_mark(UNJUDGED);
		check_page(tables, 0, ~round & 1);
	}
	GUEST_DONE();
}

static void sender_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int round;

	set_cr3(tables->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	for (round = 0; round < ROUNDS; round++) {
		back_page(tables, 0, ~round & 1);
		guest_hv_flush_space_fast(BIT(TARGET));
		GUEST_SYNC(SENT);
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number)
{
	return context_for_guest(vm, number, NR_PAGES, L2_EPT_OFF, VPID12);
}

int main(int argc, char *argv[])
{
	static void (*const code[])(struct l2_context *, u64) = { sender_l1, target_l1 };
	bool comes = option_given(argc, argv, "--comes");
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	int i, round;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 3, NR_PAGES);
	tables = create(vm, 0);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, code[i]);
		vcpu_args_set(vcpus[i], 2, create(vm, 1 + i), addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	vcpu_set_hv_cpuid(vcpus[SENDER]);
	sync_global_to_guest(vm, tables);

	for (round = 0; round < ROUNDS; round++) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAITING);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
		if (comes)
			vcpu_get_msr(vcpus[TARGET], HV_X64_MSR_VP_INDEX);
		witness_mark(comes && !round ? first_region : region);
	}
	for (i = TARGET; i >= SENDER; i--)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), DONE);
	kvm_vm_free(vm);

	if (comes) {
		witness_expect(first_region, "vmentry.L1", ">=", 1);
		witness_expect(first_region,
			       kvm_has_ept() ? flush_all_counter() : "invvpid.single.vpid01",
			       ">=", 1);
		return 0;
	}
	/* By the time that L1 runs again. */
	witness_expect(region, "vmentry.L1", ">=", ROUNDS);
	witness_expect(region, "invvpid.single.vpid01", ">=", ROUNDS);
	return 0;
}
