// SPDX-License-Identifier: GPL-2.0
/*
 * Two vCPUs that flush each other's L2s.
 */
#include "hv_pair.h"

struct hv_pair hv_pair;

static struct l2_context *contexts[2];
static u64 nr_created;

static struct l2_context *create(struct kvm_vm *vm)
{
	return context_for_guest(vm, nr_created++, HV_PAIR_PAGES, L2_EPT_OFF, kvm_has_vpid());
}

struct kvm_vm *hv_pair_create(void *l1_code, int nr_more, struct kvm_vcpu *vcpus[2])
{
	struct kvm_vm *vm = contexts_vm_create(2, 3 + nr_more, HV_PAIR_PAGES);
	int i;

	nr_created = 0;
	hv_pair_sender_waits = false;
	hv_pair.tables = create(vm);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, l1_code);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
		contexts[i] = create(vm);
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)contexts[i]), NULL);
		vcpu_args_set(vcpus[i], 3, contexts[i], addr_gva2gpa(vm, vm_alloc_page(vm)), i);
	}
	hv_pair.input = hv_input_create(vm);
	sync_global_to_guest(vm, hv_pair);
	return vm;
}

struct l2_context *hv_pair_add(struct kvm_vm *vm, struct l2_context *first, bool evmcs)
{
	struct l2_context *context = create(vm);

	if (evmcs)
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context),
				  addr_gva2hva(vm, (gva_t)first));
	return context;
}

struct l2_context *hv_pair_context(u64 id)
{
	return contexts[id];
}

void l1_hv_pair_start(struct l2_context *context, u64 hypercall_gpa, u64 id, void *l2_code)
{
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, l2_code);
	vmwrite(GUEST_CR3, hv_pair.tables->cr3);
	l1_allow_direct_flush(context, VM_ID, id);
}

void hv_pair_flush_well(u64 processors)
{
	u16 status;

	guest_hv_fill_space(&hv_pair.input, processors);
	status = flush_status(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, hv_pair.input.gpa, 0);
	__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "status %u", status);
}

void hv_pair_change(int by, u64 processors)
{
	back_page(hv_pair.tables, 0, by);
	hv_pair_flush_well(processors);
}
