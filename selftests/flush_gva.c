// SPDX-License-Identifier: GPL-2.0
/*
 * A flush of single addresses: one INVVPID individual-address for each page on
 * the VPID that the current level runs with; no INVVPID when VPID is off, and
 * never INVEPT.
 *
 * Tried with Hyper-V's flush lists from L1 and, with eVMCS, from L2 (with VPID
 * and without), and with INVLPG where L0 has no EPT and sees it.
 */
#include "contexts.h"
#include "hooks.h"
#include "hyperv_flush.h"
#include "witness.h"

#define VPID12		1
#define VM_ID		7
#define PAGES_MORE	3		/* in the low 12 bits of an entry */
#define NON_CANONICAL	0x800000000000ul

static const u64 entries[] = {
	L2_DATA_GVA,
	(L2_DATA_GVA + 0x10000) | PAGES_MORE,
	NON_CANONICAL,			/* skipped */
	L2_DATA_GVA + 0x20000,
};

#define PAGES_FLUSHED	(1 + (1 + PAGES_MORE) + 1)
#define INVLPG_COUNT	5

static struct hv_input input;

static void flush_list(const char *region)
{
	witness_mark(region);
	guest_hv_flush_list(&input, 1, entries, ARRAY_SIZE(entries));
	witness_mark(UNJUDGED);
}

static void flush_too_long_list(const char *region)
{
	u64 list[HV_FIFO_ENTRIES + 1];
	int i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = L2_DATA_GVA + i * PAGE_SIZE;
	witness_mark(region);
	guest_hv_flush_list(&input, 1, list, ARRAY_SIZE(list));
	witness_mark(UNJUDGED);
}

static void flush_by_invlpg(const char *region)
{
	int i;

	witness_mark(region);
	for (i = 0; i < INVLPG_COUNT; i++)
		invlpg(L2_DATA_GVA + i * PAGE_SIZE);
	invlpg(NON_CANONICAL);
	witness_mark(UNJUDGED);
}

static void l2_code(void)
{
	flush_list("gva.list.l2");
	flush_by_invlpg("gva.invlpg.l2");
	vmcall();
	flush_list("gva.list.l2_no_vpid");
	flush_by_invlpg("gva.invlpg.l2_no_vpid");
	vmcall();
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa)
{
	l1_hyperv_on(context, hypercall_gpa);
	flush_list("gva.list.l1");
	flush_too_long_list("gva.too_long_list.l1");
	flush_by_invlpg("gva.invlpg.l1");

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_allow_direct_flush(context, VM_ID, 0);
	l1_run_to_vmcall(context);
	l1_set_vpid(context, 0);
	l1_run_to_vmcall(context);
	GUEST_DONE();
}

/* Without EPT KVM has no fine-grained flushing for Hyper-V: all of the VPID. */
static void judge_list(const char *region, const char *seen, bool vpid02)
{
	struct flushes want = {};
	u64 *count, page;
	int i;

	if (kvm_has_ept())
		count = vpid02 ? &want.addr02 : &want.addr01;
	else
		count = vpid02 ? &want.single02 : &want.single01;
	if (kvm_has_vpid())
		*count = kvm_has_ept() ? PAGES_FLUSHED : 1;
	/* And of the other level's: the same request may be for its queue (X9). */
	if (vpid02 && kvm_has_vpid() && !kvm_has_ept())
		want.single01 = hook_is_rust("hv_vcpu_flush_tlb");
	witness_flushes(region, seen, &want);
	if (!kvm_has_ept() || !kvm_has_vpid())
		return;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		if (entries[i] == NON_CANONICAL)
			continue;
		for (page = 0; page <= (entries[i] & ~PAGE_MASK); page++)
			witness_expect_page(region, entries[i] + page * PAGE_SIZE, 1);
	}
}

/* With EPT the instruction does not exit. */
static void judge_invlpg(const char *region, const char *seen, bool vpid02)
{
	bool happens = kvm_has_vpid() && !kvm_has_ept();
	struct flushes want = {};
	int i;

	if (happens)
		*(vpid02 ? &want.addr02 : &want.addr01) = INVLPG_COUNT;
	witness_flushes(region, seen, &want);
	for (i = 0; happens && i < INVLPG_COUNT; i++)
		witness_expect_page(region, L2_DATA_GVA + i * PAGE_SIZE, 1);
}

int main(int argc, char *argv[])
{
	struct flushes whole_vpid01 = { .single01 = kvm_has_vpid() };
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	require_direct_flush();
	pin_self_to_any_cpu();

	vm = direct_flush_vm(L2_EPT_OFF, kvm_has_vpid() ? VPID12 : 0, l1_code, &vcpu);
	input = hv_input_create(vm);
	sync_global_to_guest(vm, input);
	contexts_finish(vm);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);

	judge_list("gva.list.l1", "instr.L1", false);
	judge_list("gva.list.l2", "instr.L2", true);
	judge_list("gva.list.l2_no_vpid", "instr.L2", false);
	witness_flushes("gva.too_long_list.l1", "instr.L1", &whole_vpid01);
	judge_invlpg("gva.invlpg.l1", "instr.L1", false);
	judge_invlpg("gva.invlpg.l2", "instr.L2", true);
	judge_invlpg("gva.invlpg.l2_no_vpid", "instr.L2", false);

	kvm_vm_free(vm);
	return 0;
}
