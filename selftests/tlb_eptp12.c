// SPDX-License-Identifier: GPL-2.0
/*
 * One L2 that L1 runs with one EPT after the other.  One guest-physical address,
 * and so one linear address, is backed by another page with each, and L1 changes
 * the page.
 *
 *   turns    more EPT pointers than KVM keeps roots for, with and without vpid12
 *   changed  L1 backs the address by another page and executes INVEPT
 *   kept     the same, while L2 has another EPT
 *   removed  L1 takes the page away: an EPT violation, which invalidates as well
 *   spared   INVEPT of one EPT is nothing to the others
 *   refused  a write that L1 does not allow: the violation invalidates, for reads as well
 *   reused   roots freed by INVEPT; the next roots may be made of the same pages
 *   two      two EPT pointers with the same EPT, one with accessed and dirty flags:
 *            a violation under one invalidates for the other
 */
#include "invalidate.h"
#include "nested_ept.h"
#include "witness.h"

/* KVM keeps 3 roots besides the one in use, and for rust_kvm_nvmx 15. */
#define NR_EPTS	18
#define ROUNDS	3
#define VPID12	5
#define NR_SPARED	3	/* all have roots at one time */

enum { DONE };

static struct l2_context *context;
static struct nested_ept *epts[NR_EPTS];
static bool has_vpid;
static u64 expected;	/* what L2 must read; 0: nothing to read */
static bool writes;	/* L2 writes first */

static const char spared_region[] = "eptp12.spared";

static void l2_code(void)
{
	for (;;) {
		if (READ_ONCE(writes))
			WRITE_ONCE(*(u64 *)L2_DATA_GVA, 0);
		if (READ_ONCE(expected))
			GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), READ_ONCE(expected));
		vmcall();
	}
}

static void use(struct nested_ept *ept, u64 flags)
{
	GUEST_ASSERT(!vmwrite(EPT_POINTER, ept->eptp | flags));
}

/* L2 under the EPT pointer in use must read page @by of @ept. */
static void run(struct nested_ept *ept, int by)
{
	WRITE_ONCE(expected, l2_page_value(ept->number, by));
	l1_run_to_vmcall(context);
}

static void turns(void)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NR_EPTS; i++) {
			use(epts[i], 0);
			run(epts[i], 0);
		}
	}
}

static void invept(enum invept_type type, struct nested_ept *ept)
{
	l1_invept(type, type == INVEPT_ALL ? 0 : ept->eptp);
}

static void changed(struct nested_ept *ept, enum invept_type type)
{
	int round;

	use(ept, 0);
	for (round = 1; round <= ROUNDS + 1; round++) {
		l1_back_ept(ept, round & 1);
		invept(type, ept);
		run(ept, round & 1);
	}
}

/* @ept has a root, which is not in use. */
static void kept(struct nested_ept *ept, struct nested_ept *other, enum invept_type type)
{
	int round;

	for (round = 1; round <= ROUNDS + 1; round++) {
		use(other, 0);
		run(other, 0);
		l1_back_ept(ept, round & 1);
		invept(type, ept);
		use(ept, 0);
		run(ept, round & 1);
	}
}

/* L2's read must be refused, and succeed when there is a page again. */
static void refused(struct nested_ept *ept, int then)
{
	u64 reason;

	WRITE_ONCE(expected, l2_page_value(ept->number, then));
	reason = l1_enter(context);
	__GUEST_ASSERT(reason == EXIT_REASON_EPT_VIOLATION, "exit for %lx", reason);
	GUEST_ASSERT_EQ(vmreadz(GUEST_PHYSICAL_ADDRESS), L2_DATA_GPA);
	/* The violation has invalidated: no INVEPT. */
	l1_back_ept(ept, then);
	/* L1 keeps no registers of L2's: from the start. */
	GUEST_ASSERT(!vmwrite(GUEST_RIP, (u64)l2_code));
	l1_run_to_vmcall(context);
}

