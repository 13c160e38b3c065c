// SPDX-License-Identifier: GPL-2.0
/*
 * Flush hypercalls that a guest may make, and that do not do what they say: an
 * empty set together with the flag for all processors, ranges in the extended
 * format, and more pages than a host should flush one by one for one call.
 *
 * One vCPU asks for a flush of itself, so its own next access tells the emulator's
 * oracle.  KVM's statistics tell whether the flush was done at all.
 */
#include "flush_call.h"
#include "witness.h"

#define NR_PAGES	2

/* The last 2 MiB of a range of 16 MiB, which is more than 2,048 pages. */
#define FAR_PD_INDEX	7
#define FAR_GVA		(L2_DATA_GVA + (FAR_PD_INDEX * 512ul << PAGE_SHIFT))

/* Extended format: bit 11 large pages, bit 12 of 1 GiB, bits 10:0 further pages. */
#define LARGE		BIT_ULL(11)
#define HUGE		(LARGE | BIT_ULL(12))

/* No limit is in the TLFS; but the guest must not choose how long it takes. */
#define MOST_INVVPIDS	1024
#define MOST_PAGES	4096

enum form { ALL_PROCESSORS, LONG_RANGE, HUGE_RANGE, LARGE_PAGE, MANY_PAGES, NR_FORMS };
static const char *const form_names[NR_FORMS] = {
	"all-processors", "long-range", "huge-range", "large-page", "many-pages",
};

enum { DONE, CALL, CALLED };

static struct l2_context *context;
static struct hv_input input;
static enum form form;
static const char region[] = "bug.call";

static void check_status(u16 status)
{
	__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "the call returned status %u", status);
}

/* No banks, but all processors. */
static void flush_all_processors(bool list, bool fast)
{
	struct hv_flush_ex *flush = (struct hv_flush_ex *)input.gva;
	u64 control = flush_control(list ? HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX :
				    HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, list);

	flush->address_space = 0;
	flush->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES | HV_FLUSH_ALL_PROCESSORS;
	flush->format = HV_SET_SPARSE_4K;
	flush->valid_banks = 0;
	flush->contents[0] = (u64)backing_gva(0);
	if (fast) {
		hyperv_write_xmm_input(&flush->format, 2);
		check_status(flush_status(control | HV_HYPERCALL_FAST_BIT, 0, flush->flags));
	} else {
		check_status(flush_status(control, input.gpa, 0));
	}
}

static void flush_entries(u64 flags, u64 entry, int nr)
{
	struct hv_flush *flush = (struct hv_flush *)input.gva;
	int i;

	flush->address_space = 0;
	flush->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES | flags;
	flush->processor_mask = BIT(FLUSH_CALL_VP);
	for (i = 0; i < nr; i++)
		flush->gva_list[i] = entry + i * MOST_PAGES * PAGE_SIZE;
	check_status(flush_status(flush_control(HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST, nr),
				  input.gpa, 0));
}

/* @round: of all-processors, which of the calls. */
static void call(int round)
{
	switch (form) {
	case ALL_PROCESSORS:
		flush_all_processors(round & 1, round & 2);
		break;
	case LONG_RANGE:
		flush_entries(HV_FLUSH_USE_EXTENDED_RANGE_FORMAT,
			      L2_DATA_GVA | LARGE | FAR_PD_INDEX, 1);
		break;
	case HUGE_RANGE:
		flush_entries(HV_FLUSH_USE_EXTENDED_RANGE_FORMAT, L2_DATA_GVA | HUGE, 1);
		break;
	case LARGE_PAGE:
		flush_entries(HV_FLUSH_USE_EXTENDED_RANGE_FORMAT, L2_DATA_GVA | LARGE, 1);
		break;
	default:
		flush_entries(0, L2_DATA_GVA | (MOST_PAGES - 1), HV_FIFO_ENTRIES);
		break;
	}
}

static void check(u64 gva, int by)
{
	GUEST_ASSERT_EQ(READ_ONCE(*(u64 *)gva), l2_page_value(0, by));
}

static void body(void)
{
	bool far = form == LONG_RANGE || form == HUGE_RANGE;
	int round;

	for (round = 0; round < 4; round++) {
		/* One page, at both ends of the range. */
		check(L2_DATA_GVA, round & 1);
		if (far)
			check(FAR_GVA, round & 1);
		back_page(context, 0, ~round & 1);
		GUEST_SYNC(CALL);
		witness_mark(region);
		call(round);
		witness_mark(UNJUDGED);
		GUEST_SYNC(CALLED);
		check(L2_DATA_GVA, ~round & 1);
		if (far)
			check(FAR_GVA, ~round & 1);
	}
}

static void run(enum flush_level level)
{
	struct l2_context *host;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 *pd, flushes;

	vm = flush_call_vm(level, L2_EPT_OFF, NR_PAGES, body, &vcpu, &context);
	host = addr_gva2hva(vm, (gva_t)context);
	pd = addr_gva2hva(vm, (gva_t)host->pd);
	pd[FAR_PD_INDEX] = pd[0];
	input = hv_input_create(vm);
	sync_global_to_guest(vm, context);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, form);

	while (run_to_sync(vcpu) == CALL) {
		flushes = vcpu_get_stat(vcpu, tlb_flush);
		TEST_ASSERT_EQ(run_to_sync(vcpu), CALLED);
		flushes = vcpu_get_stat(vcpu, tlb_flush) - flushes;
		TEST_ASSERT(flushes, "%s from L%d: the call succeeded, and nothing was flushed",
			    form_names[form], level == FLUSH_FROM_L1 ? 1 : 2);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	enum flush_level level = FLUSH_FROM_L1;

	form = flush_call_options(argc, argv, form_names, NR_FORMS, &level);
	require_direct_flush();
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	run(level);
	/* Four calls; a region that never was must not pass. */
	witness_expect(region, "instr.root", ">=", 1);
	if (form == LARGE_PAGE || form == MANY_PAGES)
		witness_expect(region, "invvpid.addr", "<=", 4 * MOST_INVVPIDS);
	return 0;
}
