// SPDX-License-Identifier: GPL-2.0
/*
 * The sender of a pair: an L2 that makes a call when the host asks for it.
 */
#include "hv_pair.h"

enum { WAITS = 1 };

u64 hv_pair_by;
bool hv_pair_sender_waits;

static struct {
	u64 vm_id, processors;
	bool exchange, done;
} order;

void hv_pair_exchange(u64 processors)
{
	WRITE_ONCE(hv_pair_by, !READ_ONCE(hv_pair_by));
	back_page(hv_pair.tables, 0, hv_pair_by);
	if (processors)
		hv_pair_flush_well(processors);
}

static void l2_code(void)
{
	for (;;) {
		if (READ_ONCE(order.exchange))
			hv_pair_exchange(0);
		hv_pair_flush_well(READ_ONCE(order.processors));
		WRITE_ONCE(order.done, true);
		vmcall();
	}
}

void l1_hv_pair_send(struct l2_context *context, u64 hypercall_gpa)
{
	l1_hv_pair_start(context, hypercall_gpa, SENDER, l2_code);
	for (;;) {
		GUEST_SYNC(WAITS);
		l1_load(context, l2_code);
		l1_allow_direct_flush(context, READ_ONCE(order.vm_id), SENDER);
		l1_run_to_vmcall(context);
	}
}

void hv_pair_call(struct kvm_vcpu *vcpus[2], u64 vm_id, u64 processors, bool exchange)
{
	if (!hv_pair_sender_waits)
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), WAITS);
	hv_pair_sender_waits = true;
	order.vm_id = vm_id;
	order.processors = processors;
	order.exchange = exchange;
	order.done = false;
	sync_global_to_guest(vcpus[SENDER]->vm, order);
	TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), WAITS);
	sync_global_from_guest(vcpus[SENDER]->vm, order);
	TEST_ASSERT(order.done, "the sender has made no call");
}

u64 hv_pair_run_target(struct kvm_vcpu *vcpus[2])
{
	u64 before = vcpu_get_stat(vcpus[TARGET], tlb_flush);

	TEST_ASSERT(run_to_sync(vcpus[TARGET]), "The target has ended");
	return vcpu_get_stat(vcpus[TARGET], tlb_flush) - before;
}
