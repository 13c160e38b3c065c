// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that must flush themselves and do not: each changes what it mapped, makes
 * no flush or another one, and uses the address again.  KVM guarantees nothing, so
 * the emulator's oracle must not call it a KVM bug ("stale"), but should note it
 * ("guestowned").  This tests the oracle itself: the runner compares the notes of
 * each kind with what is expected here.
 *
 * A VM exit stands in for the chance that hardware evicts an entry: without one
 * the emulator itself still has the old translation, and walks nothing.
 */
#include <sys/sysinfo.h>

#include "backing.h"
#include "ept12.h"
#include "hyperv_flush.h"
#include "invalidate.h"
#include "options.h"
#include "witness.h"

#define NR_PAGES	4
#define GLOBAL_PAGE	BIT_ULL(8)
#define LARGE_PAGE	BIT_ULL(7)
#define DIRTY		BIT_ULL(6)
#define LARGE_SIZE	(2ul << 20)
#define KEEP_PCID	BIT_ULL(63)
#define EPTP_WB_4_LEVELS	(6 | 3 << 3)

enum { DONE, OTHER_VCPU, TRIED };

static struct l2_context *l1, *first, *second;
static u64 *ept12_of_page;	/* the EPT entry of first's page 0 */
static struct hv_input hv_input;
static bool l2_changes_itself;

static void use(void)
{
	READ_ONCE(*backing_gva(0));
}

static void exit_to_kvm(void)
{
	u32 eax, ebx, ecx, edx;

	cpuid(0, &eax, &ebx, &ecx, &edx);
}

static void use_after_exit(void)
{
	exit_to_kvm();
	use();
}

static void flush_l1(void)
{
	guest_invpcid(INVPCID_ALL, 0, 0);
}

static void change(void)
{
	back_page(l1, 0, 1);
}

/* L1 under its own tables. */

static void no_invlpg(void)
{
	change();
	use_after_exit();
}

static void no_invlpg_of_unmapped(void)
{
	l1->pt[0] = 0;
	exit_to_kvm();
	GUEST_ASSERT_EQ(kvm_asm_safe("mov (%%rcx), %%rax", "c"(backing_gva(0)), "a"(0)),
			PF_VECTOR);
}

static void no_invlpg_of_read_only(void)
{
	set_cr0(get_cr0() | X86_CR0_WP);
	WRITE_ONCE(*backing_gva(2), 1);
	l1->pt[2] &= ~BIT_ULL(1);
	exit_to_kvm();
	GUEST_ASSERT_EQ(kvm_asm_safe("mov %%rax, (%%rcx)", "c"(backing_gva(2)), "a"(0)),
			PF_VECTOR);
}

static void no_invlpg_of_clean(void)
{
	WRITE_ONCE(*backing_gva(2), 1);
	l1->pt[2] &= ~DIRTY;
	exit_to_kvm();
	WRITE_ONCE(*backing_gva(2), 2);
}

static void no_flush_of_other_table(void)
{
	l1->pd[0] = second->pd[0];
	use_after_exit();
}

static void no_flush_of_removed_table(void)
{
	l1->pd[0] = 0;
	exit_to_kvm();
	GUEST_ASSERT_EQ(kvm_asm_safe("mov (%%rcx), %%rax", "c"(backing_gva(0)), "a"(0)),
			PF_VECTOR);
}

static void no_invlpg_of_large_page(void)
{
	l1->pd[0] = BACKING_PRESENT | LARGE_PAGE;
	flush_l1();
	use();
	l1->pd[0] += LARGE_SIZE;
	use_after_exit();
}

static void no_invlpg_of_split_page(void)
{
	u64 table = l1->pd[0];

	l1->pd[0] = BACKING_PRESENT | LARGE_PAGE;
	flush_l1();
	use();
	l1->pd[0] = table;
	use_after_exit();
}

static void invlpg_of_another_address(void)
{
	change();
	invlpg((u64)backing_gva(1));
	use_after_exit();
}

static void mov_cr3_for_a_global_page(void)
{
	guest_cr4(X86_CR4_PGE, true);
	l1->pt[0] |= GLOBAL_PAGE;
	use_after_exit();
	l1->pt[0] = l1->page_gpa[1] | BACKING_PRESENT | GLOBAL_PAGE;
	set_cr3(l1->cr3);
	use_after_exit();
}

static void invpcid_but_globals_for_a_global_page(void)
{
	guest_cr4(X86_CR4_PGE, true);
	l1->pt[0] |= GLOBAL_PAGE;
	use_after_exit();
	l1->pt[0] = l1->page_gpa[1] | BACKING_PRESENT | GLOBAL_PAGE;
	guest_invpcid(INVPCID_ALL_BUT_GLOBALS, 0, 0);
	use_after_exit();
}

