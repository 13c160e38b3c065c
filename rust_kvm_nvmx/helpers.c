// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include "helpers.h"

#include <linux/cpufeature.h>

/* modprobe loads these first; insmod does not, and the module then says so. */
MODULE_SOFTDEP("pre: kvm_intel");

/* kvm/root.rs, kvm/hyperv.rs, kvm/queue.rs and policy/hv_call.rs have the numbers. */
static_assert(INVALID_PAGE == U64_MAX);
static_assert(INVALID_GPA == U64_MAX);
static_assert(KVM_HV_TLB_FLUSH_FIFO_SIZE == 16);
static_assert(sizeof_field(struct kvm_hv_hcall, xmm) == 2 * 6 * sizeof(u64));
static_assert(HV_L1_TLB_FLUSH_FIFO == 0 && HV_L2_TLB_FLUSH_FIFO == 1);

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
struct nvmx_switch nvmx_switch_flush_tlb_apic_access = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_set_apic_access_page_addr = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_vmcs02_vpid = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_handle_invvpid = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_handle_invept = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_vmfunc_tlb_flush = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_post_set_cr0 = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_post_set_cr4 = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_steal_time_tlb_flush = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_hv_flush_tlb = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_hv_vcpu_flush_tlb = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_hv_purge_flush_tlb = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_hv_hypercall_complete = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_l2_tlb_flush_wanted = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_exit_after_l2_tlb_flush = { STATIC_KEY_FALSE_INIT };
struct nvmx_switch nvmx_switch_evmcs_ids_changed = { STATIC_KEY_FALSE_INIT };

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

void nvmx_request_tlb_flush(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_TLB_FLUSH, vcpu);
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

void nvmx_request_apic_page_reload(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_APIC_PAGE_RELOAD, vcpu);
}

void nvmx_request_apf_ready(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_APF_READY, vcpu);
}

bool nvmx_has_async_pf(struct kvm_vcpu *vcpu)
{
	return kvm_pv_async_pf_enabled(vcpu);
}

int nvmx_get_cpu(void)
{
	return get_cpu();
}

void nvmx_put_cpu(void)
{
	put_cpu();
}

const struct kvm_memory_slot *nvmx_apic_slot(struct kvm *kvm)
{
	struct kvm_memory_slot *slot =
		id_to_memslot(kvm_memslots(kvm), APIC_ACCESS_PAGE_PRIVATE_MEMSLOT);

	return slot && !(slot->flags & KVM_MEMSLOT_INVALID) ? slot : NULL;
}

unsigned long nvmx_invalidations_so_far(struct kvm *kvm)
{
	unsigned long sequence = READ_ONCE(kvm->mmu_invalidate_seq);

	/* Read before the pfn is: pairs with kvm_mmu_invalidate_end(). */
	smp_rmb();
	return sequence;
}

bool nvmx_gfn_invalidated_since(struct kvm *kvm, unsigned long sequence, u64 gfn)
{
	return mmu_invalidate_retry_gfn(kvm, sequence, gfn);
}

bool nvmx_pfn_is_none(u64 pfn)
{
	return is_error_noslot_pfn(pfn);
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

u16 nvmx_hypercall_code(struct kvm_vcpu *vcpu, bool long_mode)
{
	return long_mode ? kvm_rcx_read_raw(vcpu) : kvm_eax_read(vcpu);
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

unsigned int nvmx_nr_vcpus(struct kvm *kvm)
{
	return atomic_read(&kvm->online_vcpus);
}

struct kvm_vcpu *nvmx_get_vcpu(struct kvm *kvm, unsigned int index, struct kvm_vcpu_hv **hv)
{
	struct kvm_vcpu *vcpu = kvm_get_vcpu(kvm, index);

	if (vcpu)
		*hv = to_hv_vcpu_safe(vcpu);

	return vcpu;
}

bool nvmx_hv_vp_indexes_differ(struct kvm *kvm)
{
	return atomic_read(&to_kvm_hv(kvm)->num_mismatched_vp_indexes);
}

unsigned int nvmx_hv_tlb_flush_request(void)
{
	return KVM_REQ_HV_TLB_FLUSH;
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
