// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware's VPIDs have more lives than one.  L1 leaves VMX operation and comes
 * back: KVM frees vpid02 and allocates it anew, and the same vpid12 may name
 * another L2 then.  The VM goes away, and the next one gets its VPIDs.  In each
 * life another page stands behind one linear address, in L1 and in L2.
 */
#include "backing.h"

#define NR_CONTEXTS	2
#define NR_VMS		3
#define VPID12		1

enum { DONE };

static struct l2_context *l1, *contexts[NR_CONTEXTS], *current;
static bool has_vpid, leaves_vmx;

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, 0);
		vmcall();
	}
}

static void vmx_life(struct l2_context *context)
{
	l1_vmxon(context);
	l1_load(context, l2_code);
	if (has_vpid)
		l1_set_vpid(context, VPID12);
	WRITE_ONCE(current, context);
	l1_run_to_vmcall(context);
	l1_run_to_vmcall(context);
	check_page(l1, 0, 0);
}

static void l1_code(void)
{
	int i;

	set_cr3(l1->cr3);
	check_page(l1, 0, 0);
	for (i = 0; i < NR_CONTEXTS; i++) {
		vmx_life(contexts[i]);
		/* VMXOFF, or leave that to the end of the VM. */
		if (leaves_vmx || i < NR_CONTEXTS - 1) {
			GUEST_ASSERT(!vmclear(contexts[i]->vmx->vmcs_gpa));
			vmxoff();
		}
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	gva_t gva;

	context_create(vm, number, 1, ept, &gva);
	return (struct l2_context *)gva;
}

static void vm_life(int number, bool ept)
{
	struct kvm_vm *vm = contexts_vm_create(1, 1 + NR_CONTEXTS, 1);
	struct kvm_vcpu *vcpu = vm_vcpu_add(vm, 0, l1_code);
	int i;

	if (ept)
		vm_enable_ept(vm);
	l1 = create(vm, number, L2_EPT_OFF);
	for (i = 0; i < NR_CONTEXTS; i++)
		contexts[i] = create(vm, number + 1 + i, ept ? L2_EPT_SHARED : L2_EPT_OFF);
	contexts_finish(vm);
	leaves_vmx = number & 1;
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, has_vpid);
	sync_global_to_guest(vm, leaves_vmx);

	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	int ept, i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	for (ept = 0; ept <= kvm_cpu_has_ept(); ept++)
		for (i = 0; i < NR_VMS; i++)
			vm_life(100 * ept + 11 * i, ept);
	return 0;
}
