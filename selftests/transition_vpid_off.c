// SPDX-License-Identifier: GPL-2.0
/*
 * An L2 whose vmcs12 does not use VPID shares L1's (L1 believes that all of
 * VPID 0 is flushed), so every VM entry and every VM exit must flush vpid01 for
 * the guest: INVVPID single-context on vpid01, no INVEPT.  With VPID off in L0
 * the request is still required, for the sync of shadow page tables: then only the
 * statistics, and with EPT off what L2 reads, can tell.
 *
 * With EPT, rust_kvm_nvmx can leave out the flush of the exit: L1 has nothing left
 * after the one of the entry.
 */
#include "contexts.h"
#include "options.h"
#include "witness.h"

#define WARM_UP	4
#define ROUNDS	16

static const char *const enter[] = { "vpid_off.enter", "vpid_off.ept.enter" };
static const char *const leave[] = { "vpid_off.exit", "vpid_off.ept.exit" };

/* Which region L2 must close and open; L1 writes, L2 reads. */
static const char *l2_exit_region;
static u64 l2_expected;

static void l2_code(void)
{
	for (;;) {
		witness_mark(UNJUDGED);
		GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), READ_ONCE(l2_expected));
		witness_mark(READ_ONCE(l2_exit_region));
		vmcall();
	}
}

static void l1_rounds(struct l2_context *context, int rounds, const char *enter_region,
		      const char *exit_region)
{
	l2_exit_region = exit_region;
	while (rounds--) {
		witness_mark(enter_region);
		l1_run_to_vmcall(context);
		witness_mark(UNJUDGED);
	}
}

/* No INVLPG and no INVVPID after the change: VM entry is flush enough. */
static void l1_change_mapping_each_round(struct l2_context *context)
{
	u64 flags = context->pt[0] & ~PHYSICAL_PAGE_MASK;
	int i;

	l2_exit_region = UNJUDGED;
	for (i = 0; i < ROUNDS; i++) {
		context->pt[0] = context->page_gpa[i & 1] | flags;
		l2_expected = l2_page_value(context->number, i & 1);
		l1_run_to_vmcall(context);
	}
}

static void l1_code(struct l2_context **contexts, int nr_contexts)
{
	int i;

	l1_vmxon(contexts[0]);
	for (i = 0; i < nr_contexts; i++) {
		l1_load(contexts[i], l2_code);
		l2_expected = l2_page_value(contexts[i]->number, 0);
		l1_rounds(contexts[i], WARM_UP, UNJUDGED, UNJUDGED);
		GUEST_SYNC(1);
		l1_rounds(contexts[i], ROUNDS, enter[i], leave[i]);
		GUEST_SYNC(2);
		l1_change_mapping_each_round(contexts[i]);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct flushes want = { .single01 = kvm_has_vpid() ? ROUNDS : 0 };
	bool once = kvm_has_ept() && nvmx_skips_needless();
	struct flushes want_at_exit = once ? (struct flushes) {} : want;
	bool with_ept = kvm_cpu_has_ept();
	int nr_contexts = with_ept ? 2 : 1, i;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t *contexts;
	gva_t list;
	u64 before;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (with_ept)
		vm_enable_ept(vm);
	list = vm_alloc_page(vm);
	contexts = addr_gva2hva(vm, list);
	context_create(vm, 0, 2, L2_EPT_OFF, &contexts[0]);
	if (with_ept)
		context_create(vm, 1, 2, L2_EPT_SHARED, &contexts[1]);
	contexts_finish(vm);
	vcpu_args_set(vcpu, 2, list, nr_contexts);

	for (i = 0; i < nr_contexts; i++) {
		TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
		before = vcpu_get_stat(vcpu, tlb_flush);
		TEST_ASSERT_EQ(run_to_sync(vcpu), 2);
		TEST_ASSERT_EQ(vcpu_get_stat(vcpu, tlb_flush) - before,
			       once ? ROUNDS : 2 * ROUNDS);
		witness_flushes(enter[i], "vmentry.L2", &want);
		witness_flushes(leave[i], "vmentry.L1", &want_at_exit);
	}
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);

	kvm_vm_free(vm);
	return 0;
}
