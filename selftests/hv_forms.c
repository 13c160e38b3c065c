// SPDX-License-Identifier: GPL-2.0
/*
 * Every form of Hyper-V's four flush hypercalls, good and bad, from L1 and from
 * L2: the result, and what the target then flushes: nothing, each address of
 * each range, or everything.  rust_kvm_nvmx can join ranges that overlap or adjoin.
 * Bad input flushes nothing, not even in part.  With --32-bit the calls are made from a
 * 32-bit code segment, which has other registers for them.
 *
 * The host writes the input and the vCPUs take turns on one thread: nothing
 * here depends on timing.
 */
#include <string.h>

#include "arguments.h"
#include "contexts.h"
#include "flush_call.h"
#include "hooks.h"
#include "hv_form_list.h"
#include "options.h"
#include "witness.h"

#define VPID12		1
#define VM_ID		7

/* Where the input of a slow call is.  The extra pages are in the EPT that L2 has. */
#define SPARE_GPA	0x50000000ul	/* a memslot that comes and goes */
#define MMIO_GPA	0x60000000ul	/* no memslot */
#define HOLE_GPA	0x70000000ul	/* neither a memslot nor mapped for L2 */
#define L2_GPA		0x78000000ul	/* no memslot; where an L2 with EPT has L1's page */
#define SPARE_SLOT	7

enum level { L1, L2 };

/* Of the round: written by the host. */
static struct {
	u64 control, rdx, r8;
	u64 xmm[12] __aligned(16);
	bool in_32_bits;
} now;

static void make_calls(void)
{
	u64 result;

	for (;;) {
		if (now.control & FAST)
			hyperv_write_xmm_input(now.xmm, 6);
		if (now.in_32_bits)
			result = hv_call_32(now.control, now.rdx, now.r8);
		else
			GUEST_ASSERT(!__hyperv_hypercall(now.control, now.rdx, now.r8, &result));
		GUEST_SYNC_WITH(1, result);
	}
}

static void wait_for_flushes(void)
{
	for (;;)
		GUEST_SYNC(1);
}

static void run_vcpu(struct l2_context *context, u64 hypercall_gpa, enum level level, u64 id)
{
	void (*code)(void) = id == SENDER ? make_calls : wait_for_flushes;

	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	if (level == L1)
		code();
	l1_vmxon(context);
	l1_load(context, code);
	l1_allow_direct_flush(context, VM_ID, id);
	l1_enter(context);
	GUEST_FAIL("L2 does not exit");
}

struct machine {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[2];
	enum level level;
	bool ept;
	gpa_t input, private;	/* the latter is mapped for no L2 */
	void *spare;
};

static struct machine create_machine(enum level level, enum l2_ept ept)
{
	struct machine machine = { .level = level, .ept = ept != L2_EPT_OFF };
	struct l2_context *context;
	gva_t gva;
	int i;

	machine.vm = contexts_vm_create(2, 2, 1);
	if (machine.ept)
		vm_enable_ept(machine.vm);
	for (i = SENDER; i <= TARGET; i++) {
		machine.vcpus[i] = vm_vcpu_add(machine.vm, i, run_vcpu);
		vcpu_set_hv_cpuid(machine.vcpus[i]);
		vcpu_enable_evmcs(machine.vcpus[i]);
		context = context_create(machine.vm, i, 1, ept, &gva);
		context->vpid = VPID12;
		context_use_evmcs(machine.vm, context, NULL);
		vcpu_args_set(machine.vcpus[i], 4, gva,
			      addr_gva2gpa(machine.vm, vm_alloc_page(machine.vm)), level, i);
	}
	machine.input = addr_gva2gpa(machine.vm, vm_alloc_page(machine.vm));
	machine.private = addr_gva2gpa(machine.vm, vm_alloc_page(machine.vm));
	machine.spare = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	contexts_finish(machine.vm);
	if (machine.ept) {
		*tdp_get_pte(machine.vm, machine.private) = 0;
		tdp_map(machine.vm, L2_GPA, machine.input, PAGE_SIZE);
		tdp_map(machine.vm, SPARE_GPA, SPARE_GPA, PAGE_SIZE);
		tdp_map(machine.vm, MMIO_GPA, MMIO_GPA, PAGE_SIZE);
	}
	return machine;
}

