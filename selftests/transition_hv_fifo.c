// SPDX-License-Identifier: GPL-2.0
/*
 * L1 and L2 each have a queue of addresses that Hyper-V calls of other vCPUs
 * want flushed, and the request bit that announces them is one for both: it is
 * used up by the level that happens to run.  So each nested transition has to
 * raise it again for the other level, on any vCPU that has Hyper-V state
 * (SynIC alone allocates it, too).  With EPT off there are no queues, and the
 * needless request would flush the whole guest.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include "contexts.h"
#include "hooks.h"
#include "hyperv_flush.h"
#include "witness.h"

#define VPID12		1
#define VM_ID		7
#define WARM_UP		4
#define ROUNDS		8
#define SENDER		0
#define TARGET		1
#define ENTRIES		3

enum { DONE, READY, IN_L2, IN_L1, SENT };

static struct hv_input input;
static bool target_is_hyperv;	/* or has only SynIC */

static const u64 entries[ENTRIES] = {
	L2_DATA_GVA, L2_DATA_GVA + 0x5000, L2_DATA_GVA + 0x9000,
};

/* As often as L1 asks: an L2 that a Hyper-V call for L1 finds running. */
static void target_l2(void)
{
	int i;

	for (i = 0; i < WARM_UP; i++)
		vmcall();
	for (i = 0; i < ROUNDS; i++) {
		witness_mark("fifo.empty.exit");
		vmcall();
	}
	witness_mark(UNJUDGED);
	GUEST_SYNC(IN_L2);
	witness_mark("fifo.l1_entries.exit");
	vmcall();
	witness_mark(UNJUDGED);
	vmcall();
}

static void target_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int i;

	if (target_is_hyperv)
		l1_hyperv_on(context, hypercall_gpa);
	l1_vmxon(context);
	l1_load(context, target_l2);
	if (target_is_hyperv)
		l1_allow_direct_flush(context, VM_ID, TARGET);

	for (i = 0; i < WARM_UP; i++)
		l1_run_to_vmcall(context);
	for (i = 0; i < ROUNDS; i++) {
		witness_mark("fifo.empty.enter");
		l1_run_to_vmcall(context);
		witness_mark(UNJUDGED);
	}
	l1_run_to_vmcall(context);
	witness_mark(UNJUDGED);

	/* L2 has stopped, but still counts as running on this vCPU. */
	GUEST_SYNC(IN_L1);
	witness_mark(UNJUDGED);
	l1_load(context, target_l2);
	if (target_is_hyperv)
		witness_mark("fifo.l2_entries.enter");
	l1_run_to_vmcall(context);
	GUEST_DONE();
}

static void sender_l2(void)
{
	guest_hv_flush_list(&input, BIT(TARGET), entries, ENTRIES);
	vmcall();
}

static void sender_l1(struct l2_context *context, u64 hypercall_gpa)
{
	l1_hyperv_on(context, hypercall_gpa);
	GUEST_SYNC(READY);
	guest_hv_flush_list(&input, BIT(TARGET), entries, ENTRIES);
	GUEST_SYNC(SENT);

	l1_vmxon(context);
	l1_load(context, sender_l2);
	l1_allow_direct_flush(context, VM_ID, SENDER);
	l1_run_to_vmcall(context);
	GUEST_SYNC(SENT);
	GUEST_DONE();
}

static struct kvm_vm *create_vm(struct kvm_vcpu *vcpus[2], bool hyperv)
{
	static void (*const code[])(struct l2_context *, u64) = { sender_l1, target_l1 };
	struct l2_context *context;
	gva_t gva, hypercall_page;
	struct kvm_vm *vm;
	int i;

	vm = vm_create(2);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, code[i]);
		context = context_create(vm, i, 1, L2_EPT_OFF, &gva);
		context->vpid = kvm_has_vpid() ? VPID12 : 0;
		if (i == SENDER || hyperv) {
			vcpu_set_hv_cpuid(vcpus[i]);
			vcpu_enable_evmcs(vcpus[i]);
			context_use_evmcs(vm, context, NULL);
		} else {
			vcpu_enable_cap(vcpus[i], KVM_CAP_HYPERV_SYNIC2, 0);
		}
		hypercall_page = vm_alloc_page(vm);
		vcpu_args_set(vcpus[i], 2, gva, addr_gva2gpa(vm, hypercall_page));
	}
	target_is_hyperv = hyperv;
	input = hv_input_create(vm);
	sync_global_to_guest(vm, target_is_hyperv);
	sync_global_to_guest(vm, input);
	contexts_finish(vm);
	return vm;
}

static void try_target(bool hyperv)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;

	vm = create_vm(vcpus, hyperv);
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), READY);

	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), IN_L2);

	/* For L1 while L2 runs: L2 uses the request up, the exit flushes. */
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), IN_L1);

	/* For L2 while L1 runs: L1 uses the request up, the entry flushes. */
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
	witness_mark("fifo.l2_entries.in_l1");
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), DONE);

	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	struct flushes l1_served = {}, l2_served = {}, too_early = {};
	const struct flushes nothing = {};
	int i;

	require_direct_flush();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SYNIC2));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	try_target(false);
	try_target(true);

	if (kvm_has_ept()) {
		l1_served.addr01 = 2 * ENTRIES;
		l2_served.addr02 = ENTRIES;
	} else {
		/* No request at the entry: C drops L2's flush, Rust does it at once. */
		too_early.single01 = 1;
		too_early.single02 = hook_is_rust("hv_vcpu_flush_tlb");
	}
	witness_flushes("fifo.empty.enter", "vmentry.L2", &nothing);
	witness_flushes("fifo.empty.exit", "vmentry.L1", &nothing);
	witness_flushes("fifo.l1_entries.exit", "vmentry.L1", &l1_served);
	witness_flushes("fifo.l2_entries.in_l1", "vmentry.L1", &too_early);
	witness_flushes("fifo.l2_entries.enter", "vmentry.L2", &l2_served);
	for (i = 0; kvm_has_ept() && i < ENTRIES; i++) {
		witness_expect_page("fifo.l1_entries.exit", entries[i], 2);
		witness_expect_page("fifo.l2_entries.enter", entries[i], 1);
	}
	return 0;
}
