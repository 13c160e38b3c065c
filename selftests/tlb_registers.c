// SPDX-License-Identifier: GPL-2.0
/*
 * Everything by which a guest itself invalidates its translations: INVLPG,
 * INVPCID, MOV to CR0, CR3 and CR4, for the current PCID and for another; and
 * paging registers that are set from outside.  A guest of either level backs an
 * address with another page, invalidates, and must see the new page.
 *
 * With EPT in L0 most of it runs without L0, which still must flush for the
 * register bits that it watches (CR0.PG, CR4.PCIDE, CR4.SMEP).  Without EPT all
 * of it exits, and L0 has shadow page tables and cached roots to keep right.
 */
#include "arguments.h"
#include "backing.h"
#include "invalidate.h"
#include "paging_off.h"

#define PLAIN		0		/* page tried, and the one that takes its place */
#define GLOBAL		2
#define NR_PAGES	4
#define GLOBAL_BIT	BIT_ULL(8)
#define NOFLUSH		BIT_ULL(63)
#define PCID_A		1
#define PCID_B		2

enum { DONE, SWAP_CR3 };

/* The two address spaces of a level. */
struct spaces {
	struct l2_context *a, *b;
	bool may_stop_paging;
};

static struct spaces l1_spaces, l2_spaces;
static bool l2_only;

static void back(struct l2_context *space, int page, int by)
{
	back_page(space, page, by);
	if (page == GLOBAL)
		space->pt[page] |= GLOBAL_BIT;
}

static void by_invlpg(void)
{
	invlpg((u64)backing_gva(PLAIN));
	invlpg((u64)backing_gva(GLOBAL));
}

static void by_cr3(void)
{
	set_cr3(get_cr3());
}

static void by_pge(void)
{
	set_cr4(get_cr4() ^ X86_CR4_PGE);
	set_cr4(get_cr4() ^ X86_CR4_PGE);
}

static void by_smep(void)
{
	guest_cr4(X86_CR4_SMEP, false);
	guest_cr4(X86_CR4_SMEP, true);
}

static void by_pcide(void)
{
	u64 cr3 = get_cr3();

	guest_cr4(X86_CR4_PCIDE, false);
	/* It can be turned on in PCID 0 only. */
	set_cr3(cr3 & PAGE_MASK);
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(cr3 | NOFLUSH);
}

static u64 pcid_to_flush;

static void by_invpcid_address(void)
{
	guest_invpcid(INVPCID_ADDRESS, pcid_to_flush, (u64)backing_gva(PLAIN));
}

static void by_invpcid_single(void)
{
	guest_invpcid(INVPCID_SINGLE, pcid_to_flush, 0);
}

static void by_invpcid_all(void)
{
	guest_invpcid(INVPCID_ALL, 0, 0);
}

static void by_invpcid_all_but_globals(void)
{
	guest_invpcid(INVPCID_ALL_BUT_GLOBALS, 0, 0);
}

/* In the current PCID: change, invalidate, use; and back again. */
static void try(struct l2_context *space, int page, void (*invalidate)(void))
{
	check_page(space, page, page);
	back(space, page, page + 1);
	invalidate();
	check_page(space, page, page + 1);
	back(space, page, page);
	invalidate();
	check_page(space, page, page);
}

static void try_current(struct spaces *spaces)
{
	try(spaces->a, PLAIN, by_invlpg);
	try(spaces->a, GLOBAL, by_invlpg);
	try(spaces->a, PLAIN, by_cr3);
	try(spaces->a, PLAIN, by_pge);
	try(spaces->a, GLOBAL, by_pge);
	try(spaces->a, PLAIN, by_smep);
	try(spaces->a, PLAIN, by_invpcid_address);
	try(spaces->a, PLAIN, by_invpcid_single);
	try(spaces->a, PLAIN, by_invpcid_all);
	try(spaces->a, GLOBAL, by_invpcid_all);
	try(spaces->a, PLAIN, by_invpcid_all_but_globals);
}

/* In B, invalidate what A, another PCID, has used, and go back to it. */
static void try_other(struct spaces *spaces, void (*invalidate)(void))
{
	u64 a = spaces->a->cr3 | PCID_A, b = spaces->b->cr3 | PCID_B;

	check_page(spaces->a, PLAIN, PLAIN);
	set_cr3(b | NOFLUSH);
	check_page(spaces->b, PLAIN, PLAIN);
	back(spaces->a, PLAIN, PLAIN + 1);
	invalidate();
	set_cr3(a | NOFLUSH);
	check_page(spaces->a, PLAIN, PLAIN + 1);
	back(spaces->a, PLAIN, PLAIN);
	by_invlpg();
}

