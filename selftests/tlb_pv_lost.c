// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual TLB flush of a preempted vCPU, when KVM writes the flag's byte in
 * the steal time once more before it has read the flag.
 *
 * A thread of the target's CPU preempts it, and KVM notes that in the byte.  The sender
 * asks for the flush there, and the target is preempted again before it has run.  With
 * --race the sender asks at any time, which may be when KVM reads and clears the byte.
 */
#include <asm/kvm_para.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "arguments.h"
#include "backing.h"

#define NR_PAGES	2
#define TARGET		0
#define SENDER		1
#define ROUNDS		4
#define RACES		500
#define RACE_SPAN	12000	/* turns of a loop: longer than KVM takes to run on */
#define PERIOD_NS	300000	/* between two preemptions, at least */
#define MAX_PERIOD_NS	20000000
#define NOTES		16
#define NOTES_NS	500
#define NOTHING		((u64)-1)

enum { DONE, ASKED };

static struct l2_context *tables;
static struct kvm_steal_time *steal_time;	/* of the target, mapped for both */
static u64 by;				/* what backs page 0 now */
static u64 expected = NOTHING;		/* what the target must find there */
static u64 reads;
static bool invalidate, stop;

static void target_code(u64 steal_time_gpa)
{
	u64 want, value;

	set_cr3(tables->cr3);
	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	while (!READ_ONCE(stop)) {
		want = READ_ONCE(expected);
		barrier();
		value = READ_ONCE(*backing_gva(0));
		barrier();
		/* Not if the sender has moved it since. */
		if (want != NOTHING && want == READ_ONCE(expected))
			GUEST_ASSERT_EQ(value, l2_page_value(0, want));
		if (READ_ONCE(invalidate)) {
			asm volatile("invlpg (%0)" : : "r"(backing_gva(0)) : "memory");
			WRITE_ONCE(invalidate, false);
		}
		WRITE_ONCE(reads, reads + 1);
	}
	GUEST_DONE();
}

static void move_page(void)
{
	WRITE_ONCE(expected, NOTHING);
	WRITE_ONCE(by, !by);
	back_page(tables, 0, by);
}

static bool ask(void)
{
	u8 was = KVM_VCPU_PREEMPTED;

	return __sync_bool_compare_and_swap(&steal_time->preempted, was,
					    was | KVM_VCPU_FLUSH_TLB);
}

/* From now on the target must see the new page. */
static void wait_for_reads(void)
{
	u64 before = READ_ONCE(reads);

	WRITE_ONCE(expected, by);
	while (READ_ONCE(reads) - before < 3)
		cpu_relax();
}

/* The target stands still: it has read the old page, as its translation is cached. */
static void sender_code(void)
{
	for (;;) {
		move_page();
		GUEST_ASSERT(ask());
		WRITE_ONCE(expected, by);
		GUEST_SYNC(ASKED);
	}
}

static void race_code(void)
{
	u32 random = 1;
	int done = 0;
	u64 i;

	set_cr3(tables->cr3);
	while (done < RACES) {
		random = random * 1103515245 + 12345;
		while (!(READ_ONCE(steal_time->preempted) & KVM_VCPU_PREEMPTED))
			cpu_relax();
		/* No PAUSE: KVM would take a loop of them for waiting. */
		for (i = (random >> 16) % RACE_SPAN; i; i--)
			barrier();
		move_page();
		if (ask()) {
			/* The oracle looks at the flag when a guest exits. */
			guest_exit();
			while (READ_ONCE(steal_time->preempted) & KVM_VCPU_FLUSH_TLB)
				cpu_relax();
			done++;
		} else {
			/* It runs: KVM says that it must be told another way. */
			WRITE_ONCE(invalidate, true);
			while (READ_ONCE(invalidate))
				cpu_relax();
		}
		wait_for_reads();
	}
	WRITE_ONCE(stop, true);
	GUEST_DONE();
}