static void noflush_back_to_a_pcid(void)
{
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(l1->cr3 | 1);
	use();
	set_cr3(l1->cr3 | 2);
	change();
	set_cr3(l1->cr3 | 1 | KEEP_PCID);
	use_after_exit();
}

static void invpcid_of_another_pcid(void)
{
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(l1->cr3 | 1);
	use();
	change();
	guest_invpcid(INVPCID_SINGLE, 2, 0);
	use_after_exit();
}

static void invpcid_of_another_address(void)
{
	guest_cr4(X86_CR4_PCIDE, true);
	set_cr3(l1->cr3 | 1);
	use();
	change();
	guest_invpcid(INVPCID_ADDRESS, 1, (u64)backing_gva(1));
	use_after_exit();
}

static void hypercall_for_another_processor(void)
{
	change();
	guest_hv_flush_space(&hv_input, BIT(1));
	use();
}

static void hypercall_for_another_address(void)
{
	u64 address = (u64)backing_gva(1);

	change();
	guest_hv_flush_list(&hv_input, BIT(0), &address, 1);
	use();
}

static void no_shootdown(void)
{
	change();
	invlpg((u64)backing_gva(0));
	GUEST_SYNC(OTHER_VCPU);
}

/* Its L2s.  They run with VPID, so that no VM entry flushes. */

static void l2_code(void)
{
	for (;;) {
		use();
		if (READ_ONCE(l2_changes_itself))
			back_page(first, 0, 1);
		vmcall();
	}
}

static void run(struct l2_context *context)
{
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
}

static void no_invlpg_by_l2(void)
{
	l2_changes_itself = true;
	run(first);
	l2_changes_itself = false;
	run(first);
}

static void no_invvpid(void)
{
	run(first);
	back_page(first, 0, 1);
	run(first);
}

static void no_invvpid_of_other_cr3(void)
{
	run(first);
	vmwrite(GUEST_CR3, second->cr3);
	run(first);
	vmwrite(GUEST_CR3, first->cr3);
}

static void invvpid_of_another_vpid(void)
{
	run(first);
	back_page(first, 0, 1);
	l1_invvpid(INVVPID_SINGLE, first->vpid + 1, 0);
	run(first);
}

static void invvpid_of_another_address(void)
{
	run(first);
	back_page(first, 0, 1);
	l1_invvpid(INVVPID_ADDRESS, first->vpid, (u64)backing_gva(1));
	run(first);
}

static void invvpid_but_globals_for_a_global_page(void)
{
	first->pt[0] |= GLOBAL_PAGE;
	l1_load(first, l2_code);
	vmwrite(GUEST_CR4, vmreadz(GUEST_CR4) | X86_CR4_PGE);
	run(first);
	first->pt[0] = first->page_gpa[1] | BACKING_PRESENT | GLOBAL_PAGE;
	l1_invvpid(INVVPID_SINGLE_BUT_GLOBALS, first->vpid, 0);
	run(first);
}

static void no_invvpid_of_other_table(void)
{
	run(first);
	first->pd[0] = second->pd[0];
	run(first);
}

static void invept_of_another(void)
{
	l1_invept(INVEPT_SINGLE, (first->eptp_gpa + PAGE_SIZE) | EPTP_WB_4_LEVELS);
}

static void invept_for_a_linear_change(void)
{
	run(first);
	back_page(first, 0, 1);
	invept_of_another();
	run(first);
}

static void no_invept(void)
{
	run(first);
	*ept12_of_page = (*ept12_of_page & ~PHYSICAL_PAGE_MASK) | second->page_gpa[0];
	run(first);
}

static void invept_of_another_eptp12(void)
{
	run(first);
	*ept12_of_page = (*ept12_of_page & ~PHYSICAL_PAGE_MASK) | second->page_gpa[0];
	invept_of_another();
	run(first);
}

struct kind {
	void (*guest)(void);
	const char *name;
	enum { OF_L1, OF_L2, OF_EPT12, OF_TWO_VCPUS } needs;
	/* KVM flushes more than it guarantees, or never looks: nothing to note. */
	enum { SHOWN, HIDDEN, HIDDEN_BY_ONE_VPID } hidden;
};

#define KIND(name, ...)	{ name, "owned." #name, __VA_ARGS__ }

