// SPDX-License-Identifier: GPL-2.0
/*
 * A guest changes how its own page tables are read: CR0.PG and WP, CR4.PGE, PAE, SMEP,
 * SMAP and PCIDE, EFER.NXE; as L1, or as an L2 whose L1 intercepts none of it.  Each
 * change flushes what the SDM says, which is counted one by one, and the guest then has
 * the rights that its tables now give it.  L2 leaves with the opposite of what L1 has,
 * and neither has the other's.
 *
 * With EPT the counts are exact: KVM's own of the flushes that are required, the
 * emulator's of what is executed for them and for the roots of the new role.
 */
#include "arguments.h"
#include "backing.h"
#include "paging_off.h"
#include "registers.h"
#include "rights.h"
#include "witness.h"

#define NR_PAGES	2
#define PAGE		backing_gva(0)

/* Error codes of page faults. */
#define NO_READ		PFERR_PRESENT_MASK
#define NO_WRITE	(PFERR_PRESENT_MASK | PFERR_WRITE_MASK)
#define NO_FETCH	(PFERR_PRESENT_MASK | PFERR_FETCH_MASK)
#define RESERVED_BIT	(PFERR_PRESENT_MASK | PFERR_RSVD_MASK)

enum stage { DONE, COUNT, COUNTED };
enum owed { NOTHING, CURRENT, GUEST, NR_OWED };

static const char *const regions[2][NR_OWED] = {
	{ "roles.l1.nothing", "roles.l1.current", "roles.l1.guest" },
	{ "roles.l2.nothing", "roles.l2.current", "roles.l2.guest" },
};

/* Guest globals */
static struct l2_context *l1, *l2;
static bool has_ept, has_smap, may_stop_paging;
/* Changes that require this, and roots that are loaded again. */
static u64 guest_changes[NR_OWED], guest_roots[NR_OWED];

/* Of all VMs. */
static u64 changes[NR_OWED], roots[NR_OWED];

static void stop_paging(bool with_pae)
{
	guest_toggle_paging_and(with_pae ? X86_CR4_PAE : 0);
}

/* A change that requires @flushes, all of them @owed, and loads @new_roots with EPT. */
static void change(struct l2_context *self, void (*set)(bool), bool value, enum owed owed,
		   u64 flushes, u64 new_roots)
{
	GUEST_SYNC(COUNT);
	witness_mark(regions[self == l2][owed]);
	set(value);
	witness_mark(UNJUDGED);
	GUEST_SYNC_WITH(COUNTED, flushes);
	guest_changes[owed]++;
	guest_roots[owed] += new_roots;
}

static void try_smep(struct l2_context *self)
{
	change(self, set_smep, false, NOTHING, 0, 1);
	rights_show(self, 0, RIGHTS_WRITE | RIGHTS_USER);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FAULT);
	/* No INVLPG: SMEP flushes. */
	rights_back(self, 1, RIGHTS_WRITE | RIGHTS_USER);
	change(self, set_smep, true, CURRENT, 1, 1);
	rights_check(self, 1);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FETCH);
	change(self, set_smep, false, NOTHING, 0, 1);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FAULT);
}

static void try_smap(struct l2_context *self)
{
	rights_show(self, 0, RIGHTS_WRITE | RIGHTS_USER);
	change(self, set_smap, true, NOTHING, 0, 1);
	GUEST_ASSERT_EQ(fault_of_read(PAGE), NO_READ);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_WRITE);
	change(self, set_smap, false, NOTHING, 0, 1);
	rights_check(self, 0);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_FAULT);
}

/* With EPT nobody intercepts it. */
static void try_wp(struct l2_context *self)
{
	rights_show(self, 0, 0);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_WRITE);
	change(self, set_wp, false, NOTHING, 0, 0);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_FAULT);
	change(self, set_wp, true, NOTHING, 0, 0);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_WRITE);
	change(self, set_wp, false, NOTHING, 0, 0);
	rights_check(self, 0);
}

static void try_nxe(struct l2_context *self)
{
	rights_show(self, 0, RIGHTS_WRITE | RIGHTS_NO_EXECUTE);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FETCH);
	change(self, set_nxe, false, NOTHING, 0, 1);
	GUEST_ASSERT_EQ(fault_of_read(PAGE), RESERVED_BIT);
	change(self, set_nxe, true, NOTHING, 0, 1);
	rights_check(self, 0);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FETCH);
}

/* What flushes everything of the guest's: change the table before, without INVLPG. */
static void try_flush(struct l2_context *self, void (*set)(bool), bool value, u64 flushes,
		      u64 new_roots)
{
	rights_show(self, 0, RIGHTS_WRITE);
	rights_back(self, 1, RIGHTS_WRITE);
	change(self, set, value, flushes ? GUEST : NOTHING, flushes, new_roots);
	rights_check(self, 1);
}

