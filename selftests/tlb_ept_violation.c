// SPDX-License-Identifier: GPL-2.0
/*
 * L1 answers an EPT violation of its L2 with another page, and executes no INVEPT.  The
 * violation has invalidated what the CPU had cached of the address, and L1's CPU cannot
 * cache it again before L2 runs with that EPT.
 *
 *   retried  L2 runs again at once
 *   absent   L1 had taken the page away before
 *   left     L1 leaves the VMCS by VMPTRLD, and comes back
 *   other    L2 runs with another EPT before L1 gives the page
 *   both     it has a violation there, too
 *   failed   a VM entry fails before L1 gives the page, in KVM
 *   refused  the same, in the CPU
 */
#include "invalidate.h"
#include "nested_ept.h"

#define ROUNDS		3
#define VPID12		5
#define NR_L2S		2
#define NR_EPTS		2

/* Bits beyond what any CPU has. */
#define ILLEGAL_CR3	BIT_ULL(62)

enum { DONE };

static struct l2_context *l2s[NR_L2S];
static struct l2_context *l2;	/* whose VMCS is current */
static struct nested_ept *epts[NR_EPTS];
static bool has_vpid;
static u64 expected;		/* what L2 must read */
static bool writes;		/* L2 writes first */

static void l2_code(void)
{
	for (;;) {
		if (READ_ONCE(writes))
			WRITE_ONCE(*(u64 *)L2_DATA_GVA, 0);
		GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), READ_ONCE(expected));
		vmcall();
	}
}

static void use(int number, int ept)
{
	l2 = l2s[number];
	l1_load(l2, l2_code);
	GUEST_ASSERT(!vmwrite(EPT_POINTER, epts[ept]->eptp));
}

/* L2 must read page @by of @ept. */
static void run(int ept, int by)
{
	WRITE_ONCE(expected, l2_page_value(epts[ept]->number, by));
	l1_run_to_vmcall(l2);
}

static void show_read_only(int ept)
{
	l1_back_ept_read_only(epts[ept], 0);
	l1_invept(INVEPT_SINGLE, epts[ept]->eptp);
	run(ept, 0);
}

static void write_in_vain(void)
{
	u64 reason;

	WRITE_ONCE(writes, true);
	reason = l1_enter(l2);
	WRITE_ONCE(writes, false);
	__GUEST_ASSERT(reason == EXIT_REASON_EPT_VIOLATION, "exit for %lx", reason);
	GUEST_ASSERT_EQ(vmreadz(GUEST_PHYSICAL_ADDRESS), L2_DATA_GPA);
	/* L1 keeps no registers of L2's: from the start. */
	GUEST_ASSERT(!vmwrite(GUEST_RIP, (u64)l2_code));
}

static void violate(int ept)
{
	show_read_only(ept);
	write_in_vain();
}

static void give_page_and_run(int ept)
{
	l1_back_ept(epts[ept], 1);
	run(ept, 1);
}

static void retried(void)
{
	violate(0);
	give_page_and_run(0);
}

static void absent(void)
{
	show_read_only(0);
	l1_clear_ept(epts[0]);
	write_in_vain();
	give_page_and_run(0);
}

static void left(void)
{
	violate(0);
	use(1, 1);
	use(0, 0);
	give_page_and_run(0);
}

static void other(void)
{
	violate(0);
	use(0, 1);
	show_read_only(1);
	use(0, 0);
	give_page_and_run(0);
}

static void both(void)
{
	violate(0);
	use(0, 1);
	violate(1);
	give_page_and_run(1);
	use(0, 0);
	give_page_and_run(0);
}

static void fail_with(u64 field, u64 value)
{
	u64 good = vmreadz(field);

	violate(0);
	GUEST_ASSERT(!vmwrite(field, value));
	GUEST_ASSERT_EQ(l1_enter(l2), EXIT_REASON_FAILED_VMENTRY | EXIT_REASON_INVALID_STATE);
	GUEST_ASSERT(!vmwrite(field, good));
	give_page_and_run(0);
}

static void failed(void)
{
	fail_with(GUEST_CR3, l2->cr3 | ILLEGAL_CR3);
}

/* KVM leaves bit 1, which must be set, to the CPU. */
static void refused(void)
{
	fail_with(GUEST_RFLAGS, 0);
}

static void l1_code(void)
{
	static void (*const parts[])(void) = {
		retried, absent, left, other, both, failed, refused
	};
	int number, round, i;

	l1_vmxon(l2s[0]);
	for (number = 0; number < NR_L2S; number++) {
		use(number, number);
		if (has_vpid)
			l1_set_vpid(l2, VPID12 + number);
		run(number, 0);
	}
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		use(0, 0);
		for (round = 0; round < ROUNDS; round++)
			parts[i]();
		GUEST_SYNC(1 + i);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	static const char *const names[] = {
		"retried", "absent", "left", "other", "both", "failed", "refused"
	};
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t gva;
	u64 stage;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_cpu_has_ept(), "kvm_intel has ept=0: L1 has no EPT either");
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, NR_L2S + NR_EPTS, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vm_enable_ept(vm);
	for (i = 0; i < NR_L2S; i++)
		l2s[i] = context_for_guest(vm, i, 1, L2_EPT_SHARED, 0);
	for (i = 0; i < NR_EPTS; i++) {
		nested_ept_create(vm, NR_L2S + i, &gva);
		epts[i] = (struct nested_ept *)gva;
	}
	contexts_finish(vm);
	for (i = 0; i < NR_L2S; i++)
		context_use_l2_gpa(vm, addr_gva2hva(vm, (gva_t)l2s[i]));
	for (i = 0; i < NR_EPTS; i++)
		nested_ept_finish(vm, addr_gva2hva(vm, (gva_t)epts[i]));
	sync_global_to_guest(vm, l2s);
	sync_global_to_guest(vm, epts);
	sync_global_to_guest(vm, has_vpid);

	while ((stage = run_to_sync(vcpu)) != DONE)
		printf("# %s: passed\n", names[stage - 1]);
	kvm_vm_free(vm);
	return 0;
}
