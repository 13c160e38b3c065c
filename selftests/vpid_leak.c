// SPDX-License-Identifier: GPL-2.0
/*
 * VMs come and go, each with an L1 that runs several L2s with a vpid12 of their own;
 * some leave VMX operation before they go, and some enter it twice.  KVM allocates the
 * lowest free VPID, so the last VM must get the VPIDs of the first one.
 *
 *   vpid_leak [MODULES/vpids_used.ko] [--vms NUMBER] [--same-memory]
 *
 * With the path of vpids_used.ko, all VPIDs that are in use are counted before and after.
 * With --same-memory, some hundred VMs have the same memory, one after another: to make
 * memory takes most of the time otherwise.
 */
#include <getopt.h>
#include <stdlib.h>

#include "backing.h"
#include "vpids.h"
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

static struct kvm_vcpu *create(struct kvm_vm **vm)
{
	struct kvm_vcpu *vcpu;
	int i;

	*vm = contexts_vm_create(1, NR_L2S, 1);
	vcpu = vm_vcpu_add(*vm, 0, l1_code);
	for (i = 0; i < NR_L2S; i++)
		contexts[i] = context_for_guest(*vm, i, 1, L2_EPT_OFF, 1 + i);
	sync_global_to_guest(*vm, contexts);
	return vcpu;
}

static void run(struct kvm_vm *vm, struct kvm_vcpu *vcpu, int number)
{
	leaves = number & 1;
	enters_twice = number & 2;
	sync_global_to_guest(vm, leaves);
	sync_global_to_guest(vm, enters_twice);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
}

/*
 * The VM that --same-memory makes again and again, and how its vCPU begins.  Each leaves a
 * struct of its last call to the host in the memory, which has 512 of them.
 */
#define SAME_FOR	400

static struct kvm_vm *same;
static int nr_same;
static struct kvm_regs regs;
static struct kvm_sregs sregs;

static void live_in_same_memory(int number)
{
	struct l2_context *context;
	struct kvm_vcpu *vcpu;
	int i;

	if (!same) {
		vcpu = create(&same);
		vcpu_regs_get(vcpu, &regs);
		vcpu_sregs_get(vcpu, &sregs);
	} else {
		vcpu = vm_recreate_with_one_vcpu(same);
		vcpu_sregs_set(vcpu, &sregs);
		vcpu_regs_set(vcpu, &regs);
		for (i = 0; i < NR_L2S; i++) {
			context = addr_gva2hva(same, (gva_t)contexts[i]);
			context->launched = false;
		}
	}
	run(same, vcpu, number);
	if (++nr_same % SAME_FOR) {
		kvm_vm_release(same);
		return;
	}
	kvm_vm_free(same);
	same = NULL;
}

static void live(int number)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vcpu = create(&vm);
	run(vm, vcpu, number);
	kvm_vm_free(vm);
}

static int count(const char *module)
{
	int used = module ? vpids_used(module) : 0;

	if (module)
		printf("# vpids used %d\n", used);
	return used;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "vms", required_argument, NULL, 'v' },
		{ "same-memory", no_argument, NULL, 's' },
		{}
	};
	int nr_vms = NR_VMS, option, before, i;
	void (*one)(int number) = live;
	const char *module;
	char counter[64];

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'v':
			nr_vms = atoi_positive("vms", optarg);
			break;
		case 's':
			one = live_in_same_memory;
			break;
		default:
			TEST_FAIL("Usage: %s [vpids_used.ko] [--vms NUMBER] [--same-memory]",
				  argv[0]);
		}
	}
	module = argv[optind];
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0");
	pin_self_to_any_cpu();

	before = count(module);
	for (i = 0; i < nr_vms; i++)
		one(i);
	witness_mark(region);
	one(0);
	witness_mark(UNJUDGED);
	TEST_ASSERT_EQ(count(module), before);

	witness_expect(region, "invvpid.single.vpid.2", ">=", 1);
	/* What a leak would have made it get. */
	for (i = HIGHEST + 1; i < 4 * HIGHEST; i++) {
		snprintf(counter, sizeof(counter), "invvpid.single.vpid.%d", i);
		witness_expect(region, counter, "==", 0);
	}
	return 0;
}
