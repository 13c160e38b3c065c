// SPDX-License-Identifier: GPL-2.0
/*
 * L2 switches its EPT pointer itself, by VMFUNC, among more of them than KVM
 * keeps roots for; with each, one linear address is backed by another page.
 * Without vpid12 and with one.
 *
 * Without, a switch also invalidates what L2 left under VPID 0, so L2 may change
 * its own page table before a switch and needs no INVLPG.  That is so even if the
 * switch is to the EPT that L2 has.
 *
 * L1 answers an EPT violation, runs L2 with another EPT, and L2 comes back itself.
 */
#include "backing.h"
#include "invalidate.h"
#include "nested_ept.h"

/* KVM keeps 3 roots besides the one in use, and for rust_kvm_nvmx 15. */
#define NR_EPTS			18
#define ROUNDS			2
#define VPID12			5
#define EPTP_SWITCHING		0
#define VM_FUNCTION_CONTROL	0x2018
#define EPTP_LIST_ADDRESS	0x2024

enum { DONE };

static struct l2_context *context;
static struct nested_ept *epts[NR_EPTS];
static u64 *eptp_list;
static gpa_t eptp_list_gpa;
static bool has_vpid, switch_flushes;

static void vmfunc(u32 function, u32 index)
{
	asm volatile("vmfunc" : : "a"(function), "c"(index) : "memory");
}

static void l2_change_table(void)
{
	vmfunc(EPTP_SWITCHING, 0);
	check_page(context, 1, 1);
	vmfunc(EPTP_SWITCHING, 1);
	back_page(context, 1, 0);
	vmfunc(EPTP_SWITCHING, 0);
	check_page(context, 1, 0);
	back_page(context, 1, 1);
	vmfunc(EPTP_SWITCHING, 0);
	check_page(context, 1, 1);
}

static void l2_code(void)
{
	int round, i;

	for (;;) {
		if (READ_ONCE(switch_flushes))
			l2_change_table();
		for (round = 0; round < ROUNDS; round++) {
			for (i = 0; i < NR_EPTS; i++) {
				vmfunc(EPTP_SWITCHING, i);
				GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA),
						l2_page_value(epts[i]->number, 0));
			}
		}
		vmcall();
	}
}

static void l2_write_in_vain(void)
{
	GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), l2_page_value(epts[0]->number, 0));
	WRITE_ONCE(*(u64 *)L2_DATA_GVA, 0);
	GUEST_FAIL("L2 has written what it may not");
}

static void l2_come_back(void)
{
	vmfunc(EPTP_SWITCHING, 0);
	GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), l2_page_value(epts[0]->number, 1));
	vmcall();
}

/* Without INVEPT: the violation has invalidated. */
static void l1_answer_violation(void)
{
	l1_back_ept_read_only(epts[0], 0);
	l1_invept(INVEPT_SINGLE, epts[0]->eptp);
	GUEST_ASSERT(!vmwrite(EPT_POINTER, epts[0]->eptp));
	GUEST_ASSERT(!vmwrite(GUEST_RIP, (u64)l2_write_in_vain));
	GUEST_ASSERT_EQ(l1_enter(context), EXIT_REASON_EPT_VIOLATION);

	l1_back_ept(epts[0], 1);
	GUEST_ASSERT(!vmwrite(EPT_POINTER, epts[1]->eptp));
	GUEST_ASSERT(!vmwrite(GUEST_RIP, (u64)l2_come_back));
	l1_run_to_vmcall(context);
}

static void l1_run_with(u16 vpid)
{
	switch_flushes = !vpid;
	if (vpid)
		l1_set_vpid(context, vpid);
	l1_run_to_vmcall(context);
	/* L1's part: the EPT pointer is where L2 left it. */
	GUEST_ASSERT_EQ(vmreadz(EPT_POINTER), eptp_list[NR_EPTS - 1]);
	l1_back_ept(epts[0], 0);
	l1_run_to_vmcall(context);
}

static void l1_code(void)
{
	int i;

	for (i = 0; i < NR_EPTS; i++)
		eptp_list[i] = epts[i]->eptp;
	l1_vmxon(context);
	l1_load(context, l2_code);
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL,
			      vmreadz(SECONDARY_VM_EXEC_CONTROL) | SECONDARY_EXEC_ENABLE_VMFUNC));
	GUEST_ASSERT(!vmwrite(VM_FUNCTION_CONTROL, BIT(EPTP_SWITCHING)));
	GUEST_ASSERT(!vmwrite(EPTP_LIST_ADDRESS, eptp_list_gpa));

	l1_run_with(0);
	if (has_vpid)
		l1_run_with(VPID12);
	l1_answer_violation();
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
	__TEST_REQUIRE((kvm_get_feature_msr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32) &
		       SECONDARY_EXEC_ENABLE_VMFUNC, "the CPU has no VMFUNC");
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	vm = contexts_vm_create(1, 1 + NR_EPTS, 2);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vm_enable_ept(vm);
	context = context_for_guest(vm, 0, 2, L2_EPT_SHARED, 0);
	for (i = 0; i < NR_EPTS; i++) {
		nested_ept_create(vm, i + 1, &gva);
		epts[i] = (struct nested_ept *)gva;
	}
	eptp_list = (u64 *)vm_alloc_page(vm);
	eptp_list_gpa = addr_gva2gpa(vm, (gva_t)eptp_list);
	contexts_finish(vm);
	context_use_l2_gpa(vm, addr_gva2hva(vm, (gva_t)context));
	for (i = 0; i < NR_EPTS; i++)
		nested_ept_finish(vm, addr_gva2hva(vm, (gva_t)epts[i]));
	sync_global_to_guest(vm, context);
	sync_global_to_guest(vm, epts);
	sync_global_to_guest(vm, eptp_list);
	sync_global_to_guest(vm, eptp_list_gpa);
	sync_global_to_guest(vm, has_vpid);

	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
	return 0;
}
