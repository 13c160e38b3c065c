// SPDX-License-Identifier: GPL-2.0
/*
 * A paravirtual TLB flush for an L1 whose L2 is active.
 *
 * The one that asks has the same CPU, and preempts the other by asking.
 */
#include <asm/kvm_para.h>
#include <pthread.h>

#include "backing.h"
#include "pv_flush.h"
#include "witness.h"

#define NR_PAGES	2
#define VPID12		1

enum { DONE, IN_L1, ASKED };

static struct l2_context *l1;
static struct kvm_steal_time *steal_time;	/* of the target */
static u64 l2_turns;				/* of its loop */
static bool in_l2, leave_l2;

static void l2_code(void)
{
	sti();
	for (;;) {
		WRITE_ONCE(in_l2, true);
		while (!READ_ONCE(leave_l2))
			WRITE_ONCE(l2_turns, l2_turns + 1);
		WRITE_ONCE(in_l2, false);
		vmcall();
	}
}

static void target_code(struct l2_context *context, u64 steal_time_gpa)
{
	int round;

	set_cr3(l1->cr3);
	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	l1_vmxon(context);
	l1_load(context, l2_code);
	for (round = 0; round < PV_FLUSH_ROUNDS; round++) {
		check_page(l1, 0, round & 1);
		l1_run_to_vmcall(context);
		check_page(l1, 0, ~round & 1);
		witness_mark(UNJUDGED);
		GUEST_SYNC(IN_L1);
	}
	GUEST_DONE();
}

static void asker_code(void)
{
	int round;
	bool asked;
	u8 was;

	for (round = 0; round < PV_FLUSH_ROUNDS; round++) {
		back_page(l1, 0, ~round & 1);
		was = KVM_VCPU_PREEMPTED;
		asked = __sync_bool_compare_and_swap(&steal_time->preempted, was,
						     was | KVM_VCPU_FLUSH_TLB);
		__GUEST_ASSERT(asked, "the target ran meanwhile");
		GUEST_SYNC(ASKED);
	}
	GUEST_DONE();
}

/* What the asker's thread needs to know; pointers are the host's. */
static struct {
	struct kvm_vcpu *vcpu, *target;
	struct kvm_steal_time *steal_time;
	u64 *l2_turns;
	bool *in_l2, *leave_l2;
	const char *region;
	void (*meanwhile)(struct kvm_vcpu *target);
	int cpu;
} asker;

/* L2 has run since KVM has taken the request away. */
static void wait_until_served(void)
{
	u64 turns;

	do {
		turns = READ_ONCE(*asker.l2_turns);
		usleep(1000);
	} while (READ_ONCE(asker.steal_time->preempted) & KVM_VCPU_FLUSH_TLB ||
		 READ_ONCE(*asker.l2_turns) == turns);
}

/* Asleep until it preempts the target, on the target's CPU, where that must be preempted. */
static void *ask_while_preempted_in_l2(void *unused)
{
	static const struct sched_param first = { .sched_priority = 1 };

	pin_self_to_cpu(asker.cpu);
	TEST_ASSERT(!sched_setscheduler(0, SCHED_FIFO, &first), "sched_setscheduler() failed");
	do {
		usleep(1000);
	} while (!READ_ONCE(*asker.in_l2) ||
		 READ_ONCE(asker.steal_time->preempted) != KVM_VCPU_PREEMPTED);

	TEST_ASSERT_EQ(run_to_sync(asker.vcpu), ASKED);
	witness_mark(asker.region);
	wait_until_served();
	if (asker.meanwhile)
		asker.meanwhile(asker.target);
	WRITE_ONCE(*asker.leave_l2, true);
	return NULL;
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid() ? VPID12 : 0);
}

void pv_flush_in_l2(enum l2_ept ept, const char *region,
		    void (*meanwhile)(struct kvm_vcpu *target))
{
	struct l2_context *context;
	pthread_t thread;
	struct kvm_vm *vm;
	gva_t gva;
	int round;

	vm = contexts_vm_create(2, 2, NR_PAGES);
	asker.target = vm_vcpu_add(vm, 0, target_code);
	asker.vcpu = vm_vcpu_add(vm, 1, asker_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l1 = create(vm, 0, L2_EPT_OFF);
	context = create(vm, 1, ept);
	contexts_finish(vm);
	gva = vm_alloc_page(vm);
	steal_time = (struct kvm_steal_time *)gva;
	asker.steal_time = addr_gva2hva(vm, gva);
	memset(asker.steal_time, 0, sizeof(*asker.steal_time));
	asker.l2_turns = addr_gva2hva(vm, (gva_t)&l2_turns);
	asker.in_l2 = addr_gva2hva(vm, (gva_t)&in_l2);
	asker.leave_l2 = addr_gva2hva(vm, (gva_t)&leave_l2);
	asker.region = region;
	asker.meanwhile = meanwhile;
	asker.cpu = pin_self_to_any_cpu();
	vcpu_args_set(asker.target, 2, context, addr_gva2gpa(vm, gva));
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, steal_time);

	for (round = 0; round < PV_FLUSH_ROUNDS; round++) {
		WRITE_ONCE(*asker.leave_l2, false);
		pthread_create(&thread, NULL, ask_while_preempted_in_l2, NULL);
		TEST_ASSERT_EQ(run_to_sync(asker.target), IN_L1);
		pthread_join(thread, NULL);
	}
	kvm_vm_free(vm);
}
