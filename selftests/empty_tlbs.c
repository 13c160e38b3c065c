// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves nothing of any guest in any CPU's TLB: a new vCPU runs on each, and KVM
 * flushes all there before.  Not a test: it stands between two programs of which
 * the second is not to find what the first left behind.
 */
#include <sys/sysinfo.h>

#include "kvm_util.h"
#include "processor.h"

static void guest_code(void)
{
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	int cpu;

	for (cpu = 0; cpu < get_nprocs(); cpu++) {
		struct kvm_vcpu *vcpu;
		struct kvm_vm *vm;

		pin_self_to_cpu(cpu);
		vm = vm_create_with_one_vcpu(&vcpu, guest_code);
		vcpu_run(vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
		kvm_vm_free(vm);
	}
	return 0;
}
