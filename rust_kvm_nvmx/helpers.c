// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include "helpers.h"

#include <linux/cpufeature.h>

/* modprobe loads these first; insmod does not, and the module then says so. */
MODULE_SOFTDEP("pre: kvm_intel");

/* kvm/root.rs has the number. */
static_assert(INVALID_PAGE == U64_MAX);

DEFINE_PER_CPU(u64[NVMX_NR_COUNTERS], nvmx_counters);

u64 nvmx_counter_sum(unsigned int counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(nvmx_counters, cpu)[counter]);

	return sum;
}

void nvmx_counters_reset(void)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu)
		for (i = 0; i < NVMX_NR_COUNTERS; i++)
			WRITE_ONCE(per_cpu(nvmx_counters, cpu)[i], 0);
}

struct nvmx_switch nvmx_switch_flush_tlb_all = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_flush_tlb_current = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_flush_tlb_gva = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_flush_tlb_guest = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_flush_tlb_reset = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_transition_tlb_flush = { STATIC_KEY_FALSE_INIT };

bool nvmx_switch_is_c(struct nvmx_switch *hook)
{
	return static_key_enabled(&hook->c);
}

void nvmx_switch_to_c(struct nvmx_switch *hook, bool c)
{
	if (c)
		static_branch_enable(&hook->c);
	else
		static_branch_disable(&hook->c);
}

bool nvmx_cpu_has_vmx(void)
{
	return boot_cpu_has(X86_FEATURE_VMX);
}

bool nvmx_root_is_dummy(u64 root_hpa)
{
	return kvm_mmu_is_dummy_root(root_hpa);
}

const struct kvm_mmu_page *nvmx_root_to_sp(u64 root_hpa)
{
	return root_to_sp(root_hpa);
}

void nvmx_request_tlb_flush_current(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

void nvmx_request_tlb_flush_guest(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_TLB_FLUSH_GUEST, vcpu);
}

void nvmx_request_hv_tlb_flush(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_HV_TLB_FLUSH, vcpu);
}
