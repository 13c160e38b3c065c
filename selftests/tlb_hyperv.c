// SPDX-License-Identifier: GPL-2.0
/*
 * Hyper-V's flush hypercalls between two vCPUs that share their page tables: one
 * uses an address, the other backs it by another page and asks for the flush,
 * and when that call has returned the first may not use the old page any more.
 * Tried from L1 and from L2 (the "direct" flush, which KVM handles), with a target
 * that waits at the level that is flushed or at the other one, by address, with
 * more addresses than the queue holds, and with none.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include "backing.h"
#include "hyperv_flush.h"

#define NR_PAGES	2
#define VPID12		1
#define VM_ID		7
#define SENDER		0
#define TARGET		1
#define NR_OTHERS	10

enum { WAITING = 1, SENT, USED };

enum level { L1, L2 };

enum method {
	BY_ADDRESS, BY_TOO_MANY, BY_SPACE, BY_SPACE_FAST, BY_SPACE_WITH_TRAP, NR_METHODS
};

/* What the target does, one step for each level's turn. */
enum action { USE, WAIT, USE_WAIT_USE };

/* Of the round: written by the host. */
static struct {
	enum level flushed, waits;
	enum method method;
	int by;				/* the page that backs the address from now on */
	bool purge;			/* a guest flush of the other level comes in between */
} now;

static struct l2_context *tables[2];	/* of each level, for both vCPUs */
static struct hv_input input;
static enum action l2_action;

static void use(enum level level, int by)
{
	check_page(tables[level], 0, by);
}

static void act(enum level level, enum action action)
{
	if (action == USE_WAIT_USE)
		use(level, !now.by);
	if (action != USE)
		GUEST_SYNC(WAITING);
	if (action != WAIT)
		use(level, READ_ONCE(now.by));
}

static void target_l2(void)
{
	for (;;) {
		act(L2, READ_ONCE(l2_action));
		vmcall();
	}
}

static void run_target_l2(struct l2_context *context, enum action action)
{
	WRITE_ONCE(l2_action, action);
	l1_run_to_vmcall(context);
}

static void target_l1(struct l2_context *context, u64 hypercall_gpa)
{
	set_cr3(tables[L1]->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, target_l2);
	vmwrite(GUEST_CR3, tables[L2]->cr3);
	l1_allow_direct_flush(context, VM_ID, TARGET);

	for (;;) {
		if (now.flushed == L1 && now.waits == L1) {
			act(L1, USE_WAIT_USE);
		} else if (now.flushed == L1) {
			use(L1, !now.by);
			run_target_l2(context, WAIT);
			use(L1, now.by);
		} else if (now.waits == L2) {
			run_target_l2(context, USE_WAIT_USE);
		} else {
			/* The page that the L2 has before the flush. */
			now.by = !now.by;
			run_target_l2(context, USE);
			now.by = !now.by;
			GUEST_SYNC(WAITING);
			run_target_l2(context, USE);
		}
		GUEST_SYNC(USED);
	}
}

/* Pages that nobody uses and that do not adjoin, and the one that was changed, last. */
static void flush_list(int others, bool changed)
{
	u64 entries[NR_OTHERS + 1];
	int i;

	for (i = 0; i < others; i++)
		entries[i] = (u64)backing_gva(NR_PAGES + 2 * i);
	if (changed)
		entries[i++] = (u64)backing_gva(0);
	guest_hv_flush_list(&input, BIT(TARGET), entries, i);
}

static void change_and_flush(enum level level)
{
	back_page(tables[level], 0, now.by);
	switch (now.method) {
	case BY_ADDRESS:
		flush_list(0, true);
		break;
	case BY_TOO_MANY:
		/* The second list finds no room any more. */
		flush_list(NR_OTHERS, false);
		flush_list(NR_OTHERS, true);
		break;
	case BY_SPACE_FAST:
		guest_hv_flush_space_fast(BIT(TARGET));
		break;
	default:
		if (now.method == BY_SPACE_WITH_TRAP && level == L2)
			l2_hv_flush_space_and_exit(&input, BIT(TARGET));
		else
			guest_hv_flush_space(&input, BIT(TARGET));
		break;
	}
}

static void sender_l2(void)
{
	for (;;) {
		change_and_flush(L2);
		vmcall();
	}
}

static void send_from_l2(struct l2_context *context)
{
	bool trap = now.method == BY_SPACE_WITH_TRAP;

	*(u32 *)context->hv->partition_assist = trap;
	if (trap)
		GUEST_ASSERT_EQ(l1_enter(context), TRAP_AFTER_FLUSH);
	l1_run_to_vmcall(context);
}

static void sender_l1(struct l2_context *context, u64 hypercall_gpa)
{
	set_cr3(tables[L1]->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, sender_l2);
	vmwrite(GUEST_CR3, tables[L2]->cr3);
	l1_allow_direct_flush(context, VM_ID, SENDER);

	for (;;) {
		GUEST_SYNC(SENT);
		if (now.flushed == L1)
			change_and_flush(L1);
		else
			send_from_l2(context);
	}
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, kvm_has_vpid() ? VPID12 : 0);
}

static struct kvm_vm *create_vm(struct kvm_vcpu *vcpus[2], enum l2_ept ept)
{
	static void (*const code[])(struct l2_context *, u64) = { sender_l1, target_l1 };
	struct l2_context *context;
	gva_t hypercall_page;
	struct kvm_vm *vm;
	int i;

	vm = contexts_vm_create(2, 4, NR_PAGES);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, code[i]);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
	}
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	tables[L1] = create(vm, 0, L2_EPT_OFF);
	tables[L2] = create(vm, 1, L2_EPT_OFF);
	for (i = SENDER; i <= TARGET; i++) {
		context = create(vm, 2 + i, ept);
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context), NULL);
		hypercall_page = vm_alloc_page(vm);
		vcpu_args_set(vcpus[i], 2, context, addr_gva2gpa(vm, hypercall_page));
	}
	input = hv_input_create(vm);
	contexts_finish(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);
	return vm;
}

static void try_calls(enum l2_ept ept)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm = create_vm(vcpus, ept);
	int round, by[2] = {};

	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
	for (round = 0; round < 8 * NR_METHODS; round++) {
		now.method = round % NR_METHODS;
		now.flushed = round / NR_METHODS & 1;
		now.waits = round / NR_METHODS & 2 ? L2 : L1;
		now.purge = round / NR_METHODS & 4;
		if (now.purge && now.flushed == now.waits)
			continue;
		by[now.flushed] = !by[now.flushed];
		now.by = by[now.flushed];
		sync_global_to_guest(vm, now);

		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAITING);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
		/* The other level's queue must survive it. */
		if (now.purge)
			vcpu_flush_guest(vcpus[TARGET]);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), USED);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	require_direct_flush();
	pin_self_to_any_cpu();

	try_calls(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_calls(L2_EPT_SHARED);
	return 0;
}
