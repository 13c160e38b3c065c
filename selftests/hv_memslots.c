// SPDX-License-Identifier: GPL-2.0
/*
 * A memslot goes away while KVM reads a flush call from it.  The VMM deletes it and makes
 * it again with other memory, or moves it away and back, while one vCPU calls all the
 * time, as L1 or as L2.  In the slot is the input, or the partition assist page of L2's
 * enlightened VMCS.  Each call succeeds, and then what the guest had changed before is
 * seen; or it says that its input cannot be read, and has flushed nothing.
 *
 * The caller reads from the input first: without a slot the VMM must answer that.
 */
#include <pthread.h>
#include <sys/sysinfo.h>

#include "flush_call.h"
#include "witness.h"

#define SLOT_GPA	0x50000000ul	/* the slot that goes away */
#define AWAY_GPA	0x60000000ul
#define SLOT		7

#define NR_PAGES	2
#define INPUT_SIZE	(PAGE_SIZE / NR_CALLS)
#define WANTED		10		/* of each call and each way to end */
#define MAX_CHANGES	600

enum call { SPACE, LIST, SPACE_EX, LIST_EX, NR_CALLS };
enum what { INPUT, ASSIST_PAGE };

static const u64 controls[NR_CALLS] = {
	HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE,
	HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST |
		(u64)HV_FIFO_ENTRIES << HV_HYPERCALL_REP_COMP_OFFSET,
	HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX | 1ul << HV_HYPERCALL_VARHEAD_OFFSET,
	HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX | 1ul << HV_HYPERCALL_VARHEAD_OFFSET |
		(u64)HV_FIFO_ENTRIES << HV_HYPERCALL_REP_COMP_OFFSET,
};

/* Calls that succeeded, and that found no input. */
struct ends {
	u64 good[NR_CALLS], bad[NR_CALLS];
};

/* Guest globals */
static struct l2_context *context;
static gpa_t input;
static const char *region;
static struct ends ends;
static bool enough;

static u64 call_input(enum call call)
{
	return input + call * INPUT_SIZE;
}

static void change_and_call(enum call call, int by)
{
	u16 status;

	READ_ONCE(*(u64 *)call_input(call));
	back_page(context, 0, by);
	status = flush_status(controls[call], call_input(call), 0);
	if (status == HV_STATUS_SUCCESS) {
		WRITE_ONCE(ends.good[call], ends.good[call] + 1);
	} else {
		GUEST_ASSERT_EQ(status, HV_STATUS_INVALID_HYPERCALL_INPUT);
		WRITE_ONCE(ends.bad[call], ends.bad[call] + 1);
		invlpg((u64)backing_gva(0));
	}
	check_page(context, 0, by);
}

static void body(void)
{
	int by = 0, call;

	sti();
	check_page(context, 0, 0);
	witness_mark(region);
	while (!READ_ONCE(enough)) {
		for (call = 0; call < NR_CALLS; call++) {
			by = !by;
			change_and_call(call, by);
		}
	}
	witness_mark(UNJUDGED);
}

/* For all processors, or for the first; the last address is the one that changes. */
static void fill_page(void *page)
{
	u64 *words;
	int call, i;

	memset(page, 0, PAGE_SIZE);
	for (call = 0; call < NR_CALLS; call++) {
		words = page + call * INPUT_SIZE;
		*words++ = 0;
		*words++ = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
		if (call == SPACE_EX || call == LIST_EX)
			*words++ = HV_SET_SPARSE_4K;
		*words++ = BIT(0);
		if (call == SPACE_EX || call == LIST_EX)
			*words++ = BIT(FLUSH_CALL_VP);
		for (i = HV_FIFO_ENTRIES - 1; i >= 0; i--)
			*words++ = (u64)backing_gva(i ? NR_PAGES + i : 0);
	}
}

struct machine {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	void *pages[2];
	struct ends *ends;		/* the guest's */
};

static void set_slot(struct machine *machine, gpa_t gpa, u64 size, int page)
{
	vm_set_user_memory_region(machine->vm, SLOT, 0, gpa, size, machine->pages[page]);
}

