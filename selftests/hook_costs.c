// SPDX-License-Identifier: GPL-2.0
/*
 * A workload for `make bench`: what KVM's way through one hook, or one form of a flush
 * hypercall, costs.  A guest of one vCPU does each again and again, for itself, so that
 * what it asks for is done before it continues.
 */
#include "contexts.h"
#include "flush_call.h"
#include "invalidate.h"
#include "witness.h"

#define ROUNDS		200
#define VPID12		1
#define VM_ID		7
#define EPTP_WB_4_LEVELS 0x1e
#define SELF		BIT(0)

#define SPACE		HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE
#define LIST		HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST
#define SPACE_EX	HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX
#define LIST_EX		HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX
#define REPS(n)		((u64)(n) << HV_HYPERCALL_REP_COMP_OFFSET)
#define BANKS(n)	((u64)(n) << HV_HYPERCALL_VARHEAD_OFFSET)
#define FAST		HV_HYPERCALL_FAST_BIT

enum { DONE };

static struct hv_input input;

struct cost {
	const char *name;
	u64 control;
	int ranges;
};

static const struct cost calls[] = {
	{ "space.fast", SPACE | FAST },
	{ "space", SPACE },
	{ "list_1.fast", LIST | FAST | REPS(1), 1 },
	{ "list_1", LIST | REPS(1), 1 },
	{ "list_15", LIST | REPS(15), 15 },
	{ "list_16", LIST | REPS(16), 16 },
	{ "space_ex.fast", SPACE_EX | FAST | BANKS(1) },
	{ "space_ex", SPACE_EX | BANKS(1) },
	{ "list_ex_1.fast", LIST_EX | FAST | BANKS(1) | REPS(1), 1 },
	{ "list_ex_15", LIST_EX | BANKS(1) | REPS(15), 15 },
};

static const char *const prefixes[] = { "costs.l1.", "costs.l2." };
static const char *const others[] = {
	"costs.invvpid.address", "costs.invvpid.single", "costs.invvpid.all",
	"costs.invept.single", "costs.invept.global", "costs.cr4.pcide",
};

static bool is_ex(const struct cost *cost)
{
	u16 code = cost->control;

	return code == SPACE_EX || code == LIST_EX;
}

/* The words of a call's input, in memory; those of a fast one in registers as well. */
static void prepare(const struct cost *cost)
{
	u64 *words = (u64 *)input.gva;
	int i, n = 0;

	words[n++] = 0;
	words[n++] = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	if (is_ex(cost))
		words[n++] = HV_SET_SPARSE_4K;
	words[n++] = SELF;
	if (is_ex(cost))
		words[n++] = SELF;
	for (i = 0; i < cost->ranges; i++)
		words[n++] = L2_DATA_GVA + ((u64)i << 21);
	while (n < 32)
		words[n++] = 0;
}

static void make_calls(bool l2)
{
	const struct cost *cost;
	u64 result;
	int i, round;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		cost = &calls[i];
		prepare(cost);
		witness_mark_part(prefixes[l2], cost->name);
		for (round = 0; round < ROUNDS; round++) {
			if (cost->control & FAST) {
				hyperv_write_xmm_input((u64 *)input.gva + 2, 6);
				__hyperv_hypercall(cost->control, 0,
						   HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES, &result);
			} else {
				__hyperv_hypercall(cost->control, input.gpa, 0, &result);
			}
			GUEST_ASSERT_EQ(result & 0xffff, 0);
		}
		witness_mark(UNJUDGED);
	}
}

static void l2_code(void)
{
	make_calls(true);
	vmcall();
}

#define REPEAT(region, what)				\
do {							\
	int __round;					\
							\
	witness_mark(region);				\
	for (__round = 0; __round < ROUNDS; __round++)	\
		what;					\
	witness_mark(UNJUDGED);				\
} while (0)

static void toggle_pcide(void)
{
	guest_cr4(X86_CR4_PCIDE, true);
	guest_cr4(X86_CR4_PCIDE, false);
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa)
{
	u64 eptp = context->eptp_gpa | EPTP_WB_4_LEVELS;

	l1_hyperv_on(context, hypercall_gpa);
	make_calls(false);
	REPEAT(others[5], toggle_pcide());

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_set_vpid(context, VPID12);
	l1_allow_direct_flush(context, VM_ID, 0);
	l1_run_to_vmcall(context);

	REPEAT(others[0], l1_invvpid(INVVPID_ADDRESS, VPID12, L2_DATA_GVA));
	REPEAT(others[1], l1_invvpid(INVVPID_SINGLE, VPID12, 0));
	REPEAT(others[2], l1_invvpid(INVVPID_ALL, 0, 0));
	REPEAT(others[3], l1_invept(INVEPT_SINGLE, eptp));
	REPEAT(others[4], l1_invept(INVEPT_ALL, 0));
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	require_direct_flush();
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_PCID));
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid(), "L1 must have both");
	pin_self_to_any_cpu();

	vm = direct_flush_vm(L2_EPT_SHARED, VPID12, l1_code, &vcpu);
	input = hv_input_create(vm);
	contexts_finish(vm);
	sync_global_to_guest(vm, input);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		printf("# bench %s%s %d\n# bench %s%s %d\n", prefixes[0], calls[i].name, ROUNDS,
		       prefixes[1], calls[i].name, ROUNDS);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		printf("# bench %s %d\n", others[i], ROUNDS);
	kvm_vm_free(vm);
	return 0;
}
