// SPDX-License-Identifier: GPL-2.0
/*
 * SMIs while L1 runs and while L2 runs.  The handler's memory is its own: under an
 * address that L1 and L2 have in use, linear and physical, it finds another page.
 * It also backs an address of the guest with another page before RSM, as if the
 * memory had changed by itself: an L2 without VPID sees that after RSM, for which
 * leaving for SMM and coming back are a VM exit and a VM entry.  And RSM invalidates
 * for all VPIDs: an L2 with a VPID that does not run when the SMI comes sees it, too,
 * when L1 enters it again, and L1 executes no INVVPID.
 */
#include "backing.h"
#include "memory.h"
#include "smi_handler.h"
#include "smm.h"
#include "witness.h"

#define SMRAM_GPA	0x1000000ul
#define SHARED_SLOT	((1 << 16) | 2)	/* slots of the handler's address space */
#define OWN_SLOT	((1 << 16) | 3)
#define NR_PAGES	2
#define GUEST_VALUE	0x11111111
#define HANDLER_VALUE	0x22222222
#define ROUNDS		4

enum { DONE, SMI, SMI_FOR_PARKED };

/* The last two have a vpid12 each: the one has run when the SMI comes to the other. */
static struct l2_context *l2, *parked, *interrupted;
static u64 parked_by;		/* what backs page 0 of the first of them */

/* From the SMI to the read of the L2 that it did not come to. */
static const char parked_region[] = "smm.parked";

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

static void parked_code(void)
{
	for (;;) {
		check_page(parked, 0, READ_ONCE(parked_by));
		witness_mark(UNJUDGED);
		vmcall();
	}
}

static void interrupted_code(void)
{
	for (;;) {
		GUEST_SYNC(SMI_FOR_PARKED);
		vmcall();
	}
}

static void run(struct l2_context *context, void *code)
{
	l1_load(context, code);
	l1_run_to_vmcall(context);
}

static void l1_park(void)
{
	int round;

	run(parked, parked_code);
	for (round = 0; round < ROUNDS; round++) {
		run(interrupted, interrupted_code);
		/* The handler has backed it by the other page. */
		WRITE_ONCE(parked_by, !parked_by);
		run(parked, parked_code);
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
	l1_park();
	take_smi();
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept, u16 vpid)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid() ? vpid : 0);
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, enum l2_ept ept)
{
	struct kvm_vm *vm = contexts_vm_create(1, 3, NR_PAGES);
	struct userspace_mem_region *region = memslot2region(vm, 0);
	struct kvm_userspace_memory_region shared = {
		.slot = SHARED_SLOT,
		.guest_phys_addr = region->region.guest_phys_addr,
		.memory_size = region->region.memory_size,
		.userspace_addr = region->region.userspace_addr,
	};

	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l2 = create(vm, 0, ept, 0);
	parked = create(vm, 1, ept, 2);
	interrupted = create(vm, 2, ept, 3);
	parked_by = 0;
	virt_map(vm, MEMORY_GPA, MEMORY_GPA, 1);
	if (ept != L2_EPT_OFF)
		tdp_map(vm, MEMORY_GPA, MEMORY_GPA, PAGE_SIZE);
	contexts_finish(vm);
	sync_global_to_guest(vm, l2);
	sync_global_to_guest(vm, parked);
	sync_global_to_guest(vm, interrupted);
	sync_global_to_guest(vm, parked_by);
	vcpu_args_set(*vcpu, 1, kvm_has_vpid());

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &shared);
	setup_smram(vm, *vcpu, SMRAM_GPA, smi_handler, smi_handler_end - smi_handler);
	return vm;
}

/* Let the handler exchange what backs page 0 of @of. */
static void order(struct kvm_vm *vm, struct smi_orders *orders, struct l2_context *of)
{
	struct l2_context *context = addr_gva2hva(vm, (gva_t)of);
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
	u64 stage;

	vm = create_vm(&vcpu, ept);
	memory_set_slot(vm, MEMORY_SLOT, MEMORY_GPA, memory, 0);
	memory_set_slot(vm, OWN_SLOT, MEMORY_GPA, own, 0);
	orders = addr_gpa2hva(vm, SMRAM_GPA) + SMI_ORDERS;

	while ((stage = run_to_sync(vcpu)) != DONE) {
		if (count)
			TEST_ASSERT_EQ(orders->read_value, HANDLER_VALUE);
		TEST_ASSERT_EQ(orders->count, count);
		order(vm, orders, stage == SMI ? l2 : parked);
		inject_smi(vcpu);
		if (stage == SMI_FOR_PARKED)
			witness_mark(parked_region);
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
	int rounds = ROUNDS;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	pin_self_to_any_cpu();

	try_smm(L2_EPT_OFF);
	if (kvm_cpu_has_ept()) {
		try_smm(L2_EPT_SHARED);
		rounds += ROUNDS;
	}

	witness_expect(parked_region, "vmentry.L2", ">=", 2 * rounds);
	/* Nor a use of the old page for which the oracle blames the guest. */
	witness_expect(parked_region, "tlbsan.guestowned", "==", 0);
	/* Of the handler's root, and of the root that is loaded after RSM (H10). */
	if (kvm_has_ept())
		witness_expect(parked_region, "invept.single", ">=", 2 * rounds);
	return 0;
}
