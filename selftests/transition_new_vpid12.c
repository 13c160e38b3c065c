// SPDX-License-Identifier: GPL-2.0
/*
 * KVM keeps one vpid02 for all of L1's vpid12s, so a VM entry with another
 * vpid12 than the last one must flush it, and with the same one must not:
 * neither for another VMCS, nor because an L2 without VPID ran meanwhile.  An
 * exit never flushes.  VMXON forgets: the first entry after it flushes.
 *
 * rust_kvm_nvmx can keep a VPID for each vpid12: the first entry of a vpid12 after
 * VMXON flushes then, and no other.
 */
#include "contexts.h"
#include "options.h"
#include "witness.h"

struct step {
	const char *region;
	u16 vpid12;		/* 0: VPID off */
	u8 context;		/* which of the two VMCSs */
	bool vmxon;		/* VMXOFF and VMXON before it */
	bool flush;
	bool known;		/* a vpid12 that has run since VMXON */
	bool shared;		/* the other L2's vpid12, without INVVPID: reads nothing */
};

static const struct step steps[] = {
	{ "vpid12.first", .vpid12 = 1, .vmxon = true, .flush = true },
	{ "vpid12.again", .vpid12 = 1 },
	{ "vpid12.other", .vpid12 = 2, .flush = true },
	{ "vpid12.back", .vpid12 = 1, .flush = true, .known = true },
	{ "vpid12.same_in_other_vmcs", .vpid12 = 1, .context = 1, .shared = true },
	{ "vpid12.same_in_first_vmcs", .vpid12 = 1 },
	{ "vpid12.off", .vpid12 = 0 },
	{ "vpid12.same_after_off", .vpid12 = 1 },
	{ "vpid12.high_byte", .vpid12 = 0x101, .flush = true },
	{ "vpid12.low_byte", .vpid12 = 1, .flush = true, .known = true },
	{ "vpid12.highest", .vpid12 = 0xffff, .context = 1, .flush = true },
	{ "vpid12.highest_again", .vpid12 = 0xffff, .context = 1 },
	{ "vpid12.after_vmxon", .vpid12 = 0xffff, .context = 1, .vmxon = true, .flush = true },
	{ "vpid12.after_vmxon_again", .vpid12 = 0xffff, .context = 1 },
};

/* Which region L2 closes on its way out; L1 writes, L2 reads. */
static const char *l2_region;
static u64 l2_expected;
static bool l2_reads;

static void l2_code(void)
{
	for (;;) {
		witness_mark(UNJUDGED);
		if (READ_ONCE(l2_reads))
			GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)L2_DATA_GVA), READ_ONCE(l2_expected));
		witness_mark_part(READ_ONCE(l2_region), ".exit");
		vmcall();
	}
}

static void l1_vmx_restart(struct l2_context *context)
{
	GUEST_ASSERT(!vmclear(context->vmx->vmcs_gpa));
	vmxoff();
	l1_vmxon(context);
}

static void l1_step(struct l2_context **contexts, const struct step *step, bool judged)
{
	const char *region = judged ? step->region : UNJUDGED;
	struct l2_context *context = contexts[step->context];

	if (step->vmxon) {
		l1_vmx_restart(contexts[0]);
		contexts[0]->launched = false;
		contexts[1]->launched = false;
	}
	l1_load(context, l2_code);
	l1_set_vpid(context, step->vpid12);
	l2_expected = l2_page_value(context->number, 0);
	l2_reads = !step->shared;

	WRITE_ONCE(l2_region, region);
	witness_mark_part(region, ".enter");
	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);
}

static void l1_code(struct l2_context *first, struct l2_context *second)
{
	struct l2_context *contexts[] = { first, second };
	int i;

	l1_vmxon(first);
	/* Once unjudged: the first use of a root and of a page flushes as well. */
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		l1_step(contexts, &steps[i], false);
	GUEST_SYNC(1);
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		l1_step(contexts, &steps[i], true);
	GUEST_SYNC(2);
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t gva[2];
	char region[64];
	bool kept = kvm_has_ept() && nvmx_vpid_slots() > 4;
	bool once = kvm_has_ept() && nvmx_skips_needless();
	u64 before, stat = 0;
	bool flush;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	for (i = 0; i < 2; i++)
		context_create(vm, i, 1, L2_EPT_OFF, &gva[i]);
	contexts_finish(vm);
	vcpu_args_set(vcpu, 2, gva[0], gva[1]);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
	before = vcpu_get_stat(vcpu, tlb_flush);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 2);

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct flushes enter = {}, leave = {};

		flush = steps[i].flush && !(kept && steps[i].known);
		/* No guest has run with a VPID before that was just allocated. */
		if (steps[i].vmxon || kept)
			enter.single_other = flush;
		else
			enter.single02 = flush;

		/* The rule of transition_vpid_off. */
		if (!steps[i].vpid12) {
			enter.single01 = 1;
			leave.single01 = !once;
		}
		stat += flush + enter.single01 + leave.single01;
		/* A new vmcs02 counts as one from another CPU. */
		stat += steps[i].vmxon;
		snprintf(region, sizeof(region), "%s.enter", steps[i].region);
		witness_flushes(region, "vmentry.L2", &enter);
		snprintf(region, sizeof(region), "%s.exit", steps[i].region);
		witness_flushes(region, "vmentry.L1", &leave);
	}
	TEST_ASSERT_EQ(vcpu_get_stat(vcpu, tlb_flush) - before, stat);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
	return 0;
}
