// SPDX-License-Identifier: GPL-2.0
/*
 * VM entries that fail at each point where they can, each directly after L1 has changed
 * to another vpid12 or another EPT.  If KVM has not seen the change yet, the next entry
 * must flush.  If KVM has switched to L2, the flush was requested for L2 and must be done
 * for L2 before the vCPU goes back to L1, which has another VPID: the next entry, with
 * the same vpid12, does not request it again.  For a vpid12 it is one flush in all with
 * EPT, either way, and at least one without.
 *
 * Two L2s back one linear address by a page each.  The first one has a translation
 * cached, then the second is entered, fails, is entered again, and uses the address.
 * Where they share a VPID, a lost flush is seen by that use.  Where each vpid12 keeps its
 * own, L1 has executed INVVPID, and a lost flush is seen by the count alone.  With --evmcs
 * both are on enlightened VMCSs.
 */
#include "arguments.h"
#include "backing.h"
#include "invalidate.h"
#include "options.h"
#include "witness.h"

#define ROUNDS		2
/* VM-instruction errors, SDM. */
#define BAD_CONTROLS	7
#define BAD_HOST_STATE	8

#define BAD_CR3		BIT_ULL(62)
#define BAD_POINTER	0x123
#define BAD_REVISION	0x7777
#define NOWHERE_GPA	0x70000000ul
#define APIC_GPA	0x60000000ul	/* a slot that comes when KVM has missed it */
#define APIC_SLOT	7

enum point {
	BY_CONTROLS, BY_HOST_STATE, BY_GUEST_STATE, BY_GUEST_CR3, BY_MSR_LIST,
	/* An ordinary VMCS: found by the CPU; told to the host, which adds the page. */
	BY_CPU, BY_APIC_PAGE,
	/* An enlightened one: no such version; no such page. */
	BY_REVISION, NO_EVMCS, NR_POINTS
};

/* The last two have an EPT each; to load an ordinary VMCS frees the roots of all EPTs. */
enum { FIRST, SECOND, FIRST_EPT, SECOND_EPT, NR_CONTEXTS };
enum { DONE, PAGE_WILL_MISS, PAGE_WAS_THERE };

static struct l2_context *contexts[NR_CONTEXTS], *l1, *current;
static struct vmx_msr_entry *msr_list;
static gpa_t msr_list_gpa;
static bool evmcs, has_ept;
static bool kept;	/* a vpid12 may have a hardware VPID of its own */

static const char new_vpid12[] = "failed.vpid12", new_ept[] = "failed.ept";
static const char without_vpid[] = "failed.without_vpid";

static void l2_code(void)
{
	for (;;) {
		witness_mark(UNJUDGED);
		check_page(READ_ONCE(current), 0, 0);
		vmcall();
	}
}

static void load(int number, u16 vpid12)
{
	WRITE_ONCE(current, contexts[number]);
	l1_load(current, l2_code);
	l1_set_vpid(current, vpid12);
}

static void run(int number, u16 vpid12)
{
	load(number, vpid12);
	l1_run_to_vmcall(current);
	check_page(l1, 0, 0);
}

static void fail_instruction(u64 field, u64 value, u64 error)
{
	u64 good = vmreadz(field);

	vmwrite(field, value);
	GUEST_ASSERT_EQ(l1_enter_in_vain(current), error);
	vmwrite(field, good);
}

static void fail_with_exit(u64 field, u64 value, u64 reason)
{
	u64 good = vmreadz(field), exit;

	vmwrite(field, value);
	exit = l1_enter(current);
	__GUEST_ASSERT(exit == (EXIT_REASON_FAILED_VMENTRY | reason), "exit for %lx", exit);
	vmwrite(field, good);
}

static void fail_by_cpu(void)
{
	u64 controls = vmreadz(CPU_BASED_VM_EXEC_CONTROL);

	vmwrite(VIRTUAL_APIC_PAGE_ADDR, NOWHERE_GPA);
	vmwrite(TPR_THRESHOLD, 0);
	fail_instruction(CPU_BASED_VM_EXEC_CONTROL, controls | CPU_BASED_TPR_SHADOW,
			 BAD_CONTROLS);
}

