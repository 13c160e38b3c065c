// SPDX-License-Identifier: GPL-2.0
/*
 * An L2 turns its L1's local APIC on, which was off: what was ordinary memory to L1 is
 * the APIC's page from now on, and L1's translations of it must go.  KVM flushes those
 * of one EPT pointer, which is L1's only if the L2 has an EPT of its own; without,
 * the root that KVM takes for L1's is the L2's.
 *
 * Needs APICv: without, KVM maps the page for no guest.
 */
#include "apic.h"
#include "apic_page.h"
#include "arguments.h"
#include "backing.h"
#include "witness.h"

#define VPID12		1
#define ROUNDS		4
#define PLAIN_VALUE	0x5a5a5a5au

enum { DONE };

static const char region[] = "bug.apic_mode";

static void l2_code(void)
{
	for (;;) {
		vmcall();
		witness_mark(region);
		guest_set_apic(MSR_IA32_APICBASE_ENABLE);
		witness_mark(UNJUDGED);
		vmcall();
	}
}

static void l1_code(struct l2_context *context)
{
	u32 version = xapic_read_reg(APIC_LVR);
	int round;

	l1_vmxon(context);
	l1_load(context, l2_code);
	/* All MSRs are L2's: the bitmap is empty. */
	GUEST_ASSERT(!vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			      vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS));
	for (round = 0; round < ROUNDS; round++) {
		/* KVM may flush when it runs an L2 again after long: do so first. */
		l1_run_to_vmcall(context);
		guest_set_apic(0);
		xapic_write_reg(APIC_LVR, PLAIN_VALUE);
		GUEST_ASSERT_EQ(xapic_read_reg(APIC_LVR), PLAIN_VALUE);
		l1_run_to_vmcall(context);
		GUEST_ASSERT_EQ(xapic_read_reg(APIC_LVR), version);
	}
	GUEST_DONE();
}

static void try_mode(enum l2_ept ept)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context;

	vm = contexts_vm_create(1, 1, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	virt_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA, 1);
	context_create(vm, 0, 1, ept, &context)->vpid = kvm_has_vpid() ? VPID12 : 0;
	contexts_finish(vm);
	vcpu_args_set(vcpu, 1, context);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	enum l2_ept ept = option_given(argc, argv, "--l2-ept") ? L2_EPT_SHARED : L2_EPT_OFF;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_kvm_intel_param_bool("enable_apicv"),
		       "kvm_intel has enable_apicv=0: KVM maps the APIC's page for no guest");
	pin_self_to_any_cpu();

	try_mode(ept);
	witness_expect(region, "vmexit.L2.msr_write", ">=", ROUNDS);
	return 0;
}
