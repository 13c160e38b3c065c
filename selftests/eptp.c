// SPDX-License-Identifier: GPL-2.0
/*
 * What INVEPT single-context names must be an EPTP that the CPU accepts, and
 * that of the root in use: write-back, page-walk length by the root's level,
 * accessed/dirty flags if the root has them.  An EPTP that the CPU refuses is
 * VMfail, so no flush at all.  Tried with L1's root, with roots of L2s whose L1
 * uses the flags and does not, and with a root that maps nothing because
 * eptp12 points at no memory.
 */
#include "contexts.h"
#include "invalidate.h"
#include "witness.h"

#define VPID12		1
#define EPTP_AD		BIT_ULL(6)
#define NO_MEMORY_GPA	0x7ffff000ul

static void l2_code(void)
{
	for (;;) {
		witness_mark(UNJUDGED);
		vmcall();
	}
}

/* L1's INVEPT drops the roots, so the next entry loads one and flushes it. */
static void l1_drop_roots(void)
{
	l1_invept(INVEPT_ALL, 0);
}

static void l1_code(struct l2_context *context, bool has_ad)
{
	u64 eptp, reason;

	guest_cr4(X86_CR4_SMEP, false);
	witness_mark("eptp.l1");
	guest_cr4(X86_CR4_SMEP, true);
	witness_mark(UNJUDGED);

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
	eptp = vmreadz(EPT_POINTER);
	GUEST_ASSERT_EQ(!!(eptp & EPTP_AD), has_ad);

	if (has_ad) {
		l1_drop_roots();
		witness_mark("eptp.l2_ad");
		l1_run_to_vmcall(context);
	}

	vmwrite(EPT_POINTER, eptp & ~EPTP_AD);
	l1_drop_roots();
	witness_mark("eptp.l2_no_ad");
	l1_run_to_vmcall(context);

	vmwrite(EPT_POINTER, (eptp & ~PHYSICAL_PAGE_MASK) | NO_MEMORY_GPA);
	witness_mark("eptp.l2_dummy");
	reason = l1_enter(context);
	witness_mark(UNJUDGED);
	GUEST_ASSERT_EQ(reason, EXIT_REASON_EPT_VIOLATION);
	GUEST_DONE();
}

static void judge(const char *region)
{
	const struct flushes want = { .invept_single = 1 };

	witness_flushes(region, "instr.L1", &want);
	/* VMfail 28: the operand was refused. */
	witness_expect(region, "vmfail.28", "==", 0);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context;
	bool has_ad;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SMEP));
	__TEST_REQUIRE(kvm_cpu_has_ept(), "kvm_intel has ept=0: there is no EPTP");
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	has_ad = get_kvm_intel_param_bool("eptad");
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	vm_enable_ept(vm);
	context_create(vm, 0, 1, L2_EPT_SHARED, &context)->vpid = VPID12;
	contexts_finish(vm);
	vcpu_args_set(vcpu, 2, context, has_ad);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	judge("eptp.l1");
	if (has_ad)
		judge("eptp.l2_ad");
	judge("eptp.l2_no_ad");
	judge("eptp.l2_dummy");

	kvm_vm_free(vm);
	return 0;
}
