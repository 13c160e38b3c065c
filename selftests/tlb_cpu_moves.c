// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU leaves a CPU, on which translations of its L1 and of its L2 stay
 * cached, and comes back when they have become wrong: they were changed and
 * invalidated on the other CPU, another L2 took over their VPID there, or the host
 * took the page away.  All of it is safe because a vCPU that comes from another
 * CPU flushes everything.
 *
 * The guest asks for the moves, so nothing here depends on timing.
 */
#include <sys/sysinfo.h>

#include "backing.h"
#include "invalidate.h"
#include "memory.h"

#define NR_PAGES	2
#define NR_CONTEXTS	3

/* Stages: which CPU to go to, and what to do before. */
enum { DONE, CPU_0, CPU_1, REPLACE_ON_1 };

static struct l2_context *l1, *first, *second;
static u64 *shared_page;	/* the same page under the same address for L1 and L2 */
static u64 shared_value;	/* what it must hold now */
static bool l2_has_vpid;

static void check_shared(void)
{
	GUEST_ASSERT_EQ(READ_ONCE(*shared_page), READ_ONCE(shared_value));
}

/* The guest of either level changes its own tables while it is away. */
static void change_while_away(struct l2_context *self)
{
	check_page(self, 0, 0);
	GUEST_SYNC(CPU_1);
	check_page(self, 0, 0);
	back_page(self, 0, 1);
	invlpg((u64)backing_gva(0));
	check_page(self, 0, 1);
	GUEST_SYNC(CPU_0);
	check_page(self, 0, 1);
}

/* The host takes a page away while the vCPU is on another CPU than before. */
static void replaced_while_away(void)
{
	check_shared();
	GUEST_SYNC(CPU_1);
	check_shared();
	GUEST_SYNC(REPLACE_ON_1);
	check_shared();
	outlast_patience();
	GUEST_SYNC(CPU_0);
	check_shared();
}

static void l2_first(void)
{
	change_while_away(first);
	vmcall();
	replaced_while_away();
	vmcall();
	/* What L1 does to it. */
	for (;;) {
		check_page(first, 0, 1);
		vmcall();
		check_page(first, 0, 0);
		vmcall();
	}
}

static void l2_second(void)
{
	for (;;) {
		check_page(second, 0, 0);
		vmcall();
	}
}

static void run(struct l2_context *context)
{
	l1_load(context, context == first ? l2_first : l2_second);
	l1_run_to_vmcall(context);
}

static void invalidate_l2(u16 vpid)
{
	if (vpid)
		l1_invvpid(INVVPID_SINGLE, vpid, 0);
}

static void l1_code(void)
{
	/* HOST_CR3 is taken from here: L1 keeps its data pages. */
	set_cr3(l1->cr3);
	change_while_away(l1);
	replaced_while_away();

	l1_vmxon(first);
	run(first);
	run(first);

	/* L1 changes L2's tables and invalidates on the other CPU; L2 was not there. */
	run(first);
	GUEST_SYNC(CPU_1);
	back_page(first, 0, 0);
	invalidate_l2(first->vpid);
	GUEST_SYNC(CPU_0);
	run(first);

	/* The same, and L2 runs there. */
	GUEST_SYNC(CPU_1);
	back_page(first, 0, 1);
	invalidate_l2(first->vpid);
	run(first);
	GUEST_SYNC(CPU_0);
	back_page(first, 0, 0);
	invalidate_l2(first->vpid);
	run(first);

	/* Another L2 takes vpid02 over there, and comes back with it. */
	GUEST_SYNC(CPU_1);
	run(second);
	GUEST_SYNC(CPU_0);
	run(second);
	GUEST_DONE();
}

/* Take the page away from the guest and give it another with other contents. */
static void replace_shared(struct kvm_vm *vm)
{
	void *hva = addr_gva2hva(vm, (gva_t)shared_page);

	memory_move_page(hva);
	*(u64 *)hva = ++shared_value;
	sync_global_to_guest(vm, shared_value);
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, l2_has_vpid ? number : 0);
}

static void try_moves(enum l2_ept ept, bool vpid)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 stage;

	pin_self_to_cpu(0);
	l2_has_vpid = vpid;
	vm = contexts_vm_create(1, NR_CONTEXTS, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l1 = create(vm, 0, ept);
	first = create(vm, 1, ept);
	second = create(vm, 2, ept);
	shared_page = (u64 *)vm_alloc_page(vm);
	*(u64 *)addr_gva2hva(vm, (gva_t)shared_page) = ++shared_value;
	contexts_finish(vm);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, first);
	sync_global_to_guest(vm, second);
	sync_global_to_guest(vm, shared_page);
	sync_global_to_guest(vm, shared_value);

	while ((stage = run_to_sync(vcpu)) != DONE) {
		if (stage == REPLACE_ON_1)
			replace_shared(vm);
		else
			pin_self_to_cpu(stage == CPU_1);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_nprocs() > 1, "a change of CPU needs two");

	try_moves(L2_EPT_OFF, false);
	if (kvm_has_vpid())
		try_moves(L2_EPT_OFF, true);
	if (kvm_cpu_has_ept())
		try_moves(L2_EPT_SHARED, false);
	if (kvm_cpu_has_ept() && kvm_has_vpid())
		try_moves(L2_EPT_SHARED, true);
	return 0;
}