/* The same instruction again and again until the host has added the page. */
static void fail_by_apic_page(void)
{
	u64 controls = vmreadz(SECONDARY_VM_EXEC_CONTROL);

	vmwrite(APIC_ACCESS_ADDR, APIC_GPA);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, controls | SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	l1_run_to_vmcall(current);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, controls);
}

static void fail_by_revision(void)
{
	current_evmcs->revision_id = BAD_REVISION;
	current_evmcs->vm_instruction_error = 0;
	GUEST_ASSERT_EQ(l1_enter_in_vain(current), 0);
	current_evmcs->revision_id = EVMCS_VERSION;
}

static void fail_without_evmcs(void)
{
	u64 pointer = current_vp_assist->current_nested_vmcs;
	u8 vector;

	current_vp_assist->current_nested_vmcs = NOWHERE_GPA;
	vector = kvm_asm_safe("vmresume");
	GUEST_ASSERT_EQ(vector, UD_VECTOR);
	current_vp_assist->current_nested_vmcs = pointer;
}

static void fail(enum point point)
{
	switch (point) {
	case BY_CONTROLS:
		fail_instruction(PIN_BASED_VM_EXEC_CONTROL, 0, BAD_CONTROLS);
		break;
	case BY_HOST_STATE:
		fail_instruction(HOST_CS_SELECTOR, 0, BAD_HOST_STATE);
		break;
	case BY_GUEST_STATE:
		fail_with_exit(VMCS_LINK_POINTER, BAD_POINTER, EXIT_REASON_INVALID_STATE);
		break;
	case BY_GUEST_CR3:
		fail_with_exit(GUEST_CR3, BAD_CR3, EXIT_REASON_INVALID_STATE);
		break;
	case BY_MSR_LIST:
		/* FS's base may not be in the list. */
		msr_list->index = MSR_FS_BASE;
		vmwrite(VM_ENTRY_MSR_LOAD_ADDR, msr_list_gpa);
		fail_with_exit(VM_ENTRY_MSR_LOAD_COUNT, 1, EXIT_REASON_MSR_LOAD_FAIL);
		break;
	case BY_CPU:
		fail_by_cpu();
		break;
	case BY_APIC_PAGE:
		fail_by_apic_page();
		break;
	case BY_REVISION:
		fail_by_revision();
		break;
	default:
		fail_without_evmcs();
	}
}

static bool can_be(enum point point)
{
	/* KVM takes no MSR list and no APIC-access page from an enlightened VMCS. */
	return evmcs ? point < BY_MSR_LIST || point > BY_APIC_PAGE : point < BY_REVISION;
}

static void empty(u16 vpid12)
{
	if (vpid12 != 1)
		l1_invvpid(INVVPID_SINGLE, vpid12, 0);
}

/* Then enters @second well, from @first, which has left translations. */
static void run_after_failure(enum point point, int first, int second, u16 vpid12,
			      const char *region)
{
	/*
	 * A VPID of its own is emptied last; that of both is to hold what the first one left.
	 * Without EPT that frees L2's root, too, and a new one is flushed.
	 */
	if (has_ept && !kept)
		empty(vpid12);
	run(first, 1);
	if (kept)
		empty(vpid12);
	/* The flush for what comes before is another one. */
	load(second, vpid12);
	if (point == BY_APIC_PAGE)
		GUEST_SYNC(PAGE_WILL_MISS);
	witness_mark(region);
	fail(point);
	if (point == BY_APIC_PAGE)
		GUEST_SYNC(PAGE_WAS_THERE);
	else
		l1_run_to_vmcall(current);
	check_page(l1, 0, 0);
}

static void fail_everywhere(int first, int second, u16 vpid12, const char *region)
{
	int round, point;

	for (round = 0; round < ROUNDS; round++)
		for (point = 0; point < NR_POINTS; point++)
			if (can_be(point))
				run_after_failure(point, first, second, vpid12, region);
}

/* An L2 without a VPID shares L1's, which each exit flushes, also that of a failed entry. */
static void fail_without_vpid(void)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		run(FIRST, 0);
		check_page(l1, 0, 0);
		witness_mark(without_vpid);
		fail(BY_GUEST_STATE);
		witness_mark(UNJUDGED);
		check_page(l1, 0, 0);
	}
}

