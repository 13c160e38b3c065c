// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual TLB flush of a vCPU that was preempted while it ran an L2.  It is
 * an L1 that asks, for its own translations: those of the L2, which KVM has at hand
 * when the vCPU runs on, are no substitute.
 *
 * The one that asks has the same CPU, and preempts the other by asking.
 */
#include <asm/kvm_para.h>
#include <pthread.h>

#include "backing.h"
#include "witness.h"

#define NR_PAGES	2
#define VPID12		1
#define ROUNDS		4

enum { DONE, IN_L1, ASKED };

static struct l2_context *l1;
static struct kvm_steal_time *steal_time;	/* of the target */
static bool in_l2, leave_l2;
static const char region[] = "hole.pv_flush";

static void l2_code(void)
{
	sti();
	for (;;) {
		WRITE_ONCE(in_l2, true);
		while (!READ_ONCE(leave_l2))
			cpu_relax();
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
	for (round = 0; round < ROUNDS; round++) {
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

	for (round = 0; round < ROUNDS; round++) {
		back_page(l1, 0, ~round & 1);
		was = KVM_VCPU_PREEMPTED;
		asked = __sync_bool_compare_and_swap(&steal_time->preempted, was,
						     was | KVM_VCPU_FLUSH_TLB);
		__GUEST_ASSERT(asked, "the target ran meanwhile");
		WRITE_ONCE(leave_l2, true);
		GUEST_SYNC(ASKED);
	}
	GUEST_DONE();
}

/* What the asker's thread needs to know. */
static struct {
	struct kvm_vcpu *vcpu;
	struct kvm_steal_time *steal_time;
	bool *in_l2;
	int cpu;
} asker;

/* Asleep until it preempts the target, whose CPU it has, where that is to be preempted. */
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
	witness_mark(region);
	return NULL;
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid() ? VPID12 : 0);
}

static void try_flush(enum l2_ept ept)
{
	bool *leave_l2_now;
	struct l2_context *context;
	struct kvm_vcpu *target;
	pthread_t thread;
	struct kvm_vm *vm;
	gva_t gva;
	int round;

	vm = contexts_vm_create(2, 2, NR_PAGES);
	target = vm_vcpu_add(vm, 0, target_code);
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
	asker.in_l2 = addr_gva2hva(vm, (gva_t)&in_l2);
	leave_l2_now = addr_gva2hva(vm, (gva_t)&leave_l2);
	vcpu_args_set(target, 2, context, addr_gva2gpa(vm, gva));
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, steal_time);

	for (round = 0; round < ROUNDS; round++) {
		WRITE_ONCE(*leave_l2_now, false);
		pthread_create(&thread, NULL, ask_while_preempted_in_l2, NULL);
		TEST_ASSERT_EQ(run_to_sync(target), IN_L1);
		pthread_join(thread, NULL);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	asker.cpu = pin_self_to_any_cpu();

	try_flush(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_flush(L2_EPT_SHARED);
	witness_expect(region, "vmentry.L2", ">=", ROUNDS);
	return 0;
}