static void try_pcids(struct spaces *spaces)
{
	set_cr3(spaces->a->cr3);
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(spaces->a->cr3 | PCID_A);
	pcid_to_flush = PCID_A;

	try_current(spaces);
	try(spaces->a, PLAIN, by_pcide);
	try(spaces->a, GLOBAL, by_pcide);
	try_other(spaces, by_invpcid_address);
	try_other(spaces, by_invpcid_single);
	try_other(spaces, by_invpcid_all);
	try_other(spaces, by_invpcid_all_but_globals);
	try_other(spaces, by_pcide);
	try_other(spaces, by_pge);

	guest_cr4(X86_CR4_PCIDE, false);
	set_cr3(spaces->a->cr3);
}

/*
 * Turning PCIDs on flushes nothing, and need not: MOV to CR3 before it has.  But
 * what L0 kept of the old CR3 must not be what a NOFLUSH brings back.
 */
static void try_old_root(struct spaces *spaces)
{
	check_page(spaces->a, PLAIN, PLAIN);
	set_cr3(spaces->b->cr3);
	back(spaces->a, PLAIN, PLAIN + 1);
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(spaces->a->cr3 | NOFLUSH);
	check_page(spaces->a, PLAIN, PLAIN + 1);
	guest_cr4(X86_CR4_PCIDE, false);
	back(spaces->a, PLAIN, PLAIN);
	set_cr3(spaces->a->cr3);
}

static void try_registers(struct spaces *spaces)
{
	set_cr3(spaces->a->cr3);
	guest_cr4(X86_CR4_PGE, true);
	pcid_to_flush = 0;
	back(spaces->a, GLOBAL, GLOBAL);
	try_current(spaces);
	/* Without EPT, KVM 7.3 leaves SMEP on in hardware when paging goes off: a hang. */
	guest_cr4(X86_CR4_SMEP, false);
	if (spaces->may_stop_paging) {
		try(spaces->a, PLAIN, guest_toggle_paging);
		try(spaces->a, GLOBAL, guest_toggle_paging);
	}
	try_pcids(spaces);
	try_old_root(spaces);

	/* The host sets the CR3 of the level that runs, and sets it back. */
	check_page(spaces->a, PLAIN, PLAIN);
	GUEST_SYNC_WITH(SWAP_CR3, spaces->b->cr3);
	check_page(spaces->b, PLAIN, PLAIN);
	GUEST_SYNC_WITH(SWAP_CR3, spaces->a->cr3);
	check_page(spaces->a, PLAIN, PLAIN);
}

static void l2_code(void)
{
	try_registers(&l2_spaces);
	vmcall();
}

static void l1_code(void)
{
	u64 controls, allowed;

	/* CR0.PG is fixed in VMX operation. */
	l1_spaces.may_stop_paging = true;
	if (!l2_only)
		try_registers(&l1_spaces);

	l1_vmxon(l2_spaces.a);
	l1_load(l2_spaces.a, l2_code);
	allowed = rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32;
	controls = vmreadz(SECONDARY_VM_EXEC_CONTROL) | SECONDARY_EXEC_ENABLE_INVPCID;
	if (l2_spaces.a->eptp_gpa && (allowed & SECONDARY_EXEC_UNRESTRICTED_GUEST)) {
		controls |= SECONDARY_EXEC_UNRESTRICTED_GUEST;
		l2_spaces.may_stop_paging = true;
	}
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL, controls));
	l1_run_to_vmcall(l2_spaces.a);
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid());
}

static void set_cr3_from_outside(struct kvm_vcpu *vcpu, u64 cr3)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cr3 = cr3;
	vcpu_sregs_set(vcpu, &sregs);
}

static void try_vm(enum l2_ept ept)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 cr3;

	vm = contexts_vm_create(1, 4, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	paging_off_create(vm);
	l1_spaces = (struct spaces) { create(vm, 0, ept), create(vm, 1, ept) };
	l2_spaces = (struct spaces) { create(vm, 2, ept), create(vm, 3, ept) };
	contexts_finish(vm);
	sync_global_to_guest(vm, l1_spaces);
	sync_global_to_guest(vm, l2_spaces);
	sync_global_to_guest(vm, l2_only);

	while (run_to_sync_with(vcpu, &cr3) == SWAP_CR3)
		set_cr3_from_outside(vcpu, cr3);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	/* Or what is wrong for both levels stops L1 before L2 has tried anything. */
	l2_only = option_given(argc, argv, "--l2");
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_PCID));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_INVPCID));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SMEP));
	pin_self_to_any_cpu();

	try_vm(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_vm(L2_EPT_SHARED);
	return 0;
}
