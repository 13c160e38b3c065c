// SPDX-License-Identifier: GPL-2.0
/*
 * SMIs while L1 runs and while L2 runs.  The handler's memory is its own: under an
 * address that L1 and L2 have in use, linear and physical, it finds another page.
 * It also backs an address of the guest with another page before RSM, as if the
 * memory had changed by itself: an L2 without VPID sees that after RSM, for which
 * leaving for SMM and coming back are a VM exit and a VM entry.
 */
#include "backing.h"
#include "memory.h"
#include "smi_handler.h"
#include "smm.h"

#define SMRAM_GPA	0x1000000ul
#define SHARED_SLOT	((1 << 16) | 2)	/* slots of the handler's address space */
#define OWN_SLOT	((1 << 16) | 3)
#define NR_PAGES	2
#define GUEST_VALUE	0x11111111
#define HANDLER_VALUE	0x22222222

enum { DONE, SMI };

static struct l2_context *l2;

/* Linear and physical address of the page that the handler sees another of. */
static void check_own(void)
{
	GUEST_ASSERT_EQ(READ_ONCE(*(u32 *)MEMORY_GPA), GUEST_VALUE);
}

static void take_smi(void)
{
	check_own();
	GUEST_SYNC(SMI);
	check_own();
	outlast_patience();
	check_own();
}

static void l2_code(void)
{
	for (;;) {
		check_page(l2, 0, 0);
		take_smi();
		if (l2->vpid)
			invlpg((u64)backing_gva(0));
		check_page(l2, 0, 1);
		take_smi();
		if (l2->vpid)
			invlpg((u64)backing_gva(0));
		check_page(l2, 0, 0);
		vmcall();
	}
}

static void l1_code(u16 vpid)
{
	take_smi();
	take_smi();
	l1_vmxon(l2);
	l1_load(l2, l2_code);
	l1_run_to_vmcall(l2);
	if (vpid) {
		l1_set_vpid(l2, vpid);
		l1_run_to_vmcall(l2);
	}
	take_smi();
	GUEST_DONE();
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, enum l2_ept ept)
{
	struct kvm_vm *vm = contexts_vm_create(1, 1, NR_PAGES);
	struct userspace_mem_region *region = memslot2region(vm, 0);
	struct kvm_userspace_memory_region shared = {
		.slot = SHARED_SLOT,
		.guest_phys_addr = region->region.guest_phys_addr,
		.memory_size = region->region.memory_size,
		.userspace_addr = region->region.userspace_addr,
	};
	gva_t gva;

	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	context_create(vm, 0, NR_PAGES, ept, &gva);
	l2 = (struct l2_context *)gva;
	virt_map(vm, MEMORY_GPA, MEMORY_GPA, 1);
	if (ept != L2_EPT_OFF)
		tdp_map(vm, MEMORY_GPA, MEMORY_GPA, PAGE_SIZE);
	contexts_finish(vm);
	sync_global_to_guest(vm, l2);
	vcpu_args_set(*vcpu, 1, kvm_has_vpid());

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &shared);
	setup_smram(vm, *vcpu, SMRAM_GPA, smi_handler, smi_handler_end - smi_handler);
	return vm;
}

/* Let the handler exchange what backs page 0 of L2. */
static void order(struct kvm_vm *vm, struct smi_orders *orders)
{
	struct l2_context *context = addr_gva2hva(vm, (gva_t)l2);
	u64 *pt = addr_gva2hva(vm, (gva_t)context->pt);

	orders->read_gpa = MEMORY_GPA;
	orders->read_value = 0;
	orders->write_gpa = addr_hva2gpa(vm, pt);
	orders->write_value = (pt[0] & PAGE_MASK) == context->page_gpa[0] ?
		context->page_gpa[1] : context->page_gpa[0];
	orders->write_value |= BACKING_PRESENT;
}

static void try_smm(enum l2_ept ept)
{
	u32 *memory = memory_alloc(false, GUEST_VALUE), *own = memory_alloc(false, HANDLER_VALUE);
	struct smi_orders *orders;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u32 count = 0;

	vm = create_vm(&vcpu, ept);
	memory_set_slot(vm, MEMORY_SLOT, MEMORY_GPA, memory, 0);
	memory_set_slot(vm, OWN_SLOT, MEMORY_GPA, own, 0);
	orders = addr_gpa2hva(vm, SMRAM_GPA) + SMI_ORDERS;

	while (run_to_sync(vcpu) == SMI) {
		if (count)
			TEST_ASSERT_EQ(orders->read_value, HANDLER_VALUE);
		TEST_ASSERT_EQ(orders->count, count);
		order(vm, orders);
		inject_smi(vcpu);
		count++;
	}
	TEST_ASSERT_EQ(orders->count, count);
	TEST_ASSERT_EQ(orders->read_value, HANDLER_VALUE);
	kvm_vm_free(vm);
	memory_free(memory);
	memory_free(own);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	pin_self_to_any_cpu();

	try_smm(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_smm(L2_EPT_SHARED);
	return 0;
}
