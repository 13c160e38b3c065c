// SPDX-License-Identifier: GPL-2.0
/*
 * A flush of everything must reach each root that a vCPU may run on without a flush:
 * that of the other level, and those that KVM keeps for later.  L1 has L2s with an EPT
 * each, so a root each.  On another CPU the host moves a page that all of them have
 * cached on the first one.  When the vCPU comes back there, nobody may use the old page.
 *
 *   few   roots that can be flushed one by one
 *   many  more of them
 */
#include <sys/sysinfo.h>

#include "backing.h"
#include "memory.h"

#define FEW	2	/* and L1's root */
#define MANY	6
#define VPID12	1
#define ROUNDS	2

enum { DONE, CPU_0, CPU_1, MOVE_PAGE };

static struct l2_context *l1, *contexts[MANY];
static u64 *shared_page;	/* the same page under the same address for L1 and all L2s */
static bool leaves;		/* L2 goes to the other CPU and comes back */

static void use_shared(void)
{
	GUEST_ASSERT_EQ(READ_ONCE(*shared_page), l2_page_value(0, 0));
}

static void away_and_back(void)
{
	GUEST_SYNC(CPU_1);
	GUEST_SYNC(MOVE_PAGE);
	outlast_patience();
	GUEST_SYNC(CPU_0);
	use_shared();
}

static void l2_code(void)
{
	for (;;) {
		use_shared();
		if (READ_ONCE(leaves))
			away_and_back();
		vmcall();
	}
}

static void run(struct l2_context *context)
{
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
}

static void run_all(int nr)
{
	int i;

	use_shared();
	for (i = 0; i < nr; i++)
		run(contexts[i]);
}

static void l1_code(int nr)
{
	int round;

	set_cr3(l1->cr3);
	l1_vmxon(contexts[0]);
	for (round = 0; round < ROUNDS; round++) {
		run_all(nr);
		away_and_back();
		run_all(nr);

		WRITE_ONCE(leaves, true);
		run(contexts[round]);
		WRITE_ONCE(leaves, false);
		run_all(nr);
	}
	GUEST_DONE();
}

static void try_roots(int nr)
{
	enum l2_ept ept = kvm_cpu_has_ept() ? L2_EPT_OWN : L2_EPT_OFF;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	void *page;
	u64 stage;
	int i;

	pin_self_to_cpu(0);
	vm = contexts_vm_create(1, 1 + nr, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l1 = context_for_guest(vm, 100, 1, L2_EPT_OFF, 0);
	for (i = 0; i < nr; i++)
		contexts[i] = context_for_guest(vm, i, 1, ept, kvm_has_vpid() ? VPID12 + i : 0);
	shared_page = (u64 *)vm_alloc_page(vm);
	page = addr_gva2hva(vm, (gva_t)shared_page);
	*(u64 *)page = l2_page_value(0, 0);
	contexts_finish(vm);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, shared_page);
	vcpu_args_set(vcpu, 1, (u64)nr);

	while ((stage = run_to_sync(vcpu)) != DONE) {
		if (stage == MOVE_PAGE)
			memory_move_page(page);
		else
			pin_self_to_cpu(stage == CPU_1);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_nprocs() > 1, "a change of CPU needs two");

	try_roots(FEW);
	try_roots(MANY);
	return 0;
}