static void try_roles(struct l2_context *self)
{
	if (has_smap)
		change(self, set_smap, false, NOTHING, 0, 1);
	try_smep(self);
	if (has_smap)
		try_smap(self);
	try_wp(self);
	try_nxe(self);
	/* With EPT nobody intercepts it. */
	try_flush(self, set_pge, true, !has_ept, 0);
	try_flush(self, set_pge, false, !has_ept, 0);
	change(self, set_pcide, true, NOTHING, 0, 0);
	try_flush(self, set_pcide, false, 1, 0);
	if (may_stop_paging) {
		/* Of each toggling of PAE, a flush of the current context as well. */
		try_flush(self, stop_paging, false, 1, 2);
		try_flush(self, stop_paging, true, 3, 4);
	}
}

/* SMEP, SMAP and WP are off. */
static void check_no_rules(struct l2_context *self)
{
	rights_show(self, 0, RIGHTS_WRITE | RIGHTS_USER);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FAULT);
	rights_show(self, 1, 0);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_FAULT);
}

/* They are on. */
static void check_rules(struct l2_context *self)
{
	rights_show(self, 1, 0);
	rights_check(self, 1);
	GUEST_ASSERT_EQ(fault_of_write(PAGE), NO_WRITE);
	rights_show(self, 0, RIGHTS_WRITE | RIGHTS_USER);
	GUEST_ASSERT_EQ(fault_of_execute(PAGE), NO_FETCH);
	GUEST_ASSERT_EQ(fault_of_read(PAGE), has_smap ? NO_READ : NO_FAULT);
}

static void l2_code(void)
{
	try_roles(l2);
	for (;;) {
		check_no_rules(l2);
		vmcall();
	}
}

static void run_l2(void)
{
	u64 controls, allowed;
	int i;

	l1_vmxon(l2);
	l1_load(l2, l2_code);
	/* All MSRs are L2's: the bitmap is empty. */
	GUEST_ASSERT(!vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			      vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS));
	allowed = rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32;
	may_stop_paging = l2->eptp_gpa && (allowed & SECONDARY_EXEC_UNRESTRICTED_GUEST);
	controls = vmreadz(SECONDARY_VM_EXEC_CONTROL);
	if (may_stop_paging)
		controls |= SECONDARY_EXEC_UNRESTRICTED_GUEST;
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL, controls));
	for (i = 0; i < 3; i++) {
		check_rules(l1);
		l1_run_to_vmcall(l2);
	}
	check_rules(l1);
}

static void l1_code(u64 level)
{
	set_cr3(l1->cr3);
	set_wp(true);
	guest_cr4(X86_CR4_SMEP | (has_smap ? X86_CR4_SMAP : 0), true);
	if (level == 1) {
		may_stop_paging = true;
		try_roles(l1);
		check_no_rules(l1);
	} else {
		run_l2();
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	struct l2_context *self;
	gva_t gva;

	self = context_create(vm, number, NR_PAGES, ept, &gva);
	self->vpid = kvm_has_vpid();
	rights_create(vm, self, NR_PAGES);
	return (struct l2_context *)gva;
}

/* What KVM itself counts between two stops. */
static void count_flushes(struct kvm_vcpu *vcpu)
{
	u64 before = 0, flushes, owed, stage;

	while ((stage = run_to_sync_with(vcpu, &owed)) != DONE) {
		if (stage == COUNT) {
			before = vcpu_get_stat(vcpu, tlb_flush);
			continue;
		}
		flushes = vcpu_get_stat(vcpu, tlb_flush) - before;
		TEST_ASSERT(kvm_has_ept() ? flushes == owed : flushes >= owed,
			    "%lu flushes, %lu are required", flushes, owed);
	}
}

static void try_vm(int level, enum l2_ept ept)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	vm = contexts_vm_create(1, 2, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vcpu_args_set(vcpu, 1, (u64)level);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	paging_off_create(vm);
	l1 = create(vm, 0, ept);
	l2 = create(vm, 1, ept);
	contexts_finish(vm);
	has_ept = kvm_has_ept();
	has_smap = kvm_cpu_has(X86_FEATURE_SMAP);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, l2);
	sync_global_to_guest(vm, has_ept);
	sync_global_to_guest(vm, has_smap);

	count_flushes(vcpu);
	for (i = 0; i < NR_OWED; i++) {
		changes[i] += *(u64 *)addr_gva2hva(vm, (gva_t)&guest_changes[i]);
		roots[i] += *(u64 *)addr_gva2hva(vm, (gva_t)&guest_roots[i]);
	}
	kvm_vm_free(vm);
}

static void expect(int level, enum owed owed)
{
	struct flushes want = { .invept_single = roots[owed] };

	if (owed == GUEST && kvm_has_vpid() && level == 1)
		want.single01 = changes[owed];
	else if (owed == GUEST && kvm_has_vpid())
		want.single02 = changes[owed];
	witness_flushes(regions[level - 1][owed],
			level == 1 ? "vmexit.L1.cr_access" : "vmexit.L2.cr_access", &want);
}

int main(int argc, char *argv[])
{
	int level = option_given(argc, argv, "--l2") ? 2 : 1;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_PCID));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SMEP));
	pin_self_to_any_cpu();

	try_vm(level, L2_EPT_OFF);
	if (level == 2 && kvm_cpu_has_ept())
		try_vm(level, L2_EPT_SHARED);
	if (kvm_has_ept()) {
		expect(level, NOTHING);
		expect(level, CURRENT);
		expect(level, GUEST);
	}
	return 0;
}
