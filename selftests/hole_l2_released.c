// SPDX-License-Identifier: GPL-2.0
/*
 * An L2's flush hypercall that KVM serves ("direct" flush), for an L2 that is at rest:
 * its L1 has cleared the enlightened VMCS, by which KVM knew whose it is, and launches
 * it again after the call; or, with --without-vpid, runs it without a VPID meanwhile, so
 * that the flush is made of another tag; or, with --renamed, runs another L2 without a
 * VPID on the same enlightened VMCS meanwhile.  What the L2 had cached under its vpid12
 * is still there then, and L1 cannot know of the call.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include "backing.h"
#include "flush_call.h"
#include "witness.h"

#define NR_PAGES	2
#define VPID12		1
#define VM_ID		7
#define OTHER_VM_ID	8
#define SENDER		0
#define TARGET		1
#define ROUNDS		4

enum { DONE, READY };

static struct l2_context *tables;
static struct hv_input input;
static const char region[] = "hole.released";
/* Without it, to see that the rest is right. */
static bool release = true, without_vpid, renamed;

static void target_l2(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		check_page(tables, 0, round & 1);
		vmcall();
		if (without_vpid)
			vmcall();
		if (renamed)
			vmcall();
		witness_mark(UNJUDGED);
		check_page(tables, 0, ~round & 1);
	}
	vmcall();
}

static void sender_l2(void)
{
	int round;
	u16 status;

	for (round = 0; round < ROUNDS; round++) {
		back_page(tables, 0, ~round & 1);
		guest_hv_fill_space(&input, BIT(TARGET));
		status = flush_status(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, input.gpa, 0);
		__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "status %u", status);
		vmcall();
	}
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	int round;

	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, id == TARGET ? target_l2 : sender_l2);
	vmwrite(GUEST_CR3, tables->cr3);
	l1_allow_direct_flush(context, VM_ID, id);
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

static struct l2_context *create(struct kvm_vm *vm, u64 number)
{
	gva_t gva;

	context_create(vm, number, NR_PAGES, L2_EPT_OFF, &gva)->vpid = VPID12;
	return (struct l2_context *)gva;
}

int main(int argc, char *argv[])
{
	struct l2_context *context;
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	int i, round;

	renamed = argc == 2 && !strcmp(argv[1], "--renamed");
	without_vpid = renamed || (argc == 2 && !strcmp(argv[1], "--without-vpid"));
	release = argc < 2;
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS));
	TEST_REQUIRE(kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 3, NR_PAGES);
	tables = create(vm, 0);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, l1_code);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
		context = create(vm, 1 + i);
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context), NULL);
		vcpu_args_set(vcpus[i], 3, context, addr_gva2gpa(vm, vm_alloc_page(vm)), i);
	}
	input = hv_input_create(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);
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
