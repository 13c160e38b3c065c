// SPDX-License-Identifier: GPL-2.0
/*
 * L1 and its L2s back one linear address by a page of their own each and read it
 * in turn, so that what one of them leaves in the TLB is wrong for the next.
 * KVM runs them all with one or two VPIDs: each reason for a flush between two
 * of them stands alone in one part.
 *
 *   off     no vpid12: entry and exit flush
 *   own     a vpid12 each: its change flushes
 *   one     the same vpid12 for all: L1's INVVPID flushes, of each type
 *   again   one L2 and L1 in turn: must not need a flush, unless they share a VPID
 *   between an L2 without vpid12 runs between two runs of one with: no flush for that
 *   changed L1 puts another page into its L2's table, and INVVPID flushes
 *
 * With --no-vpid02 and the path of vpid_exhausted.ko KVM finds no VPID for L2.
 */
#include "backing.h"
#include "invalidate.h"
#include "modules.h"

#define NR_CONTEXTS	3
#define NR_PAGES	2
#define ROUNDS		2
#define ONE_VPID12	9

enum vpid12 { OFF, OWN, ONE };
enum { DONE, IN_VMX };

/* Without EPT in vmcs12 and, where L1 has it, with. */
static struct l2_context *contexts[2][NR_CONTEXTS];
static struct l2_context *l1, *current;
static int current_page;	/* what backs the address in it */
static bool has_ept, has_vpid, evmcs;

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, READ_ONCE(current_page));
		vmcall();
	}
}

static void run(struct l2_context *context)
{
	WRITE_ONCE(current, context);
	l1_run_to_vmcall(context);
	check_page(l1, 0, 0);
}

static u16 vpid12_of(enum vpid12 policy, int number)
{
	if (policy == OFF)
		return 0;
	return policy == OWN ? 1 + number : ONE_VPID12;
}

static void in_turn(struct l2_context **set, enum vpid12 policy, enum invvpid_type type)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NR_CONTEXTS; i++) {
			l1_load(set[i], l2_code);
			l1_set_vpid(set[i], vpid12_of(policy, i));
			if (policy == ONE)
				l1_invvpid(type, ONE_VPID12, L2_DATA_GVA);
			run(set[i]);
		}
	}
}

static void again(struct l2_context *context)
{
	int round;

	l1_load(context, l2_code);
	for (round = 0; round < ROUNDS; round++)
		run(context);
}

static void between(struct l2_context **set)
{
	l1_load(set[0], l2_code);
	l1_set_vpid(set[0], ONE_VPID12);
	l1_invvpid(INVVPID_SINGLE, ONE_VPID12, 0);
	run(set[0]);

	l1_load(set[1], l2_code);
	l1_set_vpid(set[1], 0);
	run(set[1]);

	l1_load(set[0], l2_code);
	run(set[0]);
}

static void changed(struct l2_context *context, enum invvpid_type type)
{
	l1_load(context, l2_code);
	for (current_page = 0; current_page < NR_PAGES; current_page++) {
		back_page(context, 0, current_page);
		l1_invvpid(type, context->vpid, L2_DATA_GVA);
		run(context);
	}
	current_page = 0;
	back_page(context, 0, 0);
	l1_invvpid(type, context->vpid, L2_DATA_GVA);
}

static void l1_parts(struct l2_context **set)
{
	enum invvpid_type type;

	in_turn(set, OFF, 0);
	if (!has_vpid)
		return;

	in_turn(set, OWN, 0);
	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_BUT_GLOBALS; type++)
		in_turn(set, ONE, type);
	between(set);
	l1_load(set[NR_CONTEXTS - 1], l2_code);
	l1_invvpid(INVVPID_SINGLE, ONE_VPID12, 0);
	again(set[NR_CONTEXTS - 1]);
	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_BUT_GLOBALS; type++)
		changed(set[NR_CONTEXTS - 1], type);
}

static void l1_code(u64 hypercall_gpa)
{
	/* HOST_CR3 is taken from here. */
	set_cr3(l1->cr3);
	if (evmcs)
		l1_hyperv_on(contexts[0][0], hypercall_gpa);
	l1_vmxon(contexts[0][0]);
	GUEST_SYNC(IN_VMX);
	l1_parts(contexts[0]);
	if (has_ept)
		l1_parts(contexts[1]);
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, 0);
}

static void create_all(struct kvm_vm *vm)
{
	struct l2_context *context, *first = NULL;
	int set, i;

	l1 = create(vm, 100, L2_EPT_OFF);
	for (set = 0; set <= has_ept; set++) {
		for (i = 0; i < NR_CONTEXTS; i++) {
			contexts[set][i] = create(vm, 10 * set + i,
						  set ? L2_EPT_SHARED : L2_EPT_OFF);
			context = addr_gva2hva(vm, (gva_t)contexts[set][i]);
			if (evmcs)
				context_use_evmcs(vm, context, first);
			if (!first)
				first = context;
		}
	}
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, has_ept);
	sync_global_to_guest(vm, has_vpid);
	sync_global_to_guest(vm, evmcs);
}

/* Whatever happens: the next test needs its VPIDs. */
int main(int argc, char *argv[])
{
	const char *exhauster = argc == 3 && !strcmp(argv[2], "--no-vpid02") ? argv[1] : NULL;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	evmcs = argc == 2 && !strcmp(argv[1], "--evmcs");
	TEST_ASSERT(argc == 1 || evmcs || exhauster,
		    "Usage: %s [--evmcs | .../vpid_exhausted.ko --no-vpid02]", argv[0]);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(!evmcs || kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
	has_ept = kvm_cpu_has_ept();
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 2 * NR_CONTEXTS + 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (evmcs) {
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_evmcs(vcpu);
	}
	if (has_ept)
		vm_enable_ept(vm);
	create_all(vm);
	vcpu_args_set(vcpu, 1, addr_gva2gpa(vm, vm_alloc_page(vm)));

	if (exhauster) {
		module_unload_at_exit("vpid_exhausted");
		/* Not before: vpid01 is allocated with the vCPU. */
		module_must_load(exhauster, "on=1");
	}
	TEST_ASSERT_EQ(run_to_sync(vcpu), IN_VMX);
	if (exhauster)
		module_must_unload("vpid_exhausted");
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);

	kvm_vm_free(vm);
	return 0;
}
