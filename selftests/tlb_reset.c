// SPDX-License-Identifier: GPL-2.0
/*
 * INIT, the only reset that a vCPU with translations sees: it turns paging off, and
 * what the CPU keeps from before must be gone when the processor turns paging
 * on again, with other page tables and under the same VPID.  INIT comes while L1
 * runs; an L2 would take it as a VM exit.
 */
#include "apic.h"
#include "backing.h"
#include "paging_off.h"

#define BSP		0
#define AP		1
#define NR_PAGES	1
#define STACK_PAGES	2
#define GLOBAL_BIT	BIT_ULL(8)

enum { DONE, READY, SENT };

static struct l2_context *before, *after;
static u64 ap_stack;

static void send_ipi(u32 mode)
{
	x2apic_write_reg(APIC_ICR, (u64)AP << 32 | APIC_DEST_PHYSICAL | APIC_INT_ASSERT | mode);
}

static void ap_after_init(void)
{
	check_page(after, 0, 0);
	GUEST_DONE();
}

static void ap_before_init(void)
{
	/* A global translation: MOV to CR3, on the way back, lets it be. */
	before->pt[0] |= GLOBAL_BIT;
	guest_cr4(X86_CR4_PGE, true);
	set_cr3(before->cr3);
	check_page(before, 0, 0);
	GUEST_SYNC(READY);
}

static void bsp_code(void)
{
	struct paging_off_start *start = guest_start_parameters();

	start->cr3 = after->cr3;
	/* As if called: the stack is 8 bytes off a multiple of 16. */
	start->stack = ap_stack + STACK_PAGES * PAGE_SIZE - 8;
	start->entry = (u64)ap_after_init;
	x2apic_enable();
	GUEST_SYNC(READY);
	send_ipi(APIC_DM_INIT);
	GUEST_SYNC(SENT);
	/* The vector does not matter: the host sets CS. */
	send_ipi(APIC_DM_STARTUP);
	GUEST_SYNC(SENT);
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number)
{
	return context_for_guest(vm, number, NR_PAGES, L2_EPT_OFF, 0);
}

int main(int argc, char *argv[])
{
	struct kvm_mp_state state;
	struct kvm_vcpu *bsp, *ap;
	struct kvm_vm *vm;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 2, NR_PAGES);
	bsp = vm_vcpu_add(vm, BSP, bsp_code);
	ap = vm_vcpu_add(vm, AP, ap_before_init);
	paging_off_create(vm);
	ap_stack = vm_alloc_pages(vm, STACK_PAGES);
	before = create(vm, 0);
	after = create(vm, 1);
	contexts_finish(vm);
	sync_global_to_guest(vm, ap_stack);
	sync_global_to_guest(vm, before);
	sync_global_to_guest(vm, after);

	/* Before the AP: a vCPU that is new on a CPU flushes all that is there. */
	TEST_ASSERT_EQ(run_to_sync(bsp), READY);
	TEST_ASSERT_EQ(run_to_sync(ap), READY);
	TEST_ASSERT_EQ(run_to_sync(bsp), SENT);
	vcpu_mp_state_get(ap, &state);
	TEST_ASSERT_EQ(state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	TEST_ASSERT_EQ(run_to_sync(bsp), SENT);
	vcpu_mp_state_get(ap, &state);
	TEST_ASSERT_EQ(state.mp_state, KVM_MP_STATE_RUNNABLE);
	paging_off_start(ap);
	TEST_ASSERT_EQ(run_to_sync(ap), DONE);

	kvm_vm_free(vm);
	return 0;
}
