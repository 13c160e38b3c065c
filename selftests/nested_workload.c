// SPDX-License-Identifier: GPL-2.0
/*
 * The workload of the demo and the benchmark: one vCPU whose L1 runs some L2s
 * in turn, each of which reads its pages, checks what it read and goes back to
 * L1.  The timed loop is one region; the program prints what it took.
 *
 * A second region follows, "<name>.flushes", in which each kind of flush is
 * provoked: all contexts (a page is taken away, the vCPU changes the CPU), the
 * current one (CR4.SMEP), the guest's (paravirtual), and with --evmcs single
 * addresses (a Hyper-V list).
 */
#include <getopt.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <asm/kvm_para.h>

#include "contexts.h"
#include "hyperv_flush.h"
#include "options.h"
#include "witness.h"

#define MAX_CONTEXTS	16
#define WARM_UP		3

enum { DONE, START, STOP, FLUSH_ALL, FLUSH_GUEST, FLUSH_END };
enum vpid12 { VPID_OFF, VPID_OWN, VPID_SHARED };

/* What the command line said; the guest has a copy. */
static struct {
	u64 contexts, pages, rounds;
	enum vpid12 vpid;
	enum l2_ept ept;
	bool evmcs;
} options = { .contexts = 4, .pages = L2_MAX_PAGES, .rounds = 50, .vpid = VPID_OWN };

static char region[64] = "workload";
static struct hv_input input;
static u64 l2_number;

static void l2_code(void)
{
	u64 page;

	for (;;) {
		for (page = 0; page < options.pages; page++)
			GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)(L2_DATA_GVA + page * PAGE_SIZE)),
					l2_page_value(READ_ONCE(l2_number), page));
		vmcall();
	}
}

static void l1_rounds(struct l2_context **contexts, u64 rounds)
{
	u64 i;

	while (rounds--) {
		for (i = 0; i < options.contexts; i++) {
			l1_load(contexts[i], l2_code);
			WRITE_ONCE(l2_number, contexts[i]->number);
			l1_run_to_vmcall(contexts[i]);
		}
	}
}

static void l1_provoke_flushes(struct l2_context **contexts)
{
	const u64 entry = L2_DATA_GVA;

	GUEST_SYNC(FLUSH_ALL);
	guest_cr4(X86_CR4_SMEP, false);
	guest_cr4(X86_CR4_SMEP, true);
	GUEST_SYNC(FLUSH_GUEST);
	if (options.evmcs)
		guest_hv_flush_list(&input, 1, &entry, 1);
	l1_rounds(contexts, 1);
	GUEST_SYNC(FLUSH_END);
}

static void l1_code(struct l2_context **contexts, u64 hypercall_gpa, u64 steal_time_gpa)
{
	u64 tsc;

	wrmsr(MSR_KVM_STEAL_TIME, steal_time_gpa | KVM_MSR_ENABLED);
	if (options.evmcs)
		l1_hyperv_on(contexts[0], hypercall_gpa);
	l1_vmxon(contexts[0]);
	l1_rounds(contexts, WARM_UP);

	GUEST_SYNC(START);
	witness_mark(region);
	tsc = rdtsc();
	l1_rounds(contexts, options.rounds);
	tsc = rdtsc() - tsc;
	witness_mark(UNJUDGED);
	GUEST_SYNC_WITH(STOP, tsc);

	l1_provoke_flushes(contexts);
	GUEST_DONE();
}

static gva_t create_contexts(struct kvm_vm *vm)
{
	gva_t list = vm_alloc_page(vm);
	gva_t *contexts = addr_gva2hva(vm, list);
	struct l2_context *context, *first = NULL;
	u64 i;

	for (i = 0; i < options.contexts; i++) {
		context = context_create(vm, i, options.pages, options.ept, &contexts[i]);
		if (options.vpid != VPID_OFF)
			context->vpid = options.vpid == VPID_OWN ? 1 + i : 1;
		if (options.evmcs)
			context_use_evmcs(vm, context, first);
		if (!i)
			first = context;
	}
	return list;
}

/* Ask for each flush that the host can provoke, and see that all happened. */
static void provoke_flushes(struct kvm_vm *vm, struct kvm_vcpu *vcpu,
			    struct kvm_steal_time *steal_time)
{
	bool moves = get_nprocs() > 1;
	char name[80];

	snprintf(name, sizeof(name), "%s.flushes", region);
	TEST_ASSERT_EQ(run_to_sync(vcpu), FLUSH_ALL);
	witness_mark(name);
	TEST_ASSERT(!madvise(addr_gva2hva(vm, input.gva), PAGE_SIZE, MADV_DONTNEED),
		    "madvise() failed");
	if (moves)
		pin_self_to_cpu(1);
	TEST_ASSERT_EQ(run_to_sync(vcpu), FLUSH_GUEST);
	steal_time->preempted = KVM_VCPU_FLUSH_TLB;
	TEST_ASSERT_EQ(run_to_sync(vcpu), FLUSH_END);
	witness_mark(UNJUDGED);