static const struct kind kinds[] = {
	KIND(no_invlpg, OF_L1),
	KIND(no_invlpg_of_unmapped, OF_L1),
	KIND(no_invlpg_of_read_only, OF_L1),
	KIND(no_invlpg_of_clean, OF_L1),
	KIND(no_flush_of_other_table, OF_L1),
	KIND(no_flush_of_removed_table, OF_L1),
	KIND(no_invlpg_of_large_page, OF_L1),
	KIND(no_invlpg_of_split_page, OF_L1),
	KIND(invlpg_of_another_address, OF_L1),
	KIND(mov_cr3_for_a_global_page, OF_L1),
	KIND(invpcid_but_globals_for_a_global_page, OF_L1),
	KIND(noflush_back_to_a_pcid, OF_L1),
	KIND(invpcid_of_another_pcid, OF_L1),
	KIND(invpcid_of_another_address, OF_L1),
	KIND(hypercall_for_another_processor, OF_L1),
	KIND(hypercall_for_another_address, OF_L1),
	KIND(no_shootdown, OF_TWO_VCPUS),
	KIND(no_invlpg_by_l2, OF_L2),
	KIND(no_invvpid, OF_L2),
	KIND(no_invvpid_of_other_cr3, OF_L2),
	/* KVM flushes all of the one VPID that C has for all L2s. */
	KIND(invvpid_of_another_vpid, OF_L2, HIDDEN_BY_ONE_VPID),
	KIND(invvpid_of_another_address, OF_L2),
	/* KVM flushes all of the VPID. */
	KIND(invvpid_but_globals_for_a_global_page, OF_L2, HIDDEN),
	KIND(no_invvpid_of_other_table, OF_L2),
	KIND(invept_for_a_linear_change, OF_L2),
	/* KVM keeps the old page until L1 executes INVEPT: allowed, and no report. */
	KIND(no_invept, OF_EPT12, HIDDEN),
	KIND(invept_of_another_eptp12, OF_EPT12, HIDDEN),
};

/* The tables are as they were.  The caller flushes. */
static void restore(struct l2_context *context, u64 table)
{
	int page;

	context->pd[0] = table;
	for (page = 0; page < NR_PAGES; page++)
		back_page(context, page, page);
}

static bool has_two_cpus;

static void l1_code(void)
{
	u64 table, first_table, ept12_entry = *ept12_of_page;
	const struct kind *kind;

	set_cr3(l1->cr3);
	table = l1->pd[0];
	first_table = first->pd[0];
	l1_hyperv_on(l1, hv_input.gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(first);

	for (kind = kinds; kind < kinds + ARRAY_SIZE(kinds); kind++) {
		if (kind->needs == OF_TWO_VCPUS && !has_two_cpus)
			continue;
		use();
		if (kind->needs == OF_TWO_VCPUS)
			GUEST_SYNC(OTHER_VCPU);
		witness_mark(kind->name);
		kind->guest();
		witness_mark(UNJUDGED);
		GUEST_SYNC_WITH(TRIED, kind - kinds);

		guest_cr4(X86_CR4_PCIDE | X86_CR4_PGE, false);
		set_cr0(get_cr0() & ~X86_CR0_WP);
		restore(l1, table);
		restore(first, first_table);
		*ept12_of_page = ept12_entry;
		set_cr3(l1->cr3);
		flush_l1();
		l1_invvpid(INVVPID_ALL, 0, 0);
		l1_invept(INVEPT_ALL, 0);
	}
	GUEST_DONE();
}

/* Uses what the other vCPU changed meanwhile, on a CPU of its own. */
static void other_code(void)
{
	set_cr3(l1->cr3);
	for (;;) {
		use();
		GUEST_SYNC(OTHER_VCPU);
	}
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, 1);
}

static void run_other(struct kvm_vcpu *vcpu)
{
	pin_self_to_cpu(1);
	TEST_ASSERT_EQ(run_to_sync(vcpu), OTHER_VCPU);
	pin_self_to_cpu(0);
}

static void expect_note(const struct kind *kind)
{
	bool noted = kind->hidden == SHOWN ||
		     (kind->hidden == HIDDEN_BY_ONE_VPID && nvmx_vpid_slots() > 1);

	witness_expect(kind->name, "tlbsan.guestowned", noted ? ">=" : "==", noted);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu, *other;
	struct kvm_vm *vm;
	u64 stage, kind;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_PCID));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_INVPCID));
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid() && kvm_cpu_has_ept(),
		       "with EPT or VPID off KVM flushes more than it guarantees");
	has_two_cpus = get_nprocs() > 1;
	pin_self_to_cpu(0);

	vm = contexts_vm_create(2, 3, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	other = vm_vcpu_add(vm, 1, other_code);
	vcpu_set_hv_cpuid(vcpu);
	vm_enable_ept(vm);
	l1 = create(vm, 0, L2_EPT_OFF);
	first = create(vm, 1, L2_EPT_SHARED);
	second = create(vm, 2, L2_EPT_SHARED);
	hv_input = hv_input_create(vm);
	contexts_finish(vm);
	ept12_of_page = ept12_entry_map(vm, first, 0);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, first);
	sync_global_to_guest(vm, second);
	sync_global_to_guest(vm, hv_input);
	sync_global_to_guest(vm, ept12_of_page);
	sync_global_to_guest(vm, has_two_cpus);

	while ((stage = run_to_sync_with(vcpu, &kind)) != DONE) {
		if (stage == OTHER_VCPU)
			run_other(other);
		else
			expect_note(&kinds[kind]);
	}
	kvm_vm_free(vm);
	return 0;
}
