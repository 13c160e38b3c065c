// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual TLB flush: a vCPU that wants another one's translations gone
 * does not wake it up if it is preempted, but sets a bit in its steal time.  KVM
 * must flush before that vCPU continues.
 *
 * Two threads share a CPU, so that the target is preempted while it runs, and
 * the sender waits for that.
 */
#include <asm/kvm_para.h>
#include <pthread.h>

#include "backing.h"

#define NR_PAGES	2
#define ROUNDS		4

enum { DONE };

static struct l2_context *tables;
static struct kvm_steal_time *steal_time;	/* of the target, mapped for both */
/* How often the page has begun to change, that was flushed, and the target has looked. */
static int begun, flushed, looked;
static bool stop;
static int cpu;

static void target_code(u64 steal_time_gpa)
{
	u64 value;
	int before;

	set_cr3(tables->cr3);
	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	while (!READ_ONCE(stop)) {
		before = READ_ONCE(flushed);
		barrier();
		value = READ_ONCE(*backing_gva(0));
		barrier();
		/* Not from a change to its flush. */
		if (before == READ_ONCE(begun)) {
			GUEST_ASSERT_EQ(value, l2_page_value(0, before & 1));
			WRITE_ONCE(looked, before);
		}
	}
	GUEST_DONE();
}

static void flush_while_preempted(void)
{
	u8 preempted;

	/* Again, if the target has run meanwhile. */
	do {
		do {
			preempted = READ_ONCE(steal_time->preempted);
			cpu_relax();
		} while (!(preempted & KVM_VCPU_PREEMPTED));
	} while (!__sync_bool_compare_and_swap(&steal_time->preempted, preempted,
					       preempted | KVM_VCPU_FLUSH_TLB));
}

static void sender_code(void)
{
	int i;

	set_cr3(tables->cr3);
	for (i = 1; i <= ROUNDS; i++) {
		WRITE_ONCE(begun, i);
		back_page(tables, 0, i & 1);
		flush_while_preempted();
		WRITE_ONCE(flushed, i);
		/* KVM takes the request away when the target runs. */
		while (READ_ONCE(steal_time->preempted) & KVM_VCPU_FLUSH_TLB)
			cpu_relax();
		while (READ_ONCE(looked) != i)
			cpu_relax();
	}
	WRITE_ONCE(stop, true);
	GUEST_DONE();
}

static void *run_to_end(void *vcpu)
{
	pin_self_to_cpu(cpu);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	return NULL;
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *target, *sender;
	pthread_t thread;
	struct kvm_vm *vm;
	gva_t gva;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	cpu = pin_self_to_any_cpu();

	vm = contexts_vm_create(2, 1, NR_PAGES);
	target = vm_vcpu_add(vm, 0, target_code);
	sender = vm_vcpu_add(vm, 1, sender_code);
	tables = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, 0);
	gva = vm_alloc_page(vm);
	memset(addr_gva2hva(vm, gva), 0, sizeof(*steal_time));
	steal_time = (struct kvm_steal_time *)gva;
	vcpu_args_set(target, 1, addr_gva2gpa(vm, gva));
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, steal_time);

	pthread_create(&thread, NULL, run_to_end, target);
	run_to_end(sender);
	pthread_join(thread, NULL);
	kvm_vm_free(vm);
	return 0;
}