	/* Without VPID no translation outlives a VM exit but those of guest-physical addresses. */
	if (!kvm_has_ept() && !kvm_has_vpid())
		return;
	/* No guest may have used the page; the change of CPU flushes all in any case. */
	if (moves)
		witness_expect(name, flush_all_counter(), ">=", 1);
	witness_expect(name, kvm_has_ept() ? "invept.single" : "invvpid.single", ">=", 1);
	if (kvm_has_vpid())
		witness_expect(name, "invvpid.single.vpid01", ">=", 1);
	if (options.evmcs && kvm_has_ept())
		witness_expect(name, "invvpid.addr.vpid01", ">=", 1);
}

static void usage(const char *program)
{
	printf("Usage: %s [--contexts N] [--pages N] [--rounds N] [--vpid off|own|shared]\n"
	       "       [--ept off|own|shared] [--evmcs] [--region NAME]\n"
	       "own, shared: vpid12 or eptp12 of the contexts\n", program);
	exit(2);
}

static int choice(const char *program, const char *word, int own, int shared)
{
	if (!strcmp(word, "own"))
		return own;
	if (!strcmp(word, "shared"))
		return shared;
	if (strcmp(word, "off"))
		usage(program);
	return 0;
}

static void parse(int argc, char *argv[])
{
	static const struct option long_options[] = {
		{ "contexts", required_argument, NULL, 'c' },
		{ "pages", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "vpid", required_argument, NULL, 'v' },
		{ "ept", required_argument, NULL, 'e' },
		{ "evmcs", no_argument, NULL, 'x' },
		{ "region", required_argument, NULL, 'n' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.contexts = atoi_positive("contexts", optarg);
			break;
		case 'p':
			options.pages = atoi_positive("pages", optarg);
			break;
		case 'r':
			options.rounds = atoi_positive("rounds", optarg);
			break;
		case 'v':
			options.vpid = choice(argv[0], optarg, VPID_OWN, VPID_SHARED);
			break;
		case 'e':
			options.ept = choice(argv[0], optarg, L2_EPT_OWN, L2_EPT_SHARED);
			break;
		case 'x':
			options.evmcs = true;
			break;
		case 'n':
			snprintf(region, sizeof(region), "%s", optarg);
			break;
		default:
			usage(argv[0]);
		}
	}
	if (options.contexts > MAX_CONTEXTS || options.pages > L2_MAX_PAGES)
		usage(argv[0]);
}

int main(int argc, char *argv[])
{
	static const char *const words[] = { "off", "own", "shared" };
	static const char *const ept_words[] = { "off", "shared", "own" };
	struct kvm_steal_time *steal_time;
	u64 flushes, tsc, round_trips;
	struct kvm_vcpu *vcpu;
	gva_t list, page;
	struct kvm_vm *vm;

	parse(argc, argv);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(options.vpid == VPID_OFF || kvm_has_vpid());
	TEST_REQUIRE(options.ept == L2_EPT_OFF || kvm_cpu_has_ept());
	TEST_REQUIRE(!options.evmcs || kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
	pin_self_to_cpu(0);

	vm = contexts_vm_create(1, options.contexts, options.pages);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (options.evmcs) {
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_evmcs(vcpu);
	}
	if (options.ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	list = create_contexts(vm);
	page = vm_alloc_page(vm);
	steal_time = addr_gva2hva(vm, page);
	memset(steal_time, 0, sizeof(*steal_time));
	input = hv_input_create(vm);
	/* It will be taken away, so it must be there first. */
	memset(addr_gva2hva(vm, input.gva), 1, PAGE_SIZE);
	vcpu_args_set(vcpu, 3, list, addr_gva2gpa(vm, vm_alloc_page(vm)),
		      addr_gva2gpa(vm, page));
	sync_global_to_guest(vm, options);
	sync_global_to_guest(vm, region);
	sync_global_to_guest(vm, input);
	contexts_finish(vm);

	TEST_ASSERT_EQ(run_to_sync(vcpu), START);
	flushes = vcpu_get_stat(vcpu, tlb_flush);
	TEST_ASSERT_EQ(run_to_sync_with(vcpu, &tsc), STOP);
	flushes = vcpu_get_stat(vcpu, tlb_flush) - flushes;

	round_trips = options.rounds * options.contexts;
	printf("workload %s: contexts %lu pages %lu vpid12 %s ept12 %s evmcs %s\n",
	       region, options.contexts, options.pages, words[options.vpid],
	       ept_words[options.ept], options.evmcs ? "on" : "off");
	printf("workload %s: round_trips %lu tsc %lu tlb_flush %lu\n",
	       region, round_trips, tsc, flushes);
	printf("# bench %s %lu\n", region, round_trips);
	witness_expect(region, "vmentry.L2", ">=", round_trips);

	provoke_flushes(vm, vcpu, steal_time);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);

	kvm_vm_free(vm);
	return 0;
}
