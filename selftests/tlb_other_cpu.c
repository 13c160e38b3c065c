// SPDX-License-Identifier: GPL-2.0
/*
 * L1 executes INVVPID on another CPU than the one that its L2 last ran on, goes
 * back there and enters L2 again.  Its translations are still in the first CPU's
 * TLB: the INVVPID must be carried out there.  Nothing else changes meanwhile,
 * so of all that a change of the CPU flushes only this matters.
 */
#include <sys/sysinfo.h>

#include "backing.h"
#include "invalidate.h"

#define NR_PAGES	2
#define VPID12		3

/* Which CPU to go to. */
enum { DONE, CPU_0, CPU_1 };

static struct l2_context *context;
static int expected;

static void l2_code(void)
{
	for (;;) {
		check_page(context, 0, READ_ONCE(expected));
		vmcall();
	}
}

static void l1_code(void)
{
	enum invvpid_type type;

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_set_vpid(context, VPID12);
	l1_run_to_vmcall(context);
	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_BUT_GLOBALS; type++) {
		GUEST_SYNC(CPU_1);
		expected = !expected;
		back_page(context, 0, expected);
		l1_invvpid(type, VPID12, L2_DATA_GVA);
		GUEST_SYNC(CPU_0);
		l1_run_to_vmcall(context);
	}
	GUEST_DONE();
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

	vm = contexts_vm_create(1, 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	context = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, 0);
	contexts_finish(vm);
	sync_global_to_guest(vm, context);

	while ((stage = run_to_sync(vcpu)) != DONE)
		pin_self_to_cpu(stage == CPU_1);

	kvm_vm_free(vm);
	return 0;
}
