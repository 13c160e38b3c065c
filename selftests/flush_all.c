// SPDX-License-Identifier: GPL-2.0
/*
 * A flush of everything: INVEPT global when EPT is on, with VPID or without, or
 * INVEPT of each root that the vCPU has; INVVPID all-contexts when only VPID is on;
 * nothing when neither is.  Required of
 * each vCPU once when host pages are taken away (MMU notifier, deletion of a
 * memslot), and once when it has changed the CPU, whether L1 or L2 runs: nothing is
 * left for the VMCS that follows.
 */
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "contexts.h"
#include "options.h"
#include "witness.h"

#define SLOT		5
#define SLOT_GPA	0xc0000000ul
#define SLOT_PAGES	4
#define VPID12		1

/* What the host does while the guest stands still; also the guest's stages. */
enum { DONE, NOTIFIER_L1, NOTIFIER_L2, MIGRATE_L1, MIGRATE_L2, SLOT_L1 };

static u64 *shared_page;	/* L1's and L2's name of it */
static u64 shared_value;	/* what it must hold now */

static void check_page(void)
{
	GUEST_ASSERT_EQ(READ_ONCE(*shared_page), READ_ONCE(shared_value));
}

/* Let the host act while this level runs, and see what was flushed before it. */
#define STAND_STILL(stage)						\
do {									\
	GUEST_SYNC(stage);						\
	witness_mark(UNJUDGED);						\
	check_page();							\
} while (0)

static void l2_code(void)
{
	check_page();
	vmcall();

	STAND_STILL(NOTIFIER_L2);
	witness_mark("all.notifier.exit");
	vmcall();

	witness_mark(UNJUDGED);
	vmcall();

	STAND_STILL(MIGRATE_L2);
	witness_mark("all.migrate_l2.exit");
	vmcall();
}

static void l1_code(struct l2_context *context, u64 *slot)
{
	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);

	STAND_STILL(NOTIFIER_L1);

	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);

	STAND_STILL(MIGRATE_L1);
	witness_mark("all.migrate_l1.enter");
	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);

	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);

	WRITE_ONCE(slot[0], 1);
	STAND_STILL(SLOT_L1);
	GUEST_DONE();
}

/* Take the page away from the guest and give it another with other contents. */
static void replace_page(struct kvm_vm *vm, void *hva)
{
	TEST_ASSERT(!madvise(hva, PAGE_SIZE, MADV_DONTNEED), "madvise() failed");
	*(u64 *)hva = ++shared_value;
	sync_global_to_guest(vm, shared_value);
}

static void judge(const char *region, const char *seen, bool new_root)
{
	struct flushes want = {};

	want.all_contexts = !kvm_has_ept() && kvm_has_vpid();
	if (new_root) {
		want.invept_single = kvm_has_ept();
		want.single01 = want.all_contexts;
	}
	/* L1 and L2 have a root each, but none is left if it must be a new one. */
	if (!nvmx_flushes_own_roots()) {
		want.invept_all = kvm_has_ept();
	} else if (!new_root) {
		want.invept_single = 1;
		want.invept_other = 1;
	}
	witness_flushes(region, seen, &want);
}

static void mark_and_judge(const char *region, const char *seen)
{
	witness_mark(region);
	judge(region, seen, !strcmp(region, "all.slot"));
}

int main(int argc, char *argv[])
{
	static const char *const l1 = "vmentry.L1", *const l2 = "vmentry.L2";
	const struct flushes nothing = {};
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t context, page, slot;
	void *page_hva;
	u64 stage;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_nprocs() > 1, "a change of CPU needs two");
	pin_self_to_cpu(0);

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (kvm_cpu_has_ept())
		vm_enable_ept(vm);
	page = vm_alloc_page(vm);
	page_hva = addr_gva2hva(vm, page);
	*(u64 *)page_hva = ++shared_value;
	shared_page = (u64 *)page;
	context_create(vm, 0, 1, kvm_cpu_has_ept() ? L2_EPT_SHARED : L2_EPT_OFF,
		       &context)->vpid = kvm_has_vpid() ? VPID12 : 0;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, SLOT_PAGES, 0);
	slot = vm_unused_gva_gap(vm, SLOT_PAGES * PAGE_SIZE, SLOT_GPA);
	virt_map(vm, slot, SLOT_GPA, SLOT_PAGES);
	contexts_finish(vm);
	sync_global_to_guest(vm, shared_page);
	sync_global_to_guest(vm, shared_value);
	vcpu_args_set(vcpu, 2, context, slot);

	while ((stage = run_to_sync(vcpu)) != DONE) {
		switch (stage) {
		case NOTIFIER_L1:
			replace_page(vm, page_hva);
			mark_and_judge("all.notifier.l1", l1);
			break;
		case NOTIFIER_L2:
			replace_page(vm, page_hva);
			mark_and_judge("all.notifier.l2", l2);
			/* One flush was for all contexts: nothing is left for L1. */
			witness_flushes("all.notifier.exit", l1, &nothing);
			break;
		case MIGRATE_L1:
			pin_self_to_cpu(1);
			mark_and_judge("all.migrate.l1", l1);
			/* Nothing is left for the VMCS that follows. */
			witness_flushes("all.migrate_l1.enter", l2, &nothing);
			break;
		case MIGRATE_L2:
			pin_self_to_cpu(0);
			mark_and_judge("all.migrate.l2", l2);
			witness_flushes("all.migrate_l2.exit", l1, &nothing);
			break;
		case SLOT_L1:
			vm_mem_region_delete(vm, SLOT);
			mark_and_judge("all.slot", l1);
			break;
		}
	}
	kvm_vm_free(vm);
	return 0;
}
