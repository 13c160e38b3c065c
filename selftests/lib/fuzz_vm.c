// SPDX-License-Identifier: GPL-2.0
/*
 * nested_fuzz: its VM, with an L1 and some L2s on each vCPU.
 */
#include <sys/sysinfo.h>

#include "fuzz_host.h"

struct fuzz_host fuzz_host;

void fuzz_host_init(void)
{
	fuzz_host.has_ept = kvm_cpu_has_ept();
	fuzz_host.has_vpid = kvm_has_vpid();
	fuzz_host.two_cpus = get_nprocs() > 1;
}

/* Of a vCPU. */
static void create_l2s(struct kvm_vm *vm, int vcpu)
{
	struct l2_context *l2, *first = NULL;
	gva_t gva;
	int i;

	for (i = 0; i < (fuzz.has_evmcs ? FUZZ_L2S : FUZZ_PLAIN); i++) {
		l2 = context_create(vm, 100 + i, 0, L2_EPT_OFF, &gva);
		fuzz.l2s[vcpu][i] = (struct l2_context *)gva;
		if (i < FUZZ_PLAIN)
			continue;
		context_use_evmcs(vm, l2, first);
		if (!first)
			first = l2;
	}
}

/* What all L2s may use. */
static void create_tables(struct kvm_vm *vm)
{
	gva_t gva;
	int i;

	for (i = 0; i <= FUZZ_TABLES; i++)
		fuzz.tables[i] = context_for_guest(vm, i, FUZZ_PAGES, L2_EPT_OFF, 0);
	for (i = 0; fuzz_host.has_ept && i < FUZZ_EPTS; i++) {
		nested_ept_create(vm, FUZZ_TABLES + 1 + i, &gva);
		fuzz.epts[i] = (struct nested_ept *)gva;
	}
	for (i = 0; i < FUZZ_VCPUS; i++)
		fuzz.inputs[i] = hv_input_create(vm);
	fuzz.msr_list = (struct vmx_msr_entry *)vm_alloc_page(vm);
	fuzz.msr_list_gpa = addr_gva2gpa(vm, (gva_t)fuzz.msr_list);
}

/* All sets of tables see the page of the EPT under one address. */
static void finish_tables(struct kvm_vm *vm)
{
	struct l2_context *of;
	u64 *pt;
	int i;

	contexts_finish(vm);
	for (i = 0; fuzz_host.has_ept && i < FUZZ_EPTS; i++)
		nested_ept_finish(vm, addr_gva2hva(vm, (gva_t)fuzz.epts[i]));
	for (i = 0; i < FUZZ_TABLES; i++) {
		of = addr_gva2hva(vm, (gva_t)fuzz.tables[i]);
		pt = addr_gva2hva(vm, (gva_t)of->pt);
		pt[FUZZ_EPT_PAGE] = L2_DATA_GPA | BACKING_PRESENT;
	}
}

void fuzz_vm_create(bool evmcs)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i, j;

	fuzz.has_evmcs = evmcs && kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS) &&
			 kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH);
	fuzz.has_invpcid = kvm_cpu_has(X86_FEATURE_INVPCID);
	vm = contexts_vm_create(FUZZ_VCPUS, FUZZ_VCPUS * FUZZ_L2S + FUZZ_TABLES + 1, FUZZ_PAGES);
	fuzz_host.vm = vm;
	for (i = 0; i < FUZZ_VCPUS; i++) {
		vcpu = vm_vcpu_add(vm, i, fuzz_l1_code);
		fuzz_host.vcpus[i] = vcpu;
		if (!fuzz.has_evmcs)
			continue;
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_evmcs(vcpu);
	}
	if (fuzz_host.has_ept)
		vm_enable_ept(vm);
	create_tables(vm);
	for (i = 0; i < FUZZ_VCPUS; i++) {
		create_l2s(vm, i);
		vcpu_args_set(fuzz_host.vcpus[i], 2, (u64)i, addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	finish_tables(vm);
	sync_global_to_guest(vm, fuzz);
	fuzz_host.guest = addr_gva2hva(vm, (gva_t)&fuzz);

	for (i = 0; i <= FUZZ_TABLES; i++)
		for (j = 0; j < FUZZ_PAGES; j++)
			fuzz_host.backed_by[i][j] = j;
	fuzz_debts_reset();
}