static void removed(struct nested_ept *ept, enum invept_type type)
{
	use(ept, 0);
	run(ept, 0);
	l1_clear_ept(ept);
	invept(type, ept);
	refused(ept, 1);
	l1_back_ept(ept, 0);
	invept(type, ept);
	run(ept, 0);
}

static void spared(void)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NR_SPARED; i++) {
			use(epts[i], 0);
			run(epts[i], 0);
		}
		invept(INVEPT_SINGLE, epts[0]);
		witness_mark(spared_region);
		for (i = 1; i < NR_SPARED; i++) {
			use(epts[i], 0);
			run(epts[i], 0);
		}
		witness_mark(UNJUDGED);
	}
}

/* L1 has backed the address by another page before, and lets L2 go on behind its write. */
static void write_refused(struct nested_ept *ept)
{
	u64 reason;

	l1_back_ept_read_only(ept, 0);
	invept(INVEPT_SINGLE, ept);
	use(ept, 0);
	run(ept, 0);

	l1_back_ept_read_only(ept, 1);
	WRITE_ONCE(writes, true);
	reason = l1_enter(context);
	__GUEST_ASSERT(reason == EXIT_REASON_EPT_VIOLATION, "exit for %lx", reason);
	WRITE_ONCE(writes, false);
	GUEST_ASSERT(!vmwrite(GUEST_RIP, (u64)l2_code));
	run(ept, 1);
}

static void reused(void)
{
	int i;

	for (i = 0; i < ROUNDS * NR_EPTS; i++) {
		use(epts[i % NR_EPTS], 0);
		run(epts[i % NR_EPTS], 0);
		invept(INVEPT_ALL, NULL);
	}
}

static void two_pointers(struct nested_ept *ept)
{
	use(ept, EPTP_AD);
	WRITE_ONCE(expected, 0);
	l1_run_to_vmcall(context);
	use(ept, 0);
	run(ept, 0);

	use(ept, EPTP_AD);
	l1_clear_ept(ept);
	refused(ept, 1);
	use(ept, 0);
	run(ept, 1);
}

static void l1_code(void)
{
	enum invept_type type;

	l1_vmxon(context);
	l1_load(context, l2_code);
	turns();
	if (has_vpid) {
		l1_set_vpid(context, VPID12);
		turns();
	}
	for (type = INVEPT_SINGLE; type <= INVEPT_ALL; type++) {
		changed(epts[0], type);
		kept(epts[0], epts[1], type);
		removed(epts[1], type);
	}
	spared();
	write_refused(epts[NR_EPTS - 1]);
	l1_back_ept(epts[NR_EPTS - 1], 0);
	reused();
	if (rdmsr(MSR_IA32_VMX_EPT_VPID_CAP) & VMX_EPT_VPID_CAP_AD_BITS)
		two_pointers(epts[2]);
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t gva;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_cpu_has_ept(), "kvm_intel has ept=0: L1 has no EPT either");
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 1 + NR_EPTS, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vm_enable_ept(vm);
	context = context_for_guest(vm, 0, 1, L2_EPT_SHARED, 0);
	for (i = 0; i < NR_EPTS; i++) {
		nested_ept_create(vm, i + 1, &gva);
		epts[i] = (struct nested_ept *)gva;
	}
	contexts_finish(vm);
	context_use_l2_gpa(vm, addr_gva2hva(vm, (gva_t)context));
	for (i = 0; i < NR_EPTS; i++)
		nested_ept_finish(vm, addr_gva2hva(vm, (gva_t)epts[i]));
	sync_global_to_guest(vm, context);
	sync_global_to_guest(vm, epts);
	sync_global_to_guest(vm, has_vpid);

	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
	witness_expect(spared_region, "vmentry.L2", ">=", ROUNDS * (NR_SPARED - 1));
	witness_expect(spared_region, "invept.single", "==", 0);
	return 0;
}
