// SPDX-License-Identifier: GPL-2.0
/*
 * L1's INVVPID and INVEPT with every type, and with each operand that is wrong:
 * how they end, in which order they check, and that one which fails flushes
 * nothing.  The order is the SDM's: the instruction exists, VMX operation, the
 * type, memory, the operand's contents.
 */
#include "contexts.h"
#include "invalidate.h"
#include "witness.h"

#define SUCCEEDS	0ul
#define FAILS		28ul		/* "invalid operand to INVEPT/INVVPID" */
#define EXCEPTION	0x100ul		/* plus the vector */
#define FAILS_INVALID	0x200ul		/* VMfailInvalid, which has no number */
#define OTHER_ERROR	12ul		/* "VMREAD/VMWRITE from/to unsupported VMCS component" */
#define NO_COMPONENT	(~0ul)

#define NOWHERE		((struct invalidate_operand *)0x123456789000ul)
#define VPID_TYPES(cap)	(((cap) >> 40) & 0xf)
#define EPT_TYPES(cap)	(((cap) >> 24) & 6)
#define NR_TYPES	4
#define EPTP_WB_4_LEVELS	0x1e
#define VPID12		1
#define GOOD		"invalidate_operands.good"
#define REFUSED		"invalidate_operands.refused"

enum { DONE, RAN };

static const u64 unknown_types[] = { 4, 5, 31, 32, 33, 63, 1ul << 32, (1ul << 32) + 1, ~0ul };
static struct {
	u8 carry, zero;
} flags;

static bool has_vmcs;
/* The lowest bit that an address may not have alone. */
static u64 non_canonical;

/* What is in VM_INSTRUCTION_ERROR is another number than that of the next error. */
static void leave_other_error(void)
{
	if (!has_vmcs)
		return;
	GUEST_ASSERT(vmwrite(NO_COMPONENT, 0));
	GUEST_ASSERT_EQ(vmreadz(VM_INSTRUCTION_ERROR), OTHER_ERROR);
}

static u64 end_of(u8 vector)
{
	if (vector)
		return EXCEPTION + vector;
	if (READ_ONCE(flags.carry))
		return FAILS_INVALID;
	return READ_ONCE(flags.zero) ? vmreadz(VM_INSTRUCTION_ERROR) : SUCCEEDS;
}

/* How it ends: SUCCEEDS, the error's number, FAILS_INVALID, or EXCEPTION and a vector. */
#define INVALIDATE(region, insn, operand, type)					\
({										\
	u8 __vector;								\
										\
	leave_other_error();							\
	barrier();								\
	witness_mark(region);							\
	__vector = kvm_asm_safe(insn " (%%rdi), %%rsi\n\t"			\
				"setc (%%rdx)\n\tsetz 1(%%rdx)",		\
				"D"(operand), "S"(type), "d"(&flags));		\
	witness_mark(UNJUDGED);							\
	end_of(__vector);							\
})

static u64 invvpid_ends(u64 type, u64 vpid, u64 address)
{
	struct invalidate_operand operand = { vpid, address };

	return INVALIDATE(REFUSED, "invvpid", &operand, type);
}

static u64 invept_ends(u64 type, u64 eptp)
{
	struct invalidate_operand operand = { eptp, 0 };

	return INVALIDATE(REFUSED, "invept", &operand, type);
}

static void try_good_invvpid(u64 types)
{
	struct invalidate_operand operand = { VPID12, 0 };
	u64 type;

	for (type = 0; type < NR_TYPES; type++) {
		if (!(types & BIT_ULL(type)))
			GUEST_ASSERT_EQ(invvpid_ends(type, VPID12, 0), FAILS);
		else
			GUEST_ASSERT_EQ(INVALIDATE(GOOD, "invvpid", &operand, type), SUCCEEDS);
	}
}

static void try_bad_invvpid(u64 types)
{
	u64 type;
	int i;

	for (i = 0; i < ARRAY_SIZE(unknown_types); i++) {
		type = unknown_types[i];
		GUEST_ASSERT_EQ(invvpid_ends(type, VPID12, 0), FAILS);
		/* Before the operand is read. */
		GUEST_ASSERT_EQ(INVALIDATE(REFUSED, "invvpid", NOWHERE, type), FAILS);
	}
	for (type = 0; type < NR_TYPES; type++) {
		if (!(types & BIT_ULL(type)))
			continue;
		/* Even of all VPIDs, for which nothing in it counts. */
		GUEST_ASSERT_EQ(INVALIDATE(REFUSED, "invvpid", NOWHERE, type),
				EXCEPTION + PF_VECTOR);
		GUEST_ASSERT_EQ(invvpid_ends(type, BIT_ULL(16), 0), FAILS);
		GUEST_ASSERT_EQ(invvpid_ends(type, BIT_ULL(63) | VPID12, 0), FAILS);
		if (type != INVVPID_ALL)
			GUEST_ASSERT_EQ(invvpid_ends(type, 0, 0), FAILS);
	}
	if (types & BIT_ULL(INVVPID_ADDRESS))
		GUEST_ASSERT_EQ(invvpid_ends(INVVPID_ADDRESS, VPID12, non_canonical), FAILS);
}

