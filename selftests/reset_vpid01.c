// SPDX-License-Identifier: GPL-2.0
/*
 * RESET and INIT flush vpid01 at once, with INVVPID single-context, not by a
 * request that another vCPU or VM could come before.  The creation of a vCPU is
 * its RESET; INIT is handled inside KVM_GET_MP_STATE, where no guest runs.
 */
#include "apic.h"
#include "contexts.h"
#include "witness.h"

#define BSP	0
#define AP	1

enum { DONE, READY, SENT };

static void bsp_code(void)
{
	x2apic_enable();
	GUEST_SYNC(READY);
	x2apic_write_reg(APIC_ICR, (u64)AP << 32 | APIC_DEST_PHYSICAL | APIC_INT_ASSERT |
			 APIC_DM_INIT);
	GUEST_SYNC(SENT);
	GUEST_DONE();
}

static void ap_code(void)
{
	GUEST_SYNC(READY);
	witness_mark(UNJUDGED);
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	const struct flushes created = { .single_other = kvm_has_vpid() };
	const struct flushes initialised = { .single01 = kvm_has_vpid() };
	struct kvm_mp_state state;
	struct kvm_vcpu *bsp, *ap;
	struct kvm_vm *vm;
	u64 before;
	int fd;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	pin_self_to_any_cpu();

	vm = vm_create(3);
	bsp = vm_vcpu_add(vm, BSP, bsp_code);
	ap = vm_vcpu_add(vm, AP, ap_code);

	/* By the system call alone: the library's function does more. */
	witness_mark("reset.created");
	fd = __vm_ioctl(vm, KVM_CREATE_VCPU, (void *)2ul);
	witness_mark(UNJUDGED);
	TEST_ASSERT(fd >= 0, KVM_IOCTL_ERROR(KVM_CREATE_VCPU, fd));
	witness_flushes("reset.created", "instr.root", &created);

	TEST_ASSERT_EQ(run_to_sync(bsp), READY);
	TEST_ASSERT_EQ(run_to_sync(ap), READY);
	TEST_ASSERT_EQ(run_to_sync(bsp), SENT);

	before = vcpu_get_stat(ap, tlb_flush);
	witness_mark("reset.init");
	vcpu_ioctl(ap, KVM_GET_MP_STATE, &state);
	witness_mark(UNJUDGED);
	TEST_ASSERT_EQ(state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	TEST_ASSERT_EQ(vcpu_get_stat(ap, tlb_flush), before);
	witness_flushes("reset.init", "instr.root", &initialised);

	close(fd);
	kvm_vm_free(vm);
	return 0;
}