/* What the threads need to know; pointers are the host's. */
static struct {
	struct kvm_vcpu *sender;
	struct kvm_steal_time *steal_time;
	u64 *reads;
	bool *stop;
} host;

static void sleep_ns(long ns)
{
	struct timespec time = { .tv_nsec = ns };

	nanosleep(&time, NULL);
}

/* Until the target has run.  On a kernel with checkers the switches alone take PERIOD_NS. */
static void sleep_period(void)
{
	static long period = PERIOD_NS;
	u64 before = READ_ONCE(*host.reads);

	sleep_ns(period);
	if (READ_ONCE(*host.reads) == before)
		period = min(2 * period, (long)MAX_PERIOD_NS);
	else
		period = max(period - period / 8, (long)PERIOD_NS);
}

/* Asleep on the target's CPU; whenever it wakes up, it preempts the target. */
static void preempt_target(void)
{
	static const struct sched_param first = { .sched_priority = 1 };

	pin_self_to_cpu(0);
	TEST_ASSERT(!sched_setscheduler(0, SCHED_FIFO, &first), "sched_setscheduler() failed");
}

/*
 * The target is preempted where it could not have read the flag yet: KVM notes it again.
 * When that is, after the target was scheduled, differs from run to run.
 */
static void *ask_and_preempt(void *unused)
{
	u64 before;
	int round, i;

	preempt_target();
	for (round = 0; round < ROUNDS; round++) {
		before = READ_ONCE(*host.reads);
		do
			sleep_period();
		while (READ_ONCE(*host.reads) - before < 3 ||
		       READ_ONCE(host.steal_time->preempted) != KVM_VCPU_PREEMPTED);

		TEST_ASSERT_EQ(run_to_sync(host.sender), ASKED);
		for (i = 0; i < NOTES; i++)
			sleep_ns(1 + i * NOTES_NS);
		before = READ_ONCE(*host.reads);
		while (READ_ONCE(*host.reads) - before < 3)
			sleep_period();
	}
	WRITE_ONCE(*host.stop, true);
	return NULL;
}

static void *preempt_often(void *unused)
{
	preempt_target();
	while (!READ_ONCE(*host.stop))
		sleep_period();
	return NULL;
}

static void *run_race(void *unused)
{
	pin_self_to_cpu(1);
	TEST_ASSERT_EQ(run_to_sync(host.sender), DONE);
	return NULL;
}

int main(int argc, char *argv[])
{
	bool with_race = option_given(argc, argv, "--race");
	pthread_t preempting, racing;
	struct kvm_vcpu *target;
	struct kvm_vm *vm;
	gva_t gva;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	__TEST_REQUIRE(!with_race || get_nprocs() > 1, "one CPU: nothing happens meanwhile");
	pin_self_to_cpu(0);

	vm = contexts_vm_create(2, 1, NR_PAGES);
	target = vm_vcpu_add(vm, TARGET, target_code);
	host.sender = vm_vcpu_add(vm, SENDER, with_race ? race_code : sender_code);
	tables = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, 0);
	gva = vm_alloc_page(vm);
	host.steal_time = addr_gva2hva(vm, gva);
	memset(host.steal_time, 0, sizeof(*host.steal_time));
	steal_time = (struct kvm_steal_time *)gva;
	host.reads = addr_gva2hva(vm, (gva_t)&reads);
	host.stop = addr_gva2hva(vm, (gva_t)&stop);
	vcpu_args_set(target, 1, addr_gva2gpa(vm, gva));
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, steal_time);

	pthread_create(&preempting, NULL, with_race ? preempt_often : ask_and_preempt, NULL);
	if (with_race)
		pthread_create(&racing, NULL, run_race, NULL);
	TEST_ASSERT_EQ(run_to_sync(target), DONE);
	pthread_join(preempting, NULL);
	if (with_race)
		pthread_join(racing, NULL);
	kvm_vm_free(vm);
	return 0;
}
