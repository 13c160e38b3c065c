// SPDX-License-Identifier: GPL-2.0
/*
 * L2s on enlightened VMCSs with the same VM id, VP id and vpid12, as in an L1 that keeps
 * an enlightened VMCS for each trust level of a virtual processor.  No flush call was
 * missed, so no entry needs a flush: when L1 runs two of them in turn, calls their ids
 * dirty that are what they were, or launches one again and again.
 *
 *   --ept     each with an EPT of its own
 *   --other   two with another VP id each: the one at rest misses calls (X6), so Rust
 *             flushes once an entry
 *   --calls   another vCPU calls for them while L1 goes from one to the other: at rest in
 *             L1, and at any time from another CPU.  No call may be lost.
 *   --calls --other
 *             the same, for one of two with another VP id and vpid12 each
 */
#include <pthread.h>
#include <sys/sysinfo.h>

#include "arguments.h"
#include "hooks.h"
#include "hv_pair.h"
#include "witness.h"

#define VPID12		1
#define WARM		2
#define ROUNDS		16
#define RACE_ROUNDS	400
#define MAX_RACE_ROUNDS	4000
#define MIN_CALLS	50
#define NR_PAGES	64

enum { DONE, WARMED_UP, AT_REST, SENDING };

enum kind { PAIR, DIRTY, LAUNCH, OTHER, NR_KINDS };

static const char *const regions[NR_KINDS] = {
	"same_ids.pair", "same_ids.dirty", "same_ids.launch", "same_ids.other",
};

static const char rest_region[] = "same_ids.rest", race_region[] = "same_ids.race";

static struct l2_context *l2s[2], *tables;
static enum kind kind;

/* How many of the L2s take part. */
static int nr_l2s(void)
{
	return kind == PAIR || kind == OTHER ? 2 : 1;
}

static void read_all(void)
{
	int i;

	for (;;) {
		for (i = 0; i < NR_PAGES; i++)
			check_page(tables, i, i);
		vmcall();
	}
}

static void run_in_turn(void)
{
	int i;

	for (i = 0; i < nr_l2s(); i++) {
		l1_load(l2s[i], read_all);
		if (kind == DIRTY)
			current_evmcs->hv_clean_fields &=
				~HV_VMX_ENLIGHTENED_CLEAN_FIELD_ENLIGHTENMENTSCONTROL;
		if (kind == LAUNCH)
			l2s[i]->launched = false;
		l1_run_to_vmcall(l2s[i]);
	}
}

static void l1_code(u64 hypercall_gpa)
{
	int round, i;

	l1_hyperv_on(l2s[0], hypercall_gpa);
	l1_vmxon(l2s[0]);
	for (i = 0; i < nr_l2s(); i++) {
		l1_load(l2s[i], read_all);
		vmwrite(GUEST_CR3, tables->cr3);
		l1_allow_direct_flush(l2s[i], VM_ID, kind == OTHER ? 1 + i : 1);
		l1_run_to_vmcall(l2s[i]);
	}
	for (round = 0; round < WARM; round++)
		run_in_turn();
	GUEST_SYNC(WARMED_UP);
	witness_mark(regions[kind]);
	for (round = 0; round < ROUNDS; round++)
		run_in_turn();
	witness_mark(UNJUDGED);
	GUEST_DONE();
}

static void try_kind(enum kind which, enum l2_ept ept)
{
	struct l2_context *first = NULL, *context;
	u64 entries, flushes, want;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	kind = which;
	vm = contexts_vm_create(1, 3, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vcpu_set_hv_cpuid(vcpu);
	vcpu_enable_evmcs(vcpu);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	tables = context_for_guest(vm, ARRAY_SIZE(l2s), NR_PAGES, L2_EPT_OFF, 0);
	for (i = 0; i < ARRAY_SIZE(l2s); i++) {
		l2s[i] = context_for_guest(vm, i, 1, ept, VPID12);
		context = addr_gva2hva(vm, (gva_t)l2s[i]);
		context_use_evmcs(vm, context, first);
		first = first ?: context;
	}
	vcpu_args_set(vcpu, 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	contexts_finish(vm);
	sync_global_to_guest(vm, l2s);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, kind);

	entries = ROUNDS * nr_l2s();
	TEST_ASSERT_EQ(run_to_sync(vcpu), WARMED_UP);
	flushes = vcpu_get_stat(vcpu, tlb_flush);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	flushes = vcpu_get_stat(vcpu, tlb_flush) - flushes;
	kvm_vm_free(vm);

	want = kind == OTHER && hook_is_rust("evmcs_ids_changed") ? entries : 0;
	witness_expect(regions[kind], "vmentry.L2", ">=", entries);
	witness_expect(regions[kind], "invvpid.single.vpid02", "==", want);
	TEST_ASSERT(flushes == want, "%s: %lu flushes in %lu entries, expected %lu",
		    regions[kind], flushes, entries, want);
}

/* What the sender has begun to exchange, what has been flushed; how often it was read. */
static u64 begun, flushed, reads;
static bool stop;

/* As it is, or as it becomes. */
static void read_while_flushed(void)
{
	u64 before, value;

	for (;;) {
		before = READ_ONCE(flushed);
		barrier();
		value = READ_ONCE(*backing_gva(0));
		barrier();
		if (before == READ_ONCE(begun))
			GUEST_ASSERT_EQ(value, l2_page_value(hv_pair.tables->number, before & 1));
		WRITE_ONCE(reads, reads + 1);
		vmcall();
	}
}

/* Nobody calls for this one. */
static void read_nothing(void)
{
	for (;;)
		vmcall();
}

static void l1_enter_each(struct l2_context *context, bool rest)
{
	bool other = kind == OTHER && context == l2s[1];

	l1_load(context, other ? read_nothing : read_while_flushed);
	if (!context->launched) {
		vmwrite(GUEST_CR3, hv_pair.tables->cr3);
		l1_set_vpid(context, 1 + other);
		l1_allow_direct_flush(context, VM_ID, TARGET + other);
	}
	l1_run_to_vmcall(context);
	if (rest) {
		witness_mark(UNJUDGED);
		GUEST_SYNC(AT_REST);
	}
}

static void send(void)
{
	u64 number = READ_ONCE(begun) + 1;

	WRITE_ONCE(begun, number);
	back_page(hv_pair.tables, 0, number & 1);
	hv_pair_flush_well(BIT(TARGET));
	WRITE_ONCE(flushed, number);
}

/* What a lost call leaves must be used before the next call, which comes at any time. */
static void wait_for_reads(void)
{
	u64 seen = READ_ONCE(reads), i;

	while (READ_ONCE(reads) < seen + 2 && !READ_ONCE(stop))
		cpu_relax();
	for (i = 0; i < begun * 7919 % 4001; i++)
		barrier();
}

static void sender_l2(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		send();
		vmcall();
	}
	/* L1's code has globals, which are the target's from now on. */
	GUEST_SYNC(SENDING);
	while (!READ_ONCE(stop)) {
		send();
		wait_for_reads();
	}
	vmcall();
}

