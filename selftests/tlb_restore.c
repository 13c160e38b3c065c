// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware VPIDs have more than one life: nested state is set in a vCPU that has
 * another L2 active, a whole VM is destroyed and restored, and another VM comes
 * after it.  Each time the same VPIDs are in use on the same CPU as before, and
 * what was cached under them must be gone: the same addresses are other pages now.
 */
#include "backing.h"

#define NR_PAGES	2

#define SAVE_PORT	0xe

enum { DONE, BACK_TO_FIRST, RESTORE_VM };

static struct l2_context *l1, *first, *second;
static int backed_by;		/* which page backs page 0 now, everywhere */

/* Nothing on the stack: it is not saved, and L2 goes on from here a second time. */
static __always_inline void let_host_save(void)
{
	asm volatile("inb %0, %%al" : : "i"(SAVE_PORT) : "rax", "memory");
}

static void l2_first(void)
{
	check_page(first, 0, 0);
	let_host_save();
	/* The second time L1 has run the other L2 meanwhile. */
	check_page(first, 0, 0);
	outlast_patience();
	vmcall();
	check_page(first, 0, 0);
	GUEST_SYNC(RESTORE_VM);
	check_page(first, 0, READ_ONCE(backed_by));
	outlast_patience();
	vmcall();
}

static void l2_second(void)
{
	check_page(second, 0, 0);
	GUEST_SYNC(BACK_TO_FIRST);
	GUEST_FAIL("The second L2 goes on after the first one was restored");
}

/* Not inlined: L1's stack must look alike under both L2s. */
static noinline void run(struct l2_context *context, void *l2_code)
{
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
}

static void l1_code(void)
{
	set_cr3(l1->cr3);
	check_page(l1, 0, 0);
	l1_vmxon(first);
	run(first, l2_first);
	run(second, l2_second);
	/* It was the first one that exited, and is the current one. */
	run(first, l2_first);
	check_page(l1, 0, READ_ONCE(backed_by));
	outlast_patience();
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid() ? number + 1 : 0);
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, enum l2_ept ept)
{
	struct kvm_vm *vm = contexts_vm_create(1, 3, NR_PAGES);

	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l1 = create(vm, 0, ept);
	first = create(vm, 1, ept);
	second = create(vm, 2, ept);
	contexts_finish(vm);
	backed_by = 0;
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, first);
	sync_global_to_guest(vm, second);
	sync_global_to_guest(vm, backed_by);
	return vm;
}

/* The VM is gone, and its memory becomes another. */
static void exchange_memory(struct kvm_vm *vm)
{
	struct l2_context *contexts[] = {
		addr_gva2hva(vm, (gva_t)l1), addr_gva2hva(vm, (gva_t)first),
	};
	u64 *pt;
	int i;

	backed_by = 1;
	sync_global_to_guest(vm, backed_by);
	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		pt = addr_gva2hva(vm, (gva_t)contexts[i]->pt);
		pt[0] = contexts[i]->page_gpa[1] | BACKING_PRESENT;
	}
}

static void try_vm(enum l2_ept ept)
{
	struct kvm_x86_state *state;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = create_vm(&vcpu, ept);
	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	TEST_ASSERT_EQ(vcpu->run->io.port, SAVE_PORT);
	state = vcpu_save_state(vcpu);
	TEST_ASSERT_EQ(run_to_sync(vcpu), BACK_TO_FIRST);
	vcpu_run_complete_io(vcpu);
	vcpu_go_back(vcpu, state);
	kvm_x86_state_cleanup(state);

	TEST_ASSERT_EQ(run_to_sync(vcpu), RESTORE_VM);
	state = vcpu_save_state(vcpu);
	kvm_vm_release(vm);
	exchange_memory(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	vcpu_load_state(vcpu, state);
	kvm_x86_state_cleanup(state);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);

	/* Without its memory: that of the next VM is other memory, then. */
	kvm_vm_release(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	pin_self_to_any_cpu();

	try_vm(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_vm(L2_EPT_SHARED);
	else
		try_vm(L2_EPT_OFF);
	return 0;
}