static void set_spare(struct machine *machine, bool there)
{
	vm_set_user_memory_region(machine->vm, SPARE_SLOT, 0, SPARE_GPA,
				  there ? PAGE_SIZE : 0, machine->spare);
}

/* The words in the order that all calls have them; how many there are. */
static int input_of(const struct form *form, u64 words[600])
{
	bool ex = form->code == SPACE_EX || form->code == LIST_EX;
	int i, n = 0;

	words[n++] = 0;
	words[n++] = form->flags;
	if (ex)
		words[n++] = form->format;
	words[n++] = form->set;
	for (i = 0; i < form->banks; i++)
		words[n++] = i ? 0 : BIT(TARGET);
	for (i = 0; i < form->reps && n < 600; i++)
		words[n++] = L2_DATA_GVA + i * (form->step ?: BIT_ULL(30)) + form->range;
	return n;
}

static gpa_t place_gpa(struct machine *machine, int place)
{
	switch (place) {
	case MMIO:
		return MMIO_GPA;
	case HOLE:
		return HOLE_GPA;
	case GONE:
		return SPARE_GPA;
	case FOR_L2:
		return L2_GPA;
	case NOT_FOR_L2:
		return machine->private;
	default:
		return machine->input + place;
	}
}

static void write_input(struct machine *machine, const struct form *form)
{
	u64 words[600];
	int n = input_of(form, words), size = min(n, 512) * sizeof(*words);

	now.control = form->code | (u64)form->banks << HV_HYPERCALL_VARHEAD_OFFSET |
		      (u64)form->reps << HV_HYPERCALL_REP_COMP_OFFSET | form->control;
	if (form->control & FAST) {
		now.rdx = words[0];
		now.r8 = words[1];
		memcpy(now.xmm, words + 2, min(size - 16, (int)sizeof(now.xmm)));
		return;
	}
	if (form->place < NOWHERE && form->place + size > PAGE_SIZE)
		size = PAGE_SIZE - form->place;
	memcpy(addr_gpa2hva(machine->vm, machine->input) +
	       (form->place < NOWHERE ? form->place : 0), words, size);
	memcpy(addr_gpa2hva(machine->vm, machine->private), words, size);
	memcpy(machine->spare, words, size);
	now.rdx = place_gpa(machine, form->place);
	now.r8 = 0;
}

/* Pages by address and whole contexts that the targets flush, in all. */
static u64 by_address[2], whole[2];

static struct outcome outcome_of(struct machine *machine, const struct form *form)
{
	struct outcome none = { BAD, NOTHING };

	if (form->place == FOR_L2 && !machine->ept)
		return none;
	if (form->place == NOT_FOR_L2 && machine->ept)
		return none;
	if (form->joined && nvmx_skips_needless())
		return (struct outcome) { OK, form->joined };
	return form->c_is_wrong && !hook_is_rust("hv_flush_tlb") ? form->in_c : form->want;
}

static void call(struct machine *machine, const struct form *form)
{
	u64 status = outcome_of(machine, form).status, result;

	write_input(machine, form);
	sync_global_to_guest(machine->vm, now);
	TEST_ASSERT_EQ(run_to_sync_with(machine->vcpus[SENDER], &result), 1);
	TEST_ASSERT(result == (status ?: (u64)form->reps << HV_HYPERCALL_REP_COMP_OFFSET),
		    "L%d, %s: result %lx, expected status %lu", machine->level + 1, form->name,
		    result, status);
}

