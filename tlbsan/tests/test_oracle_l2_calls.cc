/* SPDX-License-Identifier: GPL-2.0 */
/* Flush hypercalls of an L2 that name an L2 at rest, or one of several. */
#include "oracle_machine.h"

using namespace tlbsan;

static const uint16_t vpid_a = 5, vpid_b = 6, vpid_c = 7;

static const VirtualProcessor a = { 4, 1 }, b = { 4, 2 }, c = { 4, 3 };

/*
 * An L1 with several L2s, each with a vpid12 and a VPID of its own.  A has cached a
 * translation, and B runs now.
 */
struct TwoL2s : Machine {
	VirtualCpus &vcpus = oracle.virtual_cpus();

	TwoL2s()
	{
		enter_l1();
		run(a, vpid_a);
		walk(guest_a, host_a);
		change(b, vpid_b);
	}

	/* L1 enters this L2. */
	void run(VirtualProcessor processor, uint16_t vpid, uint16_t vpid12 = 0)
	{
		Vmcs12 evmcs;

		evmcs.known = true;
		evmcs.controls = 1 << 5;
		evmcs.vpid = vpid12 ? vpid12 : vpid;
		evmcs.direct_flush = processor.vm_id != 0;
		evmcs.vm_id = processor.vm_id;
		evmcs.vp_id = processor.vp_id;
		vcpus.launches_evmcs(0, evmcs);
		exit(EXIT_VMRESUME);
		levels.loaded({ .vmcs = vmcs02, .previous = vmcs01, .previous_vpid = vpid01 });
		enter(vmcs02, vpid, root02);
	}

	void change(VirtualProcessor processor, uint16_t vpid, uint16_t vpid12 = 0)
	{
		exit();
		enter_l1();
		run(processor, vpid, vpid12);
	}

	/* The one that runs calls, and the hypervisor handles it. */
	void call(std::vector<uint32_t> vp_ids, bool every_processor = false)
	{
		FlushCall call;

		call.every_processor = every_processor;
		call.processors = vp_ids;
		call.spans.push_back({});
		vcpus.calls(0, call, 0);
		exit();
		enter(vmcs02, vpid_b, root02);
	}

	/* A runs again, and finds another page. */
	std::string again()
	{
		change(a, vpid_a);
		walk(guest_b, host_b);
		return verdict();
	}
};

TEST(an_l2_at_rest_is_owed_the_flush_of_a_call_that_names_it)
{
	for (uint32_t vp_id : { a.vp_id, b.vp_id, c.vp_id }) {
		TwoL2s m;

		m.call({ vp_id });
		CHECK_EQUAL(m.again(), vp_id == a.vp_id ? "stale other_page" :
							  "guestowned other_page");
	}
}

TEST(an_l2_at_rest_is_owed_the_flush_of_a_call_for_all)
{
	TwoL2s m;

	m.call({}, true);
	CHECK_EQUAL(m.again(), "stale other_page");
}

TEST(an_l2_at_rest_that_is_flushed_is_no_report)
{
	TwoL2s m;

	m.call({ a.vp_id });
	m.invvpid(1, vpid_a);
	CHECK_EQUAL(m.again(), "");
}

TEST(more_l2s_between_the_call_and_the_next_entry_change_nothing)
{
	TwoL2s m;

	m.change(c, vpid_c);
	m.change(b, vpid_b);
	m.call({ a.vp_id });
	m.change(c, vpid_c);
	CHECK_EQUAL(m.again(), "stale other_page");
}

TEST(an_l2_at_rest_of_another_vm_is_not_named)
{
	TwoL2s m;

	m.change({ a.vm_id + 1, b.vp_id }, vpid_b);
	m.call({ a.vp_id });
	CHECK_EQUAL(m.again(), "guestowned other_page");
}

/* An L1 may give the vpid12 to another L2, whose translations no call has named. */
TEST(a_call_is_not_for_another_l2_under_the_vpid12_of_its_target)
{
	for (VirtualProcessor next : { c, VirtualProcessor {} }) {
		TwoL2s m;

		m.change(next, vpid_c, vpid_a);
		m.walk(guest_a, host_a);
		m.change(b, vpid_b);
		m.call({ a.vp_id });
		m.change(next, vpid_c, vpid_a);
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "guestowned other_page");
	}
}
