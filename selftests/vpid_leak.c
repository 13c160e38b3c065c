// SPDX-License-Identifier: GPL-2.0
/*
 * VMs come and go, each with an L1 that runs several L2s with a vpid12 of their own;
 * some leave VMX operation before they go, and some enter it twice.  KVM allocates the
 * lowest free VPID, so the last VM must get the VPIDs of the first one.
 */
#include <stdlib.h>

#include "backing.h"
#include "invalidate.h"
#include "witness.h"

#define NR_L2S		4
#define NR_VMS		100
#define HIGHEST		(1 + NR_L2S)	/* L1 has VPID 1 */

static struct l2_context *contexts[NR_L2S];
static bool leaves, enters_twice;
static const char region[] = "leak.last";

static void l2_code(void)
{
	for (;;)
		vmcall();
}

static void run_all(void)
{
	int i;

	for (i = 0; i < 2 * NR_L2S; i++) {
		l1_load(contexts[i % NR_L2S], l2_code);
		l1_run_to_vmcall(contexts[i % NR_L2S]);
	}
}

static void leave(void)
{
	int i;

	for (i = 0; i < NR_L2S; i++) {
		GUEST_ASSERT(!vmclear(contexts[i]->vmx->vmcs_gpa));
		contexts[i]->launched = false;
	}
	vmxoff();
}

static void l1_code(void)
{
	l1_vmxon(contexts[0]);
	run_all();
	if (enters_twice) {
		leave();
		l1_vmxon(contexts[0]);
		run_all();
	}
	if (leaves)
		leave();
	GUEST_DONE();
}

static void live(int number)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	leaves = number & 1;
	enters_twice = number & 2;
	vm = contexts_vm_create(1, NR_L2S, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	for (i = 0; i < NR_L2S; i++)
		contexts[i] = context_for_guest(vm, i, 1, L2_EPT_OFF, 1 + i);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, leaves);
	sync_global_to_guest(vm, enters_twice);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	int nr_vms = NR_VMS, i;
	char counter[64];

	TEST_ASSERT(argc == 1 || (argc == 3 && !strcmp(argv[1], "--vms")),
		    "Usage: %s [--vms NUMBER]", argv[0]);
	if (argc == 3)
		nr_vms = atoi_positive("vms", argv[2]);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0");
	pin_self_to_any_cpu();

	for (i = 0; i < nr_vms; i++)
		live(i);
	witness_mark(region);
	live(0);
	witness_mark(UNJUDGED);

	witness_expect(region, "invvpid.single.vpid.2", ">=", 1);
	/* What a leak would have made it get. */
	for (i = HIGHEST + 1; i < 4 * HIGHEST; i++) {
		snprintf(counter, sizeof(counter), "invvpid.single.vpid.%d", i);
		witness_expect(region, counter, "==", 0);
	}
	return 0;
}
