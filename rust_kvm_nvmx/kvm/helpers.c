// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include "helpers.h"

#include <linux/cpufeature.h>
#include <asm/mshyperv.h>

/* modprobe loads this first. insmod does not: the module then says what is missing. */
MODULE_SOFTDEP("pre: kvm_intel");

/* The Rust files rely on these numbers. */
static_assert(INVALID_PAGE == U64_MAX);
static_assert(INVALID_GPA == U64_MAX);
static_assert(EVMPTR_INVALID == U64_MAX);
static_assert(sizeof_field(struct kvm_hv_hcall, xmm) == 2 * 6 * sizeof(u64));
static_assert(HV_L1_TLB_FLUSH_FIFO == 0 && HV_L2_TLB_FLUSH_FIFO == 1);
static_assert(VCPU_REGS_RAX == 0 && VCPU_REGS_RCX == 1);

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

const char *const nvmx_prototypes = kvm_nvmx_prototypes;

bool nvmx_cpu_has_vmx(void)
{
	return boot_cpu_has(X86_FEATURE_VMX);
}

/* What kvm_intel asks when it is loaded.  It flushes by Hyper-V's hypercall then. */
bool nvmx_remote_flush_misses_roots(void)
{
#if IS_ENABLED(CONFIG_HYPERV)
	return ms_hyperv.nested_features & HV_X64_NESTED_GUEST_MAPPING_FLUSH;
#else
	return false;
#endif
}

/* mmu.rs relies on this: then all of struct page are one array. */
static_assert(IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP));

unsigned long *nvmx_private_of_first_page(void)
{
	return &pfn_to_page(0)->private;
}

u64 nvmx_dummy_root(void)
{
	return PFN_PHYS(page_to_pfn(ZERO_PAGE(0)));
}

const struct kvm_memory_slot *nvmx_apic_slot(struct kvm *kvm)
{
	struct kvm_memory_slot *slot =
		id_to_memslot(kvm_memslots(kvm), APIC_ACCESS_PAGE_PRIVATE_MEMSLOT);

	return slot && !(slot->flags & KVM_MEMSLOT_INVALID) ? slot : NULL;
}

bool nvmx_gfn_invalidated_since(struct kvm *kvm, unsigned long sequence, u64 gfn)
{
	return mmu_invalidate_retry_gfn(kvm, sequence, gfn);
}

u64 nvmx_pfn_to_hpa(u64 pfn)
{
	return pfn_to_hpa(pfn);
}

void nvmx_lock_mmu(struct kvm *kvm)
{
	read_lock(&kvm->mmu_lock);
}

void nvmx_unlock_mmu(struct kvm *kvm)
{
	read_unlock(&kvm->mmu_lock);
}

void nvmx_hypercall_set_result(struct kvm_vcpu *vcpu, bool long_mode, u64 result)
{
	if (long_mode) {
		kvm_rax_write_raw(vcpu, result);
	} else {
		kvm_edx_write(vcpu, upper_32_bits(result));
		kvm_eax_write(vcpu, lower_32_bits(result));
	}
}

struct kvm_vcpu *nvmx_get_vcpu(struct kvm *kvm, unsigned int index, struct kvm_vcpu_hv **hv)
{
	struct kvm_vcpu *vcpu = kvm_get_vcpu(kvm, index);

	if (vcpu) {
		/* As to_hv_vcpu_safe() of 7.3. Before, kvm_hv_vcpu_init() has no release. */
		*hv = smp_load_acquire(&vcpu->arch.hyperv);
	}

	return vcpu;
}

bool nvmx_take_hv_tlb_flush_request(struct kvm_vcpu *vcpu)
{
	return kvm_check_request(KVM_REQ_HV_TLB_FLUSH, vcpu);
}

unsigned int nvmx_hv_queue_open(struct kvm_vcpu_hv_tlb_flush_fifo *queue)
{
	spin_lock(&queue->write_lock);
	return kfifo_avail(&queue->entries);
}

void nvmx_hv_queue_close(struct kvm_vcpu_hv_tlb_flush_fifo *queue, const u64 *entries,
			 unsigned int nr)
{
	kfifo_in(&queue->entries, entries, nr);
	spin_unlock(&queue->write_lock);
}

unsigned int nvmx_hv_queue_out(struct kvm_vcpu_hv_tlb_flush_fifo *queue, u64 *entries,
			       unsigned int nr)
{
	if (kfifo_is_empty(&queue->entries))
		return 0;

	return kfifo_out(&queue->entries, entries, nr);
}

void nvmx_hv_queue_discard(struct kvm_vcpu_hv_tlb_flush_fifo *queue)
{
	kfifo_reset_out(&queue->entries);
}

bool nvmx_may_warn(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&limit);
}