static void try_invept(u64 types, u64 eptp)
{
	struct invalidate_operand operand = { eptp, 0 };
	u64 type;
	int i;

	for (i = 0; i < ARRAY_SIZE(unknown_types); i++) {
		GUEST_ASSERT_EQ(invept_ends(unknown_types[i], eptp), FAILS);
		GUEST_ASSERT_EQ(INVALIDATE(REFUSED, "invept", NOWHERE, unknown_types[i]), FAILS);
	}
	for (type = 0; type < NR_TYPES; type++) {
		if (!(types & BIT_ULL(type))) {
			GUEST_ASSERT_EQ(invept_ends(type, eptp), FAILS);
			continue;
		}
		GUEST_ASSERT_EQ(INVALIDATE(REFUSED, "invept", NOWHERE, type),
				EXCEPTION + PF_VECTOR);
		GUEST_ASSERT_EQ(INVALIDATE(UNJUDGED, "invept", &operand, type), SUCCEEDS);
	}
	if (types & BIT_ULL(INVEPT_SINGLE)) {
		/* Memory type 1, which is none; a walk of 3 levels; a reserved bit. */
		GUEST_ASSERT_EQ(invept_ends(INVEPT_SINGLE, (eptp & ~7ul) | 1), FAILS);
		GUEST_ASSERT_EQ(invept_ends(INVEPT_SINGLE, (eptp & ~0x38ul) | 0x10), FAILS);
		GUEST_ASSERT_EQ(invept_ends(INVEPT_SINGLE, eptp | BIT_ULL(11)), FAILS);
	}
	/* Of all there is nothing to be wrong. */
	if (types & BIT_ULL(INVEPT_ALL))
		GUEST_ASSERT_EQ(invept_ends(INVEPT_ALL, ~0ul), SUCCEEDS);
}

static void l2_code(void)
{
	for (;;)
		vmcall();
}

static void l1_code(struct l2_context *context)
{
	u64 cap;

	/* Not in VMX operation yet. */
	GUEST_ASSERT_EQ(invvpid_ends(INVVPID_SINGLE, VPID12, 0), EXCEPTION + UD_VECTOR);
	GUEST_ASSERT_EQ(invept_ends(INVEPT_ALL, 0), EXCEPTION + UD_VECTOR);

	l1_vmxon(context);
	l1_load(context, l2_code);
	has_vmcs = true;
	cap = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	if (context->vpid)
		l1_set_vpid(context, context->vpid);
	l1_run_to_vmcall(context);

	if (VPID_TYPES(cap)) {
		try_good_invvpid(VPID_TYPES(cap));
		try_bad_invvpid(VPID_TYPES(cap));
	} else {
		GUEST_ASSERT_EQ(invvpid_ends(INVVPID_SINGLE, VPID12, 0), EXCEPTION + UD_VECTOR);
	}
	if (EPT_TYPES(cap))
		try_invept(EPT_TYPES(cap), context->eptp_gpa | EPTP_WB_4_LEVELS);
	else
		GUEST_ASSERT_EQ(invept_ends(INVEPT_ALL, 0), EXCEPTION + UD_VECTOR);
	GUEST_SYNC(RAN);
	GUEST_DONE();
}

static void try_operands(bool capable)
{
	struct l2_context *l2;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context;

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (capable && kvm_cpu_has_ept())
		vm_enable_ept(vm);
	l2 = context_create(vm, 0, 1,
			    capable && kvm_cpu_has_ept() ? L2_EPT_SHARED : L2_EPT_OFF, &context);
	l2->vpid = capable && kvm_has_vpid() ? VPID12 : 0;
	contexts_finish(vm);
	sync_global_to_guest(vm, non_canonical);
	if (!capable)
		vcpu_set_msr(vcpu, MSR_IA32_VMX_EPT_VPID_CAP, 0);
	vcpu_args_set(vcpu, 1, context);

	TEST_ASSERT_EQ(run_to_sync(vcpu), RAN);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	struct flushes none = {}, good = { .addr02 = 1, .single02 = 3 };

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	pin_self_to_any_cpu();
	non_canonical = kvm_cpu_has(X86_FEATURE_LA57) ? BIT_ULL(56) : BIT_ULL(47);

	try_operands(true);
	try_operands(false);

	witness_flushes(REFUSED, "instr.L1", &none);
	/* Without EPT, L2's shadow tables are freed too, with flushes of their own. */
	if (kvm_has_vpid() && kvm_has_ept())
		witness_flushes(GOOD, "vmexit.L1.invvpid", &good);
	return 0;
}
