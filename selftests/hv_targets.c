// SPDX-License-Identifier: GPL-2.0
/*
 * Which vCPUs Hyper-V's flush hypercalls reach: exactly those in the set, named by a
 * mask, by banks, or all; for L2's calls those of the same virtual machine.  Several
 * vCPUs each run L2, with VM and VP ids that have nothing to do with KVM's own.
 *
 * First they take turns on one thread, and each one's flushes are counted; then
 * each has a thread, some targets spin in L2 on another CPU, and none may use
 * anything old once the call has returned.  With --moves all are moved from CPU to CPU
 * meanwhile: each move is a flush as well, so that counts are no less, not equal.
 */
#include <pthread.h>
#include <sys/sysinfo.h>

#include "arguments.h"
#include "backing.h"
#include "flush_call.h"
#include "moves.h"

#define NR_VCPUS	6
#define SENDER		0
#define VPID12		1
#define VM_ID		7
#define OTHER_VM_ID	8
#define MAX_BANKS	3
#define ROUNDS		6
#define ROUNDS_MOVED	900
#define NR_SPINNING	3		/* the sender among them */

enum { PAUSE = 1, DONE };
enum level { L1, L2 };

/* VP ids: the first and last of banks, some of them in no set below. */
static const u32 vp_ids[NR_VCPUS] = { 0, 1, 63, 64, 130, 63 };
static const u64 vm_ids[NR_VCPUS] = { VM_ID, VM_ID, VM_ID, VM_ID, VM_ID, OTHER_VM_ID };
/* L1's have to differ from one another. */
static const u32 vp_indexes[NR_VCPUS] = { 5, 1, 63, 64, 130, 2 };

struct set {
	bool ex;
	u64 flags, format, valid;	/* or the mask */
	u64 banks[MAX_BANKS];
	u64 l2, l1;			/* vCPUs that it reaches */
};

static const struct set sets[] = {
	{ .valid = BIT(1), .l2 = BIT(1), .l1 = BIT(1) },
	{ .valid = BIT(63) | BIT(0), .l2 = BIT(2) | BIT(0), .l1 = BIT(2) },
	{ .valid = BIT(40), .l2 = 0, .l1 = 0 },
	{ .valid = 0, .l2 = 0x1f, .l1 = 0x3f },
	{ .flags = HV_FLUSH_ALL_PROCESSORS, .valid = BIT(1), .l2 = 0x1f, .l1 = 0x3f },
	{ .ex = true, .valid = BIT(1), .banks = { BIT(0) }, .l2 = BIT(3), .l1 = BIT(3) },
	{ .ex = true, .valid = BIT(2), .banks = { BIT(2) }, .l2 = BIT(4), .l1 = BIT(4) },
	{ .ex = true, .valid = 7, .banks = { BIT(63), BIT(0), BIT(2) }, .l2 = 0x1c, .l1 = 0x1c },
	{ .ex = true, .valid = BIT(0) | BIT(2), .banks = { BIT(1), BIT(2) },
	  .l2 = BIT(1) | BIT(4), .l1 = BIT(1) | BIT(4) },
	{ .ex = true, .valid = BIT(1) | BIT(63), .banks = { 0, ~0ul }, .l2 = 0, .l1 = 0 },
	{ .ex = true, .l2 = 0, .l1 = 0 },
	{ .ex = true, .format = HV_SET_ALL, .l2 = 0x1f, .l1 = 0x3f },
	{ .ex = true, .format = HV_SET_ALL, .valid = BIT(0), .banks = { BIT(1) },
	  .l2 = 0x1f, .l1 = 0x3f },
};

static struct {
	struct set set;
	bool by_address;
} now;
static bool moves;
static u64 rounds = ROUNDS;
static pthread_barrier_t all_done;

static struct l2_context *tables;
static struct hv_input input;
/* Counted up by the sender when the call has returned, by the targets when they have looked. */
static u64 returned, looked[NR_VCPUS], ready[NR_VCPUS];

