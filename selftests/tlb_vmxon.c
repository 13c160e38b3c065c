// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware's VPIDs have more lives than one.  L1 leaves VMX operation, and KVM
 * frees vpid02; another VM's L1 enters it, and KVM gives that VPID to it; both in
 * turn, with the same vpid12s.  Then a VM goes away, and the next one gets its
 * VPIDs.  In each VM one linear address is backed by another page, in L1 and in
 * L2, and KVM must see that nothing of the life before is used.
 *
 * Between the lives of one L1 there is nothing to see: VMXON and VMXOFF invalidate
 * nothing, so another L2 with the same vpid12 would be L1's to invalidate.
 */
#include "backing.h"

#define NR_LIVES	4	/* of a VM */
#define NR_VMS		4
#define NR_L2S		3	/* of a VM, each with a vpid12 of its own */

enum { DONE, LIFE };

static struct l2_context *l1, *l2s[NR_L2S], *current;
static bool has_vpid;

struct vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
};

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, 0);
		vmcall();
	}
}

static void run(struct l2_context *l2)
{
	WRITE_ONCE(current, l2);
	l1_load(l2, l2_code);
	l1_run_to_vmcall(l2);
	check_page(l1, 0, 0);
}

static void l1_code(void)
{
	int life, i;

	set_cr3(l1->cr3);
	check_page(l1, 0, 0);
	for (life = 0; life < NR_LIVES; life++) {
		l1_vmxon(l2s[0]);
		for (i = 0; i < NR_L2S; i++)
			l2s[i]->launched = false;
		/* The first one is the last one, too: the next life begins with its vpid12. */
		for (i = 0; i <= 2 * NR_L2S; i++)
			run(l2s[i % NR_L2S]);
		/* The last one is left to the end of the VM. */
		if (life < NR_LIVES - 1) {
			for (i = 0; i < NR_L2S; i++)
				GUEST_ASSERT(!vmclear(l2s[i]->vmx->vmcs_gpa));
			vmxoff();
		}
		GUEST_SYNC(LIFE);
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept, u16 vpid)
{
	return context_for_guest(vm, number, 1, ept, has_vpid ? vpid : 0);
}

static struct vm vm_create_for(int number, bool ept)
{
	struct vm vm;
	int i;

	vm.vm = contexts_vm_create(1, 1 + NR_L2S, 1);
	vm.vcpu = vm_vcpu_add(vm.vm, 0, l1_code);
	if (ept)
		vm_enable_ept(vm.vm);
	l1 = create(vm.vm, number, L2_EPT_OFF, 0);
	for (i = 0; i < NR_L2S; i++)
		l2s[i] = create(vm.vm, number + 1 + i, ept ? L2_EPT_SHARED : L2_EPT_OFF, 1 + i);
	contexts_finish(vm.vm);
	sync_global_to_guest(vm.vm, l1);
	sync_global_to_guest(vm.vm, l2s);
	return vm;
}

/* Two VMs in turn; when both have lived, the older one makes room for the next. */
static void vms_in_turn(bool ept)
{
	struct vm older, younger = vm_create_for(0, ept);
	int number, life;

	for (number = 1; number < NR_VMS; number++) {
		older = younger;
		younger = vm_create_for(10 * number, ept);
		for (life = 0; life < NR_LIVES / 2; life++) {
			TEST_ASSERT_EQ(run_to_sync(older.vcpu), LIFE);
			TEST_ASSERT_EQ(run_to_sync(younger.vcpu), LIFE);
		}
		if (number > 1)
			TEST_ASSERT_EQ(run_to_sync(older.vcpu), DONE);
		kvm_vm_free(older.vm);
	}
	kvm_vm_free(younger.vm);
}

int main(int argc, char *argv[])
{
	int ept;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	has_vpid = kvm_has_vpid();
	pin_self_to_any_cpu();

	for (ept = 0; ept <= kvm_cpu_has_ept(); ept++)
		vms_in_turn(ept);
	return 0;
}
