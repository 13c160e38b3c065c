// SPDX-License-Identifier: GPL-2.0
/*
 * L1 gives an L2 without EPT an APIC-access page, which was ordinary memory to that L2.  L1
 * invalidates L2's linear addresses, and has nothing else to invalidate.  But KVM has an
 * EPT for such L2s, and what the CPU cached by that must go as well.
 *
 * The page is turned off and on again, and then it is another one.  With --failed-entry, L1's
 * first VM entry with it fails late, so that its flush is none of L2's.
 *
 * With --moved, the host moves the page while L2 runs.  KVM notices at the next VM entry.
 */
#include <sys/mman.h>

#include "apic_access.h"
#include "arguments.h"
#include "backing.h"
#include "invalidate.h"
#include "witness.h"

#define VPID12		1
#define ROUNDS		4
#define NR_PAGES	2

enum { DONE, MOVE_PAGE };

/* Bits beyond what any CPU has. */
#define ILLEGAL_CR3	BIT_ULL(62)

static const char turned_on[] = "l2_apic_page.on", stays_on[] = "l2_apic_page.stays";
static const char moved[] = "l2_apic_page.moved";
static struct l2_context *context;
static bool fails_first;

static void l2_code(void)
{
	for (;;) {
		l2_read_apic_page(backing_gva(0));
		l2_read_apic_page(backing_gva(1));
		vmcall();
	}
}

static void l2_code_moved(void)
{
	for (;;) {
		GUEST_SYNC(MOVE_PAGE);
		/* It is ordinary memory as long as KVM does not look it up again. */
		l2_read_apic_page(backing_gva(0));
		vmcall();
		l2_read_apic_page(backing_gva(0));
	}
}

static void apic_page(int page)
{
	l1_set_apic_page(page < 0 ? 0 : context->page_gpa[page]);
	/* SDM, "Guidelines for Use of the INVVPID Instruction" */
	if (context->vpid)
		l1_invvpid(INVVPID_SINGLE, context->vpid, 0);
}

static void skip_access(u64 exit)
{
	GUEST_ASSERT_EQ(exit, EXIT_REASON_APIC_ACCESS);
	l1_skip_apic_read();
}

/* L2 reads its pages: an access to the APIC-access page, if it has one, and then a VMCALL. */
static void run_l2(int page)
{
	if (page >= 0)
		skip_access(l1_enter(context));
	l1_run_to_vmcall(context);
}

static void fail_entry(void)
{
	GUEST_ASSERT(!vmwrite(GUEST_CR3, context->cr3 | ILLEGAL_CR3));
	GUEST_ASSERT_EQ(l1_enter(context),
			EXIT_REASON_FAILED_VMENTRY | EXIT_REASON_INVALID_STATE);
	GUEST_ASSERT(!vmwrite(GUEST_CR3, context->cr3));
}

static void use_page(int page)
{
	apic_page(page);
	if (fails_first)
		fail_entry();
	witness_mark(turned_on);
	run_l2(page);
	witness_mark(stays_on);
	run_l2(page);
	witness_mark(UNJUDGED);
}

static void l1_code(void)
{
	int round;

	l1_vmxon(context);
	l1_load(context, l2_code);
	run_l2(-1);
	for (round = 0; round < ROUNDS; round++) {
		use_page(0);
		use_page(1);
		apic_page(-1);
		run_l2(-1);
		/* The one that was on last. */
		use_page(1);
		apic_page(-1);
		run_l2(-1);
	}
	GUEST_DONE();
}

static void l1_code_moved(void)
{
	int round;

	l1_vmxon(context);
	l1_load(context, l2_code_moved);
	apic_page(0);
	for (round = 0; round < ROUNDS; round++) {
		l1_run_to_vmcall(context);
		witness_mark(moved);
		skip_access(l1_enter(context));
		witness_mark(UNJUDGED);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	enum { WITHOUT_VPID = BIT(0), FAILED_ENTRY = BIT(1), MOVED = BIT(2) };
	static const char *const options[] = { "--without-vpid", "--failed-entry", "--moved" };
	unsigned int given = options_given(argc, argv, options, ARRAY_SIZE(options));
	u16 vpid = given & WITHOUT_VPID ? 0 : VPID12;
	struct l2_context *shared;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	void *page;
	u64 stage;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(!vpid || kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, given & MOVED ? l1_code_moved : l1_code);
	context = context_for_guest(vm, 0, NR_PAGES, L2_EPT_OFF, vpid);
	sync_global_to_guest(vm, context);
	fails_first = given & FAILED_ENTRY;
	sync_global_to_guest(vm, fails_first);

	shared = addr_gva2hva(vm, (gva_t)context);
	page = addr_gpa2hva(vm, shared->page_gpa[0]);
	while ((stage = run_to_sync(vcpu)) == MOVE_PAGE) {
		TEST_ASSERT(!madvise(page, PAGE_SIZE, MADV_DONTNEED), "madvise() failed");
		/* Not the page of zeroes, which KVM would have replaced when it looks. */
		memset(page, 0x5a, PAGE_SIZE);
	}
	TEST_ASSERT_EQ(stage, DONE);
	kvm_vm_free(vm);

	if (kvm_has_ept() && given & MOVED) {
		witness_expect(moved, "invept.single.current", "==", ROUNDS);
	} else if (kvm_has_ept()) {
		witness_expect(turned_on, "invept.single.current", "==", 3 * ROUNDS);
		witness_expect(stays_on, "invept.single.current", "==", 0);
	}
	return 0;
}
