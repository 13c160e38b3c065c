// SPDX-License-Identifier: GPL-2.0
/*
 * A Hyper-V flush hypercall whose target does not leave the guest by itself: it
 * spins on another CPU.  When the call has returned to its caller, the target
 * may use nothing older, so KVM must have made it leave and flush.
 */
#include <pthread.h>
#include <sys/sysinfo.h>

#include "backing.h"
#include "hyperv_flush.h"

#define ROUNDS		10
#define SENDER		0
#define TARGET		1

/*
 * Pages at these addresses take each other's place in a TLB of up to 16,384
 * entries with one way, such as the emulator's: the next use of the other one
 * walks the page table.
 */
#define EVICTING_GVA	0x630000000000ul

enum { DONE };

static struct l2_context *tables;
static struct hv_input input;
/* Counted up by the sender when the call has returned, by the target when it has looked. */
static u64 returned, looked, ready;

static void wait_for(u64 *number, u64 value)
{
	while (READ_ONCE(*number) != value)
		asm volatile("pause");
}

static void target_code(u64 hypercall_gpa)
{
	u64 round;

	l1_hyperv_on_tables(tables, hypercall_gpa);
	asm volatile("sti");
	for (round = 1; round <= ROUNDS; round++) {
		check_page(tables, 0, (round - 1) & 1);
		WRITE_ONCE(ready, round);
		wait_for(&returned, round);
		READ_ONCE(*(u64 *)EVICTING_GVA);
		check_page(tables, 0, round & 1);
		WRITE_ONCE(looked, round);
	}
	GUEST_DONE();
}

static void sender_code(u64 hypercall_gpa)
{
	const u64 entry = (u64)backing_gva(0);
	u64 round;

	l1_hyperv_on_tables(tables, hypercall_gpa);
	asm volatile("sti");
	for (round = 1; round <= ROUNDS; round++) {
		wait_for(&ready, round);
		back_page(tables, 0, round & 1);
		if (round & 2)
			guest_hv_flush_list(&input, BIT(TARGET), &entry, 1);
		else
			guest_hv_flush_space(&input, BIT(TARGET));
		WRITE_ONCE(returned, round);
		wait_for(&looked, round);
	}
	GUEST_DONE();
}

static void *run_vcpu(void *argument)
{
	struct kvm_vcpu *vcpu = argument;

	pin_self_to_cpu(vcpu->id);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	return NULL;
}

int main(int argc, char *argv[])
{
	static void (*const code[])(u64) = { sender_code, target_code };
	struct kvm_vcpu *vcpus[2];
	pthread_t threads[2];
	struct kvm_vm *vm;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: the target cannot run meanwhile");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 2, 2);
	virt_pg_map(vm, EVICTING_GVA, addr_gva2gpa(vm, vm_alloc_page(vm)));
	tables = context_for_guest(vm, 0, 2, L2_EPT_OFF, 0);
	input = hv_input_create(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, code[i]);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_args_set(vcpus[i], 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	for (i = SENDER; i <= TARGET; i++)
		pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]);
	for (i = SENDER; i <= TARGET; i++)
		pthread_join(threads[i], NULL);

	kvm_vm_free(vm);
	return 0;
}