/* In the order of the call's words; the set decides which call it is. */
static void send(const struct set *set, u64 range)
{
	u64 *words = (u64 *)input.gva, control;
	int n = 0, i, banks = set->ex ? __builtin_popcountl(set->valid) : 0;

	words[n++] = 0;
	words[n++] = set->flags | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	if (set->ex)
		words[n++] = set->format;
	words[n++] = set->valid;
	for (i = 0; i < banks; i++)
		words[n++] = set->banks[i];
	words[n++] = range;

	if (range)
		control = (set->ex ? HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX :
				     HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST) |
			  1ul << HV_HYPERCALL_REP_COMP_OFFSET;
	else
		control = set->ex ? HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX :
				    HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE;
	hyperv_hypercall(control | (u64)banks << HV_HYPERCALL_VARHEAD_OFFSET, input.gpa, 0);
}

static void send_and_pause(void)
{
	for (;;) {
		GUEST_SYNC(PAUSE);
		send(&now.set, now.by_address ? L2_DATA_GVA : 0);
	}
}

static void stay(void)
{
	for (;;)
		GUEST_SYNC(PAUSE);
}

static void wait_for(u64 *number, u64 value)
{
	while (READ_ONCE(*number) != value)
		asm volatile("pause");
}

static void spin_and_look(u64 id)
{
	u64 round;

	GUEST_SYNC(PAUSE);
	for (round = 1; round <= rounds; round++) {
		check_page(tables, 0, (round - 1) & 1);
		WRITE_ONCE(ready[id], round);
		wait_for(&returned, round);
		check_page(tables, 0, round & 1);
		WRITE_ONCE(looked[id], round);
	}
	GUEST_SYNC(DONE);
}

static void spin_1(void)
{
	spin_and_look(1);
}

static void spin_2(void)
{
	spin_and_look(2);
}

static void send_to_spinning(void)
{
	struct set both = { .valid = BIT(1) | BIT(63) };
	u64 round, id;

	GUEST_SYNC(PAUSE);
	for (round = 1; round <= rounds; round++) {
		for (id = 1; id < NR_SPINNING; id++)
			wait_for(&ready[id], round);
		back_page(tables, 0, round & 1);
		send(&both, round & 2 ? L2_DATA_GVA : 0);
		WRITE_ONCE(returned, round);
		for (id = 1; id < NR_SPINNING; id++)
			wait_for(&looked[id], round);
	}
	GUEST_SYNC(DONE);
}

static void (*const spinning[NR_SPINNING])(void) = { send_to_spinning, spin_1, spin_2 };

static void run_vcpu(struct l2_context *context, u64 hypercall_gpa, enum level level, u64 id,
		     bool spins)
{
	void (*code)(void) = spins ? spinning[id] : id == SENDER ? send_and_pause : stay;

	set_cr3(tables->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	asm volatile("sti");
	if (level == L1)
		code();
	l1_vmxon(context);
	l1_load(context, code);
	vmwrite(GUEST_CR3, tables->cr3);
	vmwrite(GUEST_RFLAGS, vmreadz(GUEST_RFLAGS) | X86_EFLAGS_IF);
	l1_allow_direct_flush(context, vm_ids[id], vp_ids[id]);
	l1_enter(context);
	GUEST_FAIL("L2 does not exit");
}

static struct kvm_vm *create_vm(enum level level, int nr, bool spin, struct kvm_vcpu *vcpus[])
{
	struct l2_context *context;
	struct kvm_vm *vm;
	gva_t gva;
	int i;

	vm = contexts_vm_create(nr, nr + 1, 2);
	tables = context_for_guest(vm, 0, 2, L2_EPT_OFF, 0);
	input = hv_input_create(vm);
	for (i = 0; i < nr; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, run_vcpu);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
		if (level == L1)
			vcpu_set_msr(vcpus[i], HV_X64_MSR_VP_INDEX, vp_indexes[i]);
		context = context_create(vm, i + 1, 1, L2_EPT_OFF, &gva);
		context->vpid = kvm_has_vpid() ? VPID12 : 0;
		context_use_evmcs(vm, context, NULL);
		vcpu_args_set(vcpus[i], 5, gva, addr_gva2gpa(vm, vm_alloc_page(vm)), level, i,
			      spin);
	}
	contexts_finish(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, rounds);
	return vm;
}

