// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU with L2 active is saved and restored while another one's flush hypercall waits
 * for it in its queue, and L2's memory has changed: in the same VM what waits must be
 * handled before L2 continues; in a new one nothing old is there.  When L1 has entered the
 * L2 again, calls reach it as before.
 *
 * To restore it is a flush of L2's as well, with a call that waits or without, so KVM's
 * count tells nothing before the call after that.  What L2 reads shows whether the page
 * was flushed, and to the oracle whether the flush was late.
 */
#include "hv_pair.h"
#include "witness.h"

#define ROUNDS	3

enum { DONE, WAITS };

static const char region[] = "restore.queue";

static void target_l2(void)
{
	for (;;) {
		hv_pair_check(READ_ONCE(hv_pair_by));
		GUEST_SYNC(WAITS);
		witness_mark(UNJUDGED);
		hv_pair_check(READ_ONCE(hv_pair_by));
		vmcall();
	}
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	if (id == SENDER)
		l1_hv_pair_send(context, hypercall_gpa);

	l1_hv_pair_start(context, hypercall_gpa, id, target_l2);
	for (;;) {
		l1_run_to_vmcall(context);
		l1_allow_direct_flush(context, VM_ID, id);
	}
}

static void restore_in_new_vm(struct kvm_vm *vm, struct kvm_vcpu *vcpus[2])
{
	struct kvm_x86_state *states[2];
	int i;

	for (i = SENDER; i <= TARGET; i++)
		states[i] = vcpu_save_state(vcpus[i]);
	kvm_vm_release(vm);
	kvm_vm_restart(vm);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_recreate(vm, i);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
	}
	for (i = SENDER; i <= TARGET; i++) {
		vcpu_load_state(vcpus[i], states[i]);
		kvm_x86_state_cleanup(states[i]);
	}
}

static void try_vm(bool new_vm)
{
	bool exact = kvm_has_ept() && kvm_has_vpid();
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	u64 flushes;
	int round;

	vm = hv_pair_create(l1_code, 0, vcpus);
	hv_pair_by = 0;
	sync_global_to_guest(vm, hv_pair_by);
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAITS);
	for (round = 0; round < ROUNDS; round++) {
		hv_pair_call(vcpus, VM_ID, BIT(TARGET), true);
		if (new_vm)
			restore_in_new_vm(vm, vcpus);
		else
			vcpu_save_and_go_back(vcpus[TARGET]);
		if (!new_vm)
			witness_mark(region);
		hv_pair_run_target(vcpus);

		/*
		 * L2 waits again, after another entry, for which L1 calls the ids dirty.
		 * Without EPT a changed page table, and without VPID each transition, is a
		 * flush of its own.
		 */
		flushes = hv_pair_send(vcpus, VM_ID, BIT(TARGET), true);
		TEST_ASSERT(exact ? flushes == 1 : flushes > 0,
			    "round %d: the call after that made %lu flushes", round, flushes);
	}
	kvm_vm_release(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	require_direct_flush();
	pin_self_to_any_cpu();

	try_vm(false);
	try_vm(true);
	witness_expect(region, "vmentry.L2", ">=", ROUNDS);
	return 0;
}
