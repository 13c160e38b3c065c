// SPDX-License-Identifier: GPL-2.0
/*
 * A flush of what the guest's own page tables translate: INVVPID
 * single-context on the VPID that the current level runs with (vpid01, or
 * vpid02 for an L2 with VPID), and never INVEPT, since guest-physical mappings
 * are not the guest's.  Nothing but the statistics when VPID is off.
 *
 * Tried with the paravirtual flush (steal time), which asks for nothing else,
 * with changed paging state (KVM_SET_SREGS), which loads the root again as well,
 * and, where L0 has no EPT and sees it, with INVPCID.
 */
#include <asm/kvm_para.h>

#include "backing.h"
#include "invalidate.h"
#include "witness.h"

#define VPID12	1

enum { DONE, CHECK, PV_L1, SREGS_L1, SREGS_L2, SREGS_L2_NO_VPID, INVPCID_L1 };

/* Stand still while the host asks for a flush, then let it read the statistics. */
#define STAND_STILL(stage)	\
do {				\
	GUEST_SYNC(stage);	\
	witness_mark(UNJUDGED);	\
	GUEST_SYNC(CHECK);	\
} while (0)

static void l2_code(void)
{
	STAND_STILL(SREGS_L2);
	vmcall();
	STAND_STILL(SREGS_L2_NO_VPID);
	vmcall();
}

static void l1_code(struct l2_context *context, u64 steal_time_gpa)
{
	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	STAND_STILL(PV_L1);
	STAND_STILL(SREGS_L1);

	GUEST_SYNC(INVPCID_L1);
	guest_invpcid(INVPCID_ALL, 0, 0);
	witness_mark(UNJUDGED);
	GUEST_SYNC(CHECK);

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
	l1_set_vpid(context, 0);
	l1_run_to_vmcall(context);
	GUEST_DONE();
}

/* A new root: INVEPT of it, or with EPT off INVVPID of the VPID it is used with. */
static struct flushes plus_new_root(struct flushes want)
{
	if (kvm_has_ept()) {
		want.invept_single = 1;
	} else {
		want.single01 *= 2;
		want.single02 *= 2;
	}
	return want;
}

static void judge(struct kvm_vcpu *vcpu, const char *region, const char *seen,
		  struct flushes want, int stat)
{
	u64 before = vcpu_get_stat(vcpu, tlb_flush);

	witness_flushes(region, seen, &want);
	witness_mark(region);
	TEST_ASSERT_EQ(run_to_sync(vcpu), CHECK);
	TEST_ASSERT(vcpu_get_stat(vcpu, tlb_flush) - before == stat,
		    "%s: %lu flushes in the statistics, not %d", region,
		    vcpu_get_stat(vcpu, tlb_flush) - before, stat);
}

int main(int argc, char *argv[])
{
	struct flushes vpid01 = { .single01 = kvm_has_vpid() };
	struct flushes vpid02 = { .single02 = kvm_has_vpid() };
	const struct flushes nothing = {};
	struct kvm_steal_time *steal_time;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context, page;
	u64 stage;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_INVPCID));
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	page = vm_alloc_page(vm);
	steal_time = addr_gva2hva(vm, page);
	memset(steal_time, 0, sizeof(*steal_time));
	context_create(vm, 0, 1, L2_EPT_OFF, &context)->vpid = kvm_has_vpid() ? VPID12 : 0;
	contexts_finish(vm);
	vcpu_args_set(vcpu, 2, context, addr_gva2gpa(vm, page));

	while ((stage = run_to_sync(vcpu)) != DONE) {
		switch (stage) {
		case PV_L1:
			steal_time->preempted = KVM_VCPU_FLUSH_TLB;
			judge(vcpu, "guest.pv.l1", "vmentry.L1", vpid01, 1);
			TEST_ASSERT_EQ(steal_time->preempted, 0);
			break;
		case SREGS_L1:
			vcpu_flush_guest(vcpu);
			judge(vcpu, "guest.sregs.l1", "vmentry.L1", plus_new_root(vpid01), 1);
			break;
		case INVPCID_L1:
			/* With EPT the instruction does not exit. */
			judge(vcpu, "guest.invpcid.l1", "vmentry.L1",
			      kvm_has_ept() ? nothing : vpid01, !kvm_has_ept());
			break;
		case SREGS_L2:
			vcpu_flush_guest(vcpu);
			judge(vcpu, "guest.sregs.l2", "vmentry.L2", plus_new_root(vpid02), 1);
			break;
		case SREGS_L2_NO_VPID:
			vcpu_flush_guest(vcpu);
			judge(vcpu, "guest.sregs.l2_no_vpid", "vmentry.L2",
			      plus_new_root(vpid01), 1);
			break;
		}
	}

	kvm_vm_free(vm);
	return 0;
}