static void count_each(enum level level)
{
	struct kvm_vcpu *vcpus[NR_VCPUS];
	struct kvm_vm *vm = create_vm(level, NR_VCPUS, false, vcpus);
	u64 before[NR_VCPUS], want, got;
	int i, n;

	for (i = 0; i < NR_VCPUS; i++)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), PAUSE);
	for (n = 0; n < 2 * ARRAY_SIZE(sets); n++) {
		now.set = sets[n / 2];
		now.by_address = n & 1;
		sync_global_to_guest(vm, now);
		for (i = 0; i < NR_VCPUS; i++)
			before[i] = vcpu_get_stat(vcpus[i], tlb_flush);
		for (i = 0; i < NR_VCPUS; i++)
			TEST_ASSERT_EQ(run_to_sync(vcpus[i]), PAUSE);
		want = level == L1 ? now.set.l1 : now.set.l2;
		for (got = 0, i = 0; i < NR_VCPUS; i++) {
			u64 flushes = vcpu_get_stat(vcpus[i], tlb_flush) - before[i];

			TEST_ASSERT(moves || flushes < 2, "vCPU %d: %lu flushes", i, flushes);
			got |= (u64)!!flushes << i;
		}
		TEST_ASSERT((moves ? got & want : got) == want,
			    "L%d, set %d: reached %lx, expected %lx", level + 1, n / 2, got, want);
	}
	kvm_vm_free(vm);
}

static void *run_to_done(void *argument)
{
	struct kvm_vcpu *vcpu = argument;

	pin_self_to_cpu(vcpu->id % 2);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	pthread_barrier_wait(&all_done);
	/* A thread that has ended cannot be moved any more. */
	pthread_barrier_wait(&all_done);
	return NULL;
}

/* Returns how often the threads were moved. */
static unsigned long none_is_late(enum level level)
{
	struct kvm_vcpu *vcpus[NR_SPINNING];
	struct kvm_vm *vm = create_vm(level, NR_SPINNING, true, vcpus);
	pthread_t threads[NR_SPINNING];
	unsigned long nr_moves = 0;
	int i;

	/* One after the other: L1's code for it has globals. */
	for (i = 0; i < NR_SPINNING; i++)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), PAUSE);
	pthread_barrier_init(&all_done, NULL, NR_SPINNING + 1);
	for (i = 0; i < NR_SPINNING; i++)
		pthread_create(&threads[i], NULL, run_to_done, vcpus[i]);
	if (moves)
		moves_begin(threads, NR_SPINNING);
	pthread_barrier_wait(&all_done);
	if (moves)
		nr_moves = moves_end();
	pthread_barrier_wait(&all_done);
	for (i = 0; i < NR_SPINNING; i++)
		pthread_join(threads[i], NULL);
	kvm_vm_free(vm);
	return nr_moves;
}

/* On a slow kernel it is over before they were moved often. */
static void none_is_late_however_often(enum level level)
{
	unsigned long nr_moves = 0;

	do
		nr_moves += none_is_late(level);
	while (moves && nr_moves < MANY_MOVES);
}

int main(int argc, char *argv[])
{
	pthread_t self = pthread_self();

	moves = option_given(argc, argv, "--moves");
	require_direct_flush();
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: no target can run meanwhile");
	pin_self_to_any_cpu();
	if (moves) {
		rounds = ROUNDS_MOVED;
		moves_begin(&self, 1);
	}
	count_each(L1);
	count_each(L2);
	if (moves)
		moves_end_after_many();
	none_is_late_however_often(L1);
	none_is_late_however_often(L2);
	return 0;
}
