// SPDX-License-Identifier: GPL-2.0
/*
 * L1 executes INVVPID on another CPU than the one that its L2 last ran on, goes
 * back there and enters L2 again.  Its translations are still in the first CPU's
 * TLB: the INVVPID must be carried out there.  Nothing else changes meanwhile,
 * so of all that a change of the CPU flushes only this matters.  What that flushes
 * hides a lost INVVPID from L2, but not from the counts.
 *
 * The L2 is the one that ran last, or another one is.
 */
#include <sys/sysinfo.h>

#include "backing.h"
#include "invalidate.h"
#include "witness.h"

#define NR_PAGES	2
#define VPID12		3
#define OTHER_VPID12	4

/* Which CPU to go to. */
enum { DONE, CPU_0, CPU_1 };

static struct l2_context *context, *other;
static int expected;

static const char there[] = "other_cpu.there", back[] = "other_cpu.back";

static void l2_code(void)
{
	for (;;) {
		check_page(context, 0, READ_ONCE(expected));
		vmcall();
	}
}

static void other_code(void)
{
	for (;;)
		vmcall();
}

static void run(struct l2_context *which, void *code)
{
	l1_load(which, code);
	l1_run_to_vmcall(which);
}

static void invalidate_there(enum invvpid_type type)
{
	GUEST_SYNC(CPU_1);
	expected = !expected;
	back_page(context, 0, expected);
	witness_mark(there);
	l1_invvpid(type, VPID12, L2_DATA_GVA);
	witness_mark(UNJUDGED);

	GUEST_SYNC(CPU_0);
	witness_mark(back);
	run(context, l2_code);
	witness_mark(UNJUDGED);
}

static void l1_code(void)
{
	enum invvpid_type type;

	l1_vmxon(context);
	run(context, l2_code);
	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_BUT_GLOBALS; type++) {
		invalidate_there(type);
		run(other, other_code);
		invalidate_there(type);
	}
	GUEST_DONE();
}

/* All types, for an L2 that ran last and for one that did not. */
static void expect_flushes(void)
{
	int nr = 2 * (INVVPID_SINGLE_BUT_GLOBALS - INVVPID_ADDRESS + 1);
	struct flushes none = {};

	witness_flushes(there, "vmexit.L1.invvpid", &none);
	witness_expect(back, "vmentry.L2", ">=", nr);
	/* Without EPT a new root is a flush of the VPID, too. */
	witness_expect(back, "invvpid.single", kvm_has_ept() ? "==" : ">=", nr);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 stage;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: there is no other");
	pin_self_to_cpu(0);

	vm = contexts_vm_create(1, 2, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	context = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, VPID12);
	other = context_for_guest(vm, 1, NR_PAGES, L2_EPT_OFF, OTHER_VPID12);
	contexts_finish(vm);
	sync_global_to_guest(vm, context);
	sync_global_to_guest(vm, other);

	while ((stage = run_to_sync(vcpu)) != DONE)
		pin_self_to_cpu(stage == CPU_1);

	kvm_vm_free(vm);
	expect_flushes();
	return 0;
}
