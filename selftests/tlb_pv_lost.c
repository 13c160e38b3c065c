// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual TLB flush of a preempted vCPU, when KVM writes the flag's byte in
 * the steal time once more before it has read the flag.
 *
 * The target is stopped by a timer's signal: KVM notes that as a preemption.  The sender
 * asks for the flush, and the host gives KVM another reason to note it.  With --race the
 * sender asks at any time, which may be when KVM reads and clears the byte.
 */
#include <asm/kvm_para.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "backing.h"

#define NR_PAGES	2
#define TARGET		0
#define SENDER		1
#define ROUNDS		4
#define RACES		400
#define RACE_SPAN	4000	/* turns of a loop: more than a signal takes */
#define STOP_NS		50000
#define NOTHING		((u64)-1)

enum { DONE, ASKED, READ };

static struct l2_context *tables;
static struct kvm_steal_time *steal_time;	/* of the target, mapped for both */
static u64 by;				/* what backs page 0 now */
static u64 expected = NOTHING;		/* what the target must find there */
static u64 reads;
static bool invalidate, stop;

static void target_code(u64 steal_time_gpa)
{
	u64 want;

	set_cr3(tables->cr3);
	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	while (!READ_ONCE(stop)) {
		want = READ_ONCE(expected);
		barrier();
		if (want != NOTHING)
			check_page(tables, 0, want);
		else
			READ_ONCE(*backing_gva(0));
		barrier();
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
	u64 delay = 1;
	int done = 0;
	u64 i;

	set_cr3(tables->cr3);
	while (done < RACES) {
		delay = (delay * 7919 + 13) % RACE_SPAN;
		while (!(READ_ONCE(steal_time->preempted) & KVM_VCPU_PREEMPTED))
			cpu_relax();
		for (i = 0; i < delay; i++)
			cpu_relax();
		move_page();
		if (ask()) {
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

static struct kvm_run *target_run;

/* A signal that comes before KVM_RUN must stop it, too. */
static void on_signal(int number)
{
	target_run->immediate_exit = 1;
}

static void *race(void *sender)
{
	pin_self_to_cpu(1);
	TEST_ASSERT_EQ(run_to_sync(sender), DONE);
	return NULL;
}

/* Run until the signal; false if the guest has ended. */
static bool run_to_signal(struct kvm_vcpu *vcpu)
{
	int r;

	r = __vcpu_run(vcpu);
	vcpu->run->immediate_exit = 0;
	if (!r && vcpu->run->exit_reason == KVM_EXIT_IO)
		return false;
	TEST_ASSERT(r == -1 && errno == EINTR, "not stopped: %d, exit %u", r,
		    vcpu->run->exit_reason);
	return true;
}

static timer_t start_timer(void)
{
	struct itimerspec every = {
		.it_interval.tv_nsec = STOP_NS,
		.it_value.tv_nsec = STOP_NS,
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;

	sigaction(SIGUSR1, &action, NULL);
	TEST_ASSERT(!timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create() failed");
	TEST_ASSERT(!timer_settime(timer, 0, &every, NULL), "timer_settime() failed");
	return timer;
}

/* The second note: KVM puts the vCPU away again, though it has not run. */
static void flush_between_notes(struct kvm_vcpu *target, struct kvm_vcpu *sender,
				struct kvm_steal_time *steal)
{
	struct kvm_regs regs;
	u64 *target_reads = addr_gva2hva(target->vm, (gva_t)&reads);
	u64 before = *target_reads;

	do
		TEST_ASSERT(run_to_signal(target), "the target has ended");
	while (*target_reads == before || steal->preempted != KVM_VCPU_PREEMPTED);

	TEST_ASSERT_EQ(run_to_sync(sender), ASKED);
	vcpu_regs_get(target, &regs);
	before = *target_reads;
	while (*target_reads - before < 3)
		TEST_ASSERT(run_to_signal(target), "the target has ended");
}

int main(int argc, char *argv[])
{
	bool with_race = argc == 2 && !strcmp(argv[1], "--race");
	struct kvm_vcpu *target, *sender;
	struct kvm_steal_time *steal;
	pthread_t thread;
	struct kvm_vm *vm;
	timer_t timer;
	gva_t gva;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	__TEST_REQUIRE(!with_race || get_nprocs() > 1, "one CPU: nothing happens meanwhile");
	pin_self_to_cpu(0);

	vm = contexts_vm_create(2, 1, NR_PAGES);
	target = vm_vcpu_add(vm, TARGET, target_code);
	sender = vm_vcpu_add(vm, SENDER, with_race ? race_code : sender_code);
	context_create(vm, 0, NR_PAGES, L2_EPT_OFF, &gva);
	tables = (struct l2_context *)gva;
	gva = vm_alloc_page(vm);
	steal = addr_gva2hva(vm, gva);
	memset(steal, 0, sizeof(*steal));
	steal_time = (struct kvm_steal_time *)gva;
	vcpu_args_set(target, 1, addr_gva2gpa(vm, gva));
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, steal_time);
	sync_global_to_guest(vm, expected);

	target_run = target->run;
	timer = start_timer();
	if (with_race) {
		pthread_create(&thread, NULL, race, sender);
		while (run_to_signal(target))
			;
		pthread_join(thread, NULL);
	} else {
		for (i = 0; i < ROUNDS; i++)
			flush_between_notes(target, sender, steal);
	}
	timer_delete(timer);
	kvm_vm_free(vm);
	return 0;
}
