// SPDX-License-Identifier: GPL-2.0
/*
 * A Hyper-V flush hypercall that comes during another flush of its target, without EPT:
 * KVM has synced the shadow page tables already, and must not take the new call for a
 * part of the old flush.
 *
 * The target flushes itself without end, by CR4.PGE, and reads its page.  The sender
 * has the same CPU, and preempts it at any time: now and then between the two.
 */
#include <pthread.h>

#include "backing.h"
#include "hyperv_flush.h"

#define NR_PAGES	2
#define CALLS		2000
#define SENDER		0
#define TARGET		1

enum { DONE, CALLED };

static struct l2_context *tables;
static struct hv_input input;
/* How often the page has begun to change, and how often that was flushed. */
static u64 begun, flushed;
static bool stop;

static void target_code(u64 hypercall_gpa)
{
	u64 before, value;

	l1_hyperv_on_tables(tables, hypercall_gpa);
	sti();
	while (!READ_ONCE(stop)) {
		guest_cr4(X86_CR4_PGE, false);
		before = READ_ONCE(flushed);
		barrier();
		value = READ_ONCE(*backing_gva(0));
		barrier();
		if (before == READ_ONCE(begun))
			GUEST_ASSERT_EQ(value, l2_page_value(tables->number, before & 1));
		guest_cr4(X86_CR4_PGE, true);
	}
	GUEST_DONE();
}

static void sender_code(u64 hypercall_gpa)
{
	u64 number;

	l1_hyperv_on_tables(tables, hypercall_gpa);
	for (number = 1; number <= CALLS; number++) {
		WRITE_ONCE(begun, number);
		back_page(tables, 0, number & 1);
		guest_hv_flush_space(&input, BIT(TARGET));
		WRITE_ONCE(flushed, number);
		GUEST_SYNC(CALLED);
	}
	WRITE_ONCE(stop, true);
	GUEST_DONE();
}

static int cpu;

static void *run_sender(void *vcpu)
{
	static const struct sched_param first = { .sched_priority = 1 };
	unsigned int calls = 0;

	pin_self_to_cpu(cpu);
	TEST_ASSERT(!sched_setscheduler(0, SCHED_FIFO, &first), "sched_setscheduler() failed");
	while (run_to_sync(vcpu) == CALLED)
		usleep(100 + ++calls * 7919 % 901);
	return NULL;
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	pthread_t thread;
	struct kvm_vm *vm;
	int i;

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_TLBFLUSH));
	cpu = pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 1, NR_PAGES);
	vcpus[SENDER] = vm_vcpu_add(vm, SENDER, sender_code);
	vcpus[TARGET] = vm_vcpu_add(vm, TARGET, target_code);
	tables = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, 0);
	for (i = SENDER; i <= TARGET; i++) {
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_args_set(vcpus[i], 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	input = hv_input_create(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);

	pthread_create(&thread, NULL, run_sender, vcpus[SENDER]);
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), DONE);
	pthread_join(thread, NULL);
	kvm_vm_free(vm);
	return 0;
}