static void l1_code(u64 hypercall_gpa)
{
	set_cr3(l1->cr3);
	if (evmcs)
		l1_hyperv_on(contexts[FIRST], hypercall_gpa);
	l1_vmxon(contexts[FIRST]);
	check_page(l1, 0, 0);
	run(SECOND, 2);
	fail_everywhere(FIRST, SECOND, 2, new_vpid12);
	fail_without_vpid();
	/* With one vpid12: EP4TA tells the two apart. */
	if (has_ept && !evmcs)
		fail_everywhere(FIRST_EPT, SECOND_EPT, 1, new_ept);
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept,
				 const struct l2_context *first)
{
	struct l2_context *context;
	gva_t gva;

	context = context_create(vm, number, 1, ept, &gva);
	if (evmcs && number < NR_CONTEXTS)
		context_use_evmcs(vm, context, first);
	return (struct l2_context *)gva;
}

static struct kvm_vcpu *create_vm(void)
{
	struct l2_context *first;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = contexts_vm_create(1, NR_CONTEXTS + 1, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (evmcs) {
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_evmcs(vcpu);
	}
	if (has_ept)
		vm_enable_ept(vm);
	l1 = create(vm, 100, L2_EPT_OFF, NULL);
	contexts[FIRST] = create(vm, FIRST, L2_EPT_OFF, NULL);
	first = addr_gva2hva(vm, (gva_t)contexts[FIRST]);
	contexts[SECOND] = create(vm, SECOND, L2_EPT_OFF, first);
	if (has_ept) {
		contexts[FIRST_EPT] = create(vm, FIRST_EPT, L2_EPT_SHARED, first);
		contexts[SECOND_EPT] = create(vm, SECOND_EPT, L2_EPT_OWN, first);
	}
	msr_list = (struct vmx_msr_entry *)vm_alloc_page(vm);
	msr_list_gpa = addr_gva2gpa(vm, (gva_t)msr_list);
	vcpu_args_set(vcpu, 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, msr_list);
	sync_global_to_guest(vm, msr_list_gpa);
	sync_global_to_guest(vm, evmcs);
	sync_global_to_guest(vm, has_ept);
	sync_global_to_guest(vm, kept);
	return vcpu;
}

/* KVM gives up on L1's APIC-access page; the instruction is carried out when it is there. */
static void add_missed_page(struct kvm_vcpu *vcpu)
{
	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_INTERNAL_ERROR);
	vm_userspace_mem_region_add(vcpu->vm, VM_MEM_SRC_ANONYMOUS, APIC_GPA, APIC_SLOT, 1, 0);
}

int main(int argc, char *argv[])
{
	int vpid12s = 0, point;
	struct kvm_vcpu *vcpu;
	u64 stage;

	evmcs = option_given(argc, argv, "--evmcs");
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(!evmcs || kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();
	has_ept = kvm_cpu_has_ept();
	kept = kvm_has_ept() && nvmx_vpid_slots() > 1;

	vcpu = create_vm();
	while ((stage = run_to_sync(vcpu)) != DONE) {
		if (stage == PAGE_WILL_MISS)
			add_missed_page(vcpu);
		else
			vm_mem_region_delete(vcpu->vm, APIC_SLOT);
	}
	kvm_vm_free(vcpu->vm);

	for (point = 0; point < NR_POINTS; point++)
		vpid12s += ROUNDS * can_be(point);
	witness_expect(new_vpid12, "vmentry.L2", ">=", vpid12s);
	/*
	 * If L2s have VPIDs of their own, the new vpid12's is not that of the L2 that ran last,
	 * which is the emulator's vpid02.  Without EPT a new root is a flush of the VPID, too.
	 */
	witness_expect(new_vpid12, kept ? "invvpid.single.other" : "invvpid.single.vpid02",
		       kvm_has_ept() ? "==" : ">=", vpid12s);
	witness_expect(without_vpid, "vmentry.L1", ">=", ROUNDS);
	witness_expect(without_vpid, "invvpid.single.vpid01", ">=", ROUNDS);
	if (has_ept && !evmcs) {
		witness_expect(new_ept, "vmentry.L2", ">=", vpid12s);
		witness_expect(new_ept, "invvpid.single.vpid02", "==", 0);
	}
	return 0;
}