static void *run_vcpu(void *argument)
{
	struct machine *machine = argument;
	struct kvm_run *run = machine->vcpu->run;
	struct ucall uc;

	pin_self_to_cpu(0);
	for (;;) {
		vcpu_run(machine->vcpu);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		TEST_ASSERT(!run->mmio.is_write && run->mmio.phys_addr / PAGE_SIZE ==
			    SLOT_GPA / PAGE_SIZE, "MMIO at %lx", (u64)run->mmio.phys_addr);
	}
	TEST_ASSERT_KVM_EXIT_REASON(machine->vcpu, KVM_EXIT_IO);
	if (get_ucall(machine->vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_DONE);
	return NULL;
}

static bool has_enough(const struct ends *ends)
{
	int call;

	for (call = 0; call < NR_CALLS; call++)
		if (READ_ONCE(ends->good[call]) < WANTED || READ_ONCE(ends->bad[call]) < WANTED)
			return false;
	return true;
}

static u64 ended_well(const struct ends *ends)
{
	u64 sum = 0;
	int call;

	for (call = 0; call < NR_CALLS; call++)
		sum += READ_ONCE(ends->good[call]);
	return sum;
}

/* The slot stays until a call has found it, or for 20 ms at most. */
static void let_one_end_well(const struct ends *ends)
{
	u64 before = ended_well(ends);
	int i;

	for (i = 0; i < 200 && ended_well(ends) == before; i++)
		usleep(100);
}

/* Until each call has often ended in both ways. */
static void change_slot(struct machine *machine)
{
	int change, page = 0;

	for (change = 0; change < MAX_CHANGES && !has_enough(machine->ends); change++) {
		if (change & 1) {
			set_slot(machine, AWAY_GPA, PAGE_SIZE, page);
		} else {
			set_slot(machine, SLOT_GPA, 0, page);
			page = !page;
		}
		set_slot(machine, SLOT_GPA, PAGE_SIZE, page);
		if (change % 4 == 3)
			let_one_end_well(machine->ends);
	}
	write_guest_global(machine->vm, enough, true);
}

/* Without EPT all is flushed for each, and more for other reasons. */
static void expect_flushes(const struct ends *ends, enum flush_level level, enum what what)
{
	u64 lists = ends->good[LIST] + ends->good[LIST_EX];
	u64 spaces = ends->good[SPACE] + ends->good[SPACE_EX];
	/* The flush is done when the lock count turns out to be unreadable. */
	const char *op = what == INPUT ? "==" : ">=";
	int call;

	for (call = 0; call < NR_CALLS; call++)
		TEST_ASSERT(ends->good[call] >= WANTED && ends->bad[call] >= WANTED,
			    "%s, call %d: %lu ended well, %lu without input", region, call,
			    ends->good[call], ends->bad[call]);
	if (!kvm_has_ept()) {
		witness_expect(region, level == FLUSH_FROM_L1 ? "invvpid.single.vpid01" :
			       "invvpid.single.vpid02", ">=", lists + spaces);
		return;
	}
	witness_expect(region, level == FLUSH_FROM_L1 ? "invvpid.addr.vpid01" :
		       "invvpid.addr.vpid02", op, lists * HV_FIFO_ENTRIES);
	witness_expect(region, level == FLUSH_FROM_L1 ? "invvpid.single.vpid01" :
		       "invvpid.single.vpid02", op, spaces);
	if (what == INPUT)
		witness_expect_page(region, (u64)backing_gva(0), lists);
}

static void try_slot(const char *name, enum flush_level level, enum l2_ept ept, enum what what)
{
	struct machine machine;
	struct l2_context *host;
	struct hyperv_test_pages *hv;
	pthread_t thread;
	int i;

	machine.vm = flush_call_vm(level, ept, NR_PAGES, body, &machine.vcpu, &context);
	for (i = 0; i < ARRAY_SIZE(machine.pages); i++) {
		machine.pages[i] = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		TEST_ASSERT(machine.pages[i], "No memory");
		if (what == INPUT)
			fill_page(machine.pages[i]);
		else
			memset(machine.pages[i], 0, PAGE_SIZE);
	}
	set_slot(&machine, SLOT_GPA, PAGE_SIZE, 0);
	if (what == INPUT) {
		input = SLOT_GPA;
		virt_map(machine.vm, SLOT_GPA, SLOT_GPA, 1);
		if (ept != L2_EPT_OFF)
			tdp_map(machine.vm, SLOT_GPA, SLOT_GPA, PAGE_SIZE);
	} else {
		host = addr_gva2hva(machine.vm, (gva_t)context);
		hv = addr_gva2hva(machine.vm, (gva_t)host->hv);
		hv->partition_assist_gpa = SLOT_GPA;
		/* Both names are one: the input is where linear addresses are physical. */
		input = vm_phy_page_alloc(machine.vm, PAGE_SIZE, 0);
		virt_map(machine.vm, input, input, 1);
		fill_page(addr_gpa2hva(machine.vm, input));
	}
	contexts_finish(machine.vm);

	region = name;
	memset(&ends, 0, sizeof(ends));
	enough = false;
	sync_global_to_guest(machine.vm, context);
	sync_global_to_guest(machine.vm, input);
	sync_global_to_guest(machine.vm, region);
	sync_global_to_guest(machine.vm, ends);
	sync_global_to_guest(machine.vm, enough);
	machine.ends = addr_gva2hva(machine.vm, (gva_t)&ends);

	pthread_create(&thread, NULL, run_vcpu, &machine);
	change_slot(&machine);
	pthread_join(thread, NULL);
	expect_flushes(machine.ends, level, what);
	kvm_vm_free(machine.vm);
	for (i = 0; i < ARRAY_SIZE(machine.pages); i++)
		free(machine.pages[i]);
}

int main(int argc, char *argv[])
{
	require_direct_flush();
	TEST_REQUIRE(kvm_has_vpid());
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: nobody calls meanwhile");
	pin_self_to_cpu(1);

	try_slot("memslots.l1", FLUSH_FROM_L1, L2_EPT_OFF, INPUT);
	try_slot("memslots.l2", FLUSH_FROM_L2, L2_EPT_OFF, INPUT);
	try_slot("memslots.l2.assist", FLUSH_FROM_L2, L2_EPT_OFF, ASSIST_PAGE);
	if (kvm_cpu_has_ept()) {
		try_slot("memslots.l2.ept", FLUSH_FROM_L2, L2_EPT_SHARED, INPUT);
		try_slot("memslots.l2.ept.assist", FLUSH_FROM_L2, L2_EPT_SHARED, ASSIST_PAGE);
	}
	return 0;
}