static void sender_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int round;

	l1_hv_pair_start(context, hypercall_gpa, SENDER, sender_l2);
	for (round = 0; round < ROUNDS; round++) {
		l1_load(context, sender_l2);
		l1_run_to_vmcall(context);
		GUEST_SYNC(AT_REST);
	}
	l1_load(context, sender_l2);
	l1_run_to_vmcall(context);
	GUEST_DONE();
}

static bool too_few_calls(void)
{
	return READ_ONCE(flushed) < ROUNDS + MIN_CALLS;
}

/* The sender may have begun late. */
static bool must_go_on(int round)
{
	return round < MAX_RACE_ROUNDS && too_few_calls();
}

static void calls_l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	int round;

	if (id == SENDER)
		sender_l1(context, hypercall_gpa);

	l1_hyperv_on(context, hypercall_gpa);
	l1_vmxon(context);
	for (round = 0; round < ROUNDS; round++)
		l1_enter_each(l2s[round & 1], true);
	for (round = 0; round < RACE_ROUNDS || must_go_on(round); round++)
		l1_enter_each(l2s[round & 1], false);
	WRITE_ONCE(stop, true);
	GUEST_DONE();
}

static void *run_to_end(void *vcpu)
{
	pin_self_to_cpu(((struct kvm_vcpu *)vcpu)->id);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	return NULL;
}

static void try_calls(void)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	pthread_t thread;
	int round;

	vm = hv_pair_create(calls_l1_code, 1, vcpus);
	l2s[0] = hv_pair_context(TARGET);
	l2s[1] = hv_pair_add(vm, l2s[0], true);
	sync_global_to_guest(vm, l2s);
	sync_global_to_guest(vm, kind);

	for (round = 0; round < ROUNDS; round++) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), AT_REST);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), AT_REST);
		witness_mark(rest_region);
	}
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENDING);
	witness_mark(race_region);
	pthread_create(&thread, NULL, run_to_end, vcpus[SENDER]);
	run_to_end(vcpus[TARGET]);
	pthread_join(thread, NULL);
	witness_mark(UNJUDGED);
	sync_global_from_guest(vm, flushed);
	pr_info("%lu calls\n", flushed - ROUNDS);
	TEST_ASSERT(!too_few_calls(), "only %lu calls met the entries", flushed - ROUNDS);
	kvm_vm_free(vm);
	witness_expect(rest_region, "vmentry.L2", ">=", ROUNDS - 1);
	witness_expect(race_region, "vmentry.L2", ">=", RACE_ROUNDS);
}

int main(int argc, char *argv[])
{
	enum { GIVEN_EPT = BIT(0), GIVEN_OTHER = BIT(1), GIVEN_CALLS = BIT(2) };
	static const char *const options[] = { "--ept", "--other", "--calls" };
	unsigned int given = options_given(argc, argv, options, ARRAY_SIZE(options));
	enum l2_ept ept = given & GIVEN_EPT ? L2_EPT_OWN : L2_EPT_OFF;

	/* The L2s that calls are for have none. */
	TEST_ASSERT(!(given & GIVEN_EPT) || !(given & GIVEN_CALLS), "--calls has no --ept");

	require_direct_flush();
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid(), "without them every transition is a flush");

	if (given & GIVEN_CALLS) {
		__TEST_REQUIRE(get_nprocs() > 1, "one CPU: nobody can call meanwhile");
		pin_self_to_cpu(0);
		kind = given & GIVEN_OTHER ? OTHER : PAIR;
		try_calls();
		return 0;
	}
	pin_self_to_any_cpu();
	if (given & GIVEN_OTHER) {
		try_kind(OTHER, ept);
		return 0;
	}
	try_kind(PAIR, ept);
	try_kind(DIRTY, ept);
	try_kind(LAUNCH, ept);
	return 0;
}
