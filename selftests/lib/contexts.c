// SPDX-License-Identifier: GPL-2.0
/*
 * L2 contexts: how the host makes them.
 */
#include <string.h>

#include "contexts.h"

#define DATA_PML4_INDEX	((L2_DATA_GVA >> 39) & 0x1ff)
#define TABLE_FLAGS	(BIT_ULL(0) | BIT_ULL(1))	/* present, writable */
#define MAX_OWN_EPTS	16

/* A zeroed page that is mapped in L1, by all three of its names. */
struct page {
	gva_t gva;
	gpa_t gpa;
	void *hva;
};

static struct page page_alloc(struct kvm_vm *vm)
{
	struct page page;

	page.gva = vm_alloc_page(vm);
	page.gpa = addr_gva2gpa(vm, page.gva);
	page.hva = addr_gva2hva(vm, page.gva);
	memset(page.hva, 0, PAGE_SIZE);
	return page;
}

/* Top pages of the EPTs of L2_EPT_OWN, filled in when the shared one is whole. */
static void *own_epts[MAX_OWN_EPTS];
static int nr_own_epts;

static gpa_t own_ept_create(struct kvm_vm *vm)
{
	struct page page = page_alloc(vm);

	TEST_ASSERT(nr_own_epts < MAX_OWN_EPTS, "More than %d EPTs", MAX_OWN_EPTS);
	own_epts[nr_own_epts++] = page.hva;
	return page.gpa;
}

/* Page tables for L2: L1's own, but for the slot of L2_DATA_GVA. */
static void page_tables_create(struct kvm_vm *vm, struct l2_context *context, int nr_pages)
{
	struct page pml4 = page_alloc(vm), pdpt = page_alloc(vm);
	struct page pd = page_alloc(vm), pt = page_alloc(vm);
	struct page data;
	int i;

	for (i = 0; i < nr_pages; i++) {
		data = page_alloc(vm);
		*(u64 *)data.hva = l2_page_value(context->number, i);
		context->page_gpa[i] = data.gpa;
		((u64 *)pt.hva)[i] = data.gpa | TABLE_FLAGS;
	}
	*(u64 *)pd.hva = pt.gpa | TABLE_FLAGS;
	*(u64 *)pdpt.hva = pd.gpa | TABLE_FLAGS;

	memcpy(pml4.hva, addr_gpa2hva(vm, vm->mmu.pgd), PAGE_SIZE);
	((u64 *)pml4.hva)[DATA_PML4_INDEX] = pdpt.gpa | TABLE_FLAGS;

	context->cr3 = pml4.gpa;
	context->pd = (u64 *)pd.gva;
	context->pt = (u64 *)pt.gva;
}

struct kvm_vm *contexts_vm_create(int nr_vcpus, int nr_contexts, int nr_pages)
{
	/*
	 * VMCS and companions, stack, page tables, eVMCS pages.  The library's
	 * "extra pages" are memory in other slots, for which it adds the page
	 * tables to this one: two pages for PTES_PER_MIN_PAGE of them.
	 */
	int wanted = nr_contexts * (nr_pages + 32);

	return __vm_create(VM_SHAPE_DEFAULT, nr_vcpus,
			   (u64)wanted * PTES_PER_MIN_PAGE / 2);
}

struct l2_context *context_create(struct kvm_vm *vm, u64 number, int nr_pages,
				  enum l2_ept ept, gva_t *gva)
{
	struct page self = page_alloc(vm);
	struct l2_context *context = self.hva;
	gva_t vmx_gva;

	TEST_ASSERT(nr_pages <= L2_MAX_PAGES, "%d pages asked, %d at most",
		    nr_pages, L2_MAX_PAGES);
	static_assert(sizeof(*context) <= PAGE_SIZE, "a context is one page");

	context->number = number;
	vcpu_alloc_vmx(vm, &vmx_gva);
	context->vmx = (struct vmx_pages *)vmx_gva;
	if (ept == L2_EPT_SHARED)
		context->eptp_gpa = vm->stage2_mmu.pgd;
	else if (ept == L2_EPT_OWN)
		context->eptp_gpa = own_ept_create(vm);
	page_tables_create(vm, context, nr_pages);
	/* As after a call: the ABI wants RSP + 8 to be a multiple of 16 at a function's entry. */
	context->rsp = vm_alloc_page(vm) + PAGE_SIZE - 8;

	*gva = self.gva;
	return context;
}

struct l2_context *context_for_guest(struct kvm_vm *vm, u64 number, int nr_pages,
				     enum l2_ept ept, u16 vpid)
{
	gva_t gva;

	context_create(vm, number, nr_pages, ept, &gva)->vpid = vpid;
	return (struct l2_context *)gva;
}

void context_use_evmcs(struct kvm_vm *vm, struct l2_context *context,
		       const struct l2_context *first)
{
	struct hyperv_test_pages *hv, *first_hv;
	gva_t gva;

	hv = vcpu_alloc_hyperv_test_pages(vm, &gva);
	context->hv = (struct hyperv_test_pages *)gva;
	if (first) {
		first_hv = addr_gva2hva(vm, (gva_t)first->hv);
		hv->vp_assist = first_hv->vp_assist;
		hv->vp_assist_gpa = first_hv->vp_assist_gpa;
	}
}

void require_direct_flush(void)
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS));
	TEST_REQUIRE(kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
}

struct kvm_vm *direct_flush_vm(enum l2_ept ept, u16 vpid, void *l1_code,
			       struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = contexts_vm_create(1, 1, 1);
	struct l2_context *context;

	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	vcpu_set_hv_cpuid(*vcpu);
	vcpu_enable_evmcs(*vcpu);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	context = context_for_guest(vm, 0, 1, ept, vpid);
	context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context), NULL);
	vcpu_args_set(*vcpu, 2, context, addr_gva2gpa(vm, vm_alloc_page(vm)));
	return vm;
}

void contexts_finish(struct kvm_vm *vm)
{
	if (!vm->stage2_mmu.pgd_created)
		return;

	tdp_identity_map_default_memslots(vm);
	while (nr_own_epts)
		memcpy(own_epts[--nr_own_epts],
		       addr_gpa2hva(vm, vm->stage2_mmu.pgd), PAGE_SIZE);
}

u64 run_to_sync_with(struct kvm_vcpu *vcpu, u64 *number)
{
	struct ucall uc;

	for (;;) {
		vcpu_run(vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);

		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			if (number)
				*number = uc.args[2];
			return uc.args[1];
		case UCALL_DONE:
			return 0;
		case UCALL_PRINTF:
			REPORT_GUEST_PRINTF(uc);
			break;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT(uc);
			break;
		default:
			TEST_FAIL("Unknown ucall %lu", uc.cmd);
		}
	}
}

bool kvm_has_ept(void)
{
	return get_kvm_intel_param_bool("ept");
}

bool kvm_has_vpid(void)
{
	return get_kvm_intel_param_bool("vpid");
}