/* How many flushes KVM has then counted for the target. */
static u64 serve(struct machine *machine)
{
	struct kvm_vcpu *target = machine->vcpus[TARGET];
	u64 before = vcpu_get_stat(target, tlb_flush);

	witness_mark(machine->level == L1 ? "forms.l1" : "forms.l2");
	TEST_ASSERT_EQ(run_to_sync(target), 1);
	witness_mark(UNJUDGED);
	return vcpu_get_stat(target, tlb_flush) - before;
}

static void try_form(struct machine *machine, const struct form *form)
{
	int flushed = outcome_of(machine, form).flushed;
	u64 served, entries;

	call(machine, form);
	/* Deleting a slot flushes as well: only the status can be checked. */
	if (form->place == GONE) {
		TEST_ASSERT_EQ(run_to_sync(machine->vcpus[TARGET]), 1);
		return;
	}

	served = serve(machine);
	entries = flushed == NOTHING ? 0 : flushed == EVERYTHING ? 1 : form->reps;
	if (form->joined && nvmx_skips_needless())
		entries = 1;
	TEST_ASSERT(served == entries, "L%d, %s: %lu flushes, expected %lu", machine->level + 1,
		    form->name, served, entries);
	if (flushed > 0)
		by_address[machine->level] += flushed;
	whole[machine->level] += flushed == EVERYTHING;
}

/* One entry is kept free for "everything": calls that find no room lose nothing. */
static void try_full_queue(struct machine *machine)
{
	static const struct form fifteen = { "15 of 16", LIST, .reps = 15, .set = BIT(TARGET) };
	static const struct form one = { "one more", LIST, .reps = 1, .set = BIT(TARGET) };

	call(machine, &fifteen);
	call(machine, &one);
	call(machine, &one);
	TEST_ASSERT(serve(machine) > 0, "Nothing was flushed");
	whole[machine->level]++;
	/* C flushes the addresses before it reaches "everything". */
	if (!hook_is_rust("hv_vcpu_flush_tlb"))
		by_address[machine->level] += fifteen.reps;
}

/* What several senders have sent. */
static void try_twice(struct machine *machine)
{
	static const struct form one = { "one of two", LIST, .reps = 1, .set = BIT(TARGET) };
	u64 flushes = nvmx_skips_needless() ? 1 : 2;

	call(machine, &one);
	call(machine, &one);
	TEST_ASSERT_EQ(serve(machine), flushes);
	by_address[machine->level] += flushes;
}

static void try_forms(enum level level, enum l2_ept ept)
{
	struct machine machine = create_machine(level, ept);
	int i;

	sync_global_to_guest(machine.vm, now);
	/* Up to its first pause; nobody has asked for anything. */
	TEST_ASSERT_EQ(run_to_sync(machine.vcpus[TARGET]), 1);
	set_spare(&machine, true);
	for (i = 0; i < nr_hv_forms; i++) {
		if (hv_forms[i].place == GONE)
			set_spare(&machine, !hv_forms[i].want.status);
		try_form(&machine, &hv_forms[i]);
	}
	try_full_queue(&machine);
	try_twice(&machine);
	set_spare(&machine, false);
	kvm_vm_free(machine.vm);
	free(machine.spare);
}

int main(int argc, char *argv[])
{
	struct flushes want = {};

	now.in_32_bits = option_given(argc, argv, "--32-bit");
	require_direct_flush();
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid(), "without them there are no queues");
	pin_self_to_any_cpu();

	try_forms(L1, L2_EPT_OFF);
	try_forms(L2, L2_EPT_OFF);
	try_forms(L2, L2_EPT_SHARED);

	want.addr01 = by_address[L1];
	want.single01 = whole[L1];
	witness_flushes("forms.l1", "vmentry.L1", &want);
	want = (struct flushes) { .addr02 = by_address[L2], .single02 = whole[L2] };
	witness_flushes("forms.l2", "vmentry.L2", &want);
	return 0;
}
