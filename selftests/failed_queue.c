// SPDX-License-Identifier: GPL-2.0
/*
 * A flush call for an L1 whose VMLAUNCH KVM has emulated up to the CPU's own entry, and
 * which the CPU then refuses, for a virtual-APIC page that is not there: L1 goes on
 * without a transition, which would serve its queue.
 *
 * A signal stops the target there: L2 is active, to KVM.  The sender's call is queued for
 * L1 then, and L1 reads the page at once when its VMLAUNCH has failed.  With --control the
 * target is stopped in L1.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/sysinfo.h>

#include "arguments.h"
#include "backing.h"
#include "hyperv_flush.h"
#include "witness.h"

#define VPID12		1
#define NOWHERE_GPA	0x70000000ul
#define BAD_CONTROLS	7
#define SENDER		0
#define TARGET		1
#define HITS		4
#define TRIES		4000

enum { DONE, LOOPING, READ, NEXT, SENT };

/* To L1's read, and from there over a good entry and exit, which serve the queue. */
static const char fail_region[] = "failed_queue.fail", next_region[] = "failed_queue.next";

static struct l2_context *tables, *l2;
static struct hv_input input;
static u64 by;			/* what backs page 0 now */
static bool hit;

static void l2_code(void)
{
	for (;;)
		vmcall();
}

static void target_l1(u64 hypercall_gpa)
{
	u64 controls;

	l1_hyperv_on_tables(tables, hypercall_gpa);
	l1_vmxon(l2);
	l1_load(l2, l2_code);
	l1_run_to_vmcall(l2);
	controls = vmreadz(CPU_BASED_VM_EXEC_CONTROL);
	vmwrite(TPR_THRESHOLD, 0);
	for (;;) {
		vmwrite(VIRTUAL_APIC_PAGE_ADDR, NOWHERE_GPA);
		vmwrite(CPU_BASED_VM_EXEC_CONTROL, controls | CPU_BASED_TPR_SHADOW);
		check_page(tables, 0, READ_ONCE(by));
		GUEST_SYNC(LOOPING);
		do
			GUEST_ASSERT_EQ(l1_enter_in_vain(l2), BAD_CONTROLS);
		while (!READ_ONCE(hit));
		check_page(tables, 0, READ_ONCE(by));
		witness_mark(next_region);
		GUEST_SYNC(READ);
		vmwrite(CPU_BASED_VM_EXEC_CONTROL, controls);
		l1_run_to_vmcall(l2);
		check_page(tables, 0, READ_ONCE(by));
		witness_mark(UNJUDGED);
		GUEST_SYNC(NEXT);
	}
}

static void sender_l1(u64 hypercall_gpa)
{
	u64 gva;

	l1_hyperv_on(tables, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	for (;;) {
		GUEST_SYNC(SENT);
		WRITE_ONCE(by, !READ_ONCE(by));
		back_page(tables, 0, by);
		gva = (u64)backing_gva(0);
		guest_hv_flush_list(&input, BIT(TARGET), &gva, 1);
		WRITE_ONCE(hit, true);
	}
}

static pthread_t main_thread;
static struct kvm_run *run;	/* the target's */
static unsigned long delay;
static bool go, ended;

/* Before KVM_RUN or in it: it ends. */
static void on_signal(int number)
{
	run->immediate_exit = 1;
}

static void *signaller(void *unused)
{
	unsigned long i;

	pin_self_to_cpu(1);
	while (!READ_ONCE(ended)) {
		if (!READ_ONCE(go)) {
			sched_yield();
			continue;
		}
		for (i = 0; i < READ_ONCE(delay); i++)
			asm volatile("" : : : "memory");
		WRITE_ONCE(go, false);
		pthread_kill(main_thread, SIGUSR1);
	}
	return NULL;
}

/* Is it stopped after its VMLAUNCH? */
static bool stop_at_random(struct kvm_vcpu *vcpu, int try)
{
	static union {
		struct kvm_nested_state state;
		char room[16384];
	} nested;
	int r;

	delay = 200 + try * 7919ul % 6000;
	WRITE_ONCE(go, true);
	r = __vcpu_run(vcpu);
	while (READ_ONCE(go))
		;
	vcpu->run->immediate_exit = 0;
	TEST_ASSERT(r == -1 && errno == EINTR, "not stopped: %d, exit %u", r,
		    vcpu->run->exit_reason);
	nested.state.size = sizeof(nested);
	vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, &nested.state);
	return nested.state.flags & KVM_STATE_NESTED_GUEST_MODE;
}

int main(int argc, char *argv[])
{
	bool control = option_given(argc, argv, "--control");
	struct sigaction action = { .sa_handler = on_signal };
	struct kvm_vcpu *vcpus[2], *target;
	int hits, try = 0;
	pthread_t thread;
	struct kvm_vm *vm;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_TLBFLUSH));
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: no signal comes while the target runs");
	pin_self_to_cpu(0);

	vm = contexts_vm_create(2, 3, 2);
	vcpus[SENDER] = vm_vcpu_add(vm, SENDER, sender_l1);
	target = vm_vcpu_add(vm, TARGET, target_l1);
	vcpus[TARGET] = target;
	tables = context_for_guest(vm, 5, 2, L2_EPT_OFF, 0);
	l2 = context_for_guest(vm, 0, 1, L2_EPT_OFF, kvm_has_vpid() ? VPID12 : 0);
	for (i = 0; i < 2; i++) {
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_args_set(vcpus[i], 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	input = hv_input_create(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, l2);
	sync_global_to_guest(vm, input);
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
	main_thread = pthread_self();
	run = target->run;
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, signaller, NULL);

	for (hits = 0; hits < HITS; hits++) {
		hit = false;
		sync_global_to_guest(vm, hit);
		TEST_ASSERT_EQ(run_to_sync(target), LOOPING);
		while (stop_at_random(target, try++) == control)
			TEST_ASSERT(try < TRIES, "never stopped there");

		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
		witness_mark(fail_region);
		TEST_ASSERT_EQ(run_to_sync(target), READ);
		TEST_ASSERT_EQ(run_to_sync(target), NEXT);
	}
	WRITE_ONCE(ended, true);
	pthread_join(thread, NULL);
	kvm_vm_free(vm);
	witness_expect(fail_region, "vmentry.L1", ">=", HITS);
	witness_expect(next_region, "vmentry.L2", ">=", HITS);
	return 0;
}
