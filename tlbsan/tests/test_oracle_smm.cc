/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SMM of a virtual CPU.  SDM, "Default Treatment of SMI Delivery" and "... of RSM": an SMI
 * invalidates what VPID 0 tags, RSM what any VPID does.
 */
#include "oracle_machine.h"

using namespace tlbsan;

/* An L2 on an enlightened VMCS, where an ordinary one was used before. */
static Vmcs12 enlightened(uint16_t vpid)
{
	Vmcs12 evmcs;

	evmcs.known = true;
	evmcs.controls = 1 << 5;
	evmcs.vpid = vpid;
	return evmcs;
}

TEST(rsm_owes_a_flush_of_l1s_own)
{
	Machine m;

	m.enter_l1();
	m.smi();
	m.exit(EXIT_INTERRUPT);
	m.enter_l1();
	m.walk(guest_a, host_a);
	m.rsm();
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(rsm_owes_a_flush_of_every_vpid12)
{
	for (uint32_t vpid12 : { 0, 7 }) {
		Machine m;

		m.nest(vpid12, 0xb000);
		m.walk(guest_a, host_a);
		m.smi();
		m.rsm();
		m.enter_l2();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "stale other_page");
	}
}

/* The L2 does not run, and no other vpid12 has come between. */
TEST(rsm_into_l1_owes_a_flush_of_its_l2s)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] {
		m.smi();
		m.rsm();
		m.enter_l1();
	});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(rsm_that_was_flushed_is_no_report)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.smi();
	m.rsm();
	m.invvpid(1, vpid02);
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(rsm_owes_once)
{
	Machine m;

	m.nest(7, 0xb000);
	m.smi();
	m.rsm();
	m.enter_l2();
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(rsm_outside_smm_owes_nothing)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.rsm();
	m.registers.injects_ud = true;
	m.enter_l1();
	m.registers.injects_ud = false;
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(rsm_of_an_l2_owes_nothing)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.rsm();
	m.enter_l1();
	m.exit(EXIT_VMRESUME);
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(an_smi_owes_a_flush_of_l1s_own)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(guest_a, guest_a);
	m.smi();
	m.cr3 = 0xa000;
	m.walk(guest_b, guest_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(an_smi_of_an_l2_owes_a_flush_of_l1s_own_and_none_of_its_vpid12)
{
	for (bool of_l1 : { false, true }) {
		Machine m;

		m.ept = false;
		m.nest(7, 0);
		if (of_l1) {
			m.exit();
			m.enter_l1();
			m.walk(guest_a, guest_a);
			m.exit(EXIT_VMRESUME);
			m.enter_l2();
		} else {
			m.walk(guest_a, guest_a);
		}
		m.smi();
		m.cr3 = 0xa000;
		if (!of_l1) {
			m.exit(EXIT_INTERRUPT);
			m.enter_l2();
		}
		m.walk(guest_b, guest_b);
		CHECK_EQUAL(m.verdict(), of_l1 ? "stale other_page" : "guestowned other_page");
	}
}

/* An exit at the handler's first instruction: it is the same SMI. */
TEST(an_smi_owes_once)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.smi();
	m.walk(guest_a, guest_a);
	m.registers.at_smi_handler = true;
	m.exit(EXIT_INTERRUPT);
	m.enter_l1();
	m.registers.at_smi_handler = false;
	m.cr3 = 0xa000;
	m.walk(guest_b, guest_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

/* An L1 without VPID for its L2 sees a VM exit and a VM entry. */
TEST(smm_that_is_not_seen_is_an_exit_and_an_entry)
{
	for (uint32_t vpid12 : { 0, 7 }) {
		Machine m;

		m.nest(vpid12, 0xb000);
		m.walk(guest_a, host_a);
		m.exit(EXIT_INTERRUPT);
		m.enter_l1();
		m.exit(EXIT_INTERRUPT);
		m.enter_l2();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), vpid12 ? "guestowned other_page" : "stale other_page");
	}
}

TEST(rsm_leads_back_to_the_l2_of_an_enlightened_vmcs)
{
	Machine m;

	m.nest(3, 0);
	m.in_l1([&] { m.oracle.virtual_cpus().launches_evmcs(0, enlightened(1)); });
	m.smi();
	m.rsm();
	m.enter_l2();
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().launches_evmcs(0, enlightened(1)); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(after_rsm_an_ordinary_vmcs12_can_follow_an_enlightened_one)
{
	Machine m;

	m.nest(3, 0);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().launches_evmcs(0, enlightened(1)); });
	m.smi();
	m.rsm();
	m.enter_l2();
	m.invvpid(1, vpid02);
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

/* Neither RSM nor L1's VM entry: which enlightened VMCS was it? */
TEST(an_l2_whose_state_was_set_after_an_enlightened_vmcs_is_unknown)
{
	Machine m;

	m.nest(3, 0);
	m.in_l1([&] { m.oracle.virtual_cpus().launches_evmcs(0, enlightened(1)); });
	m.exit(EXIT_INTERRUPT);
	m.enter_l1();
	m.exit(EXIT_INTERRUPT);
	m.enter_l2();
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().launches_evmcs(0, enlightened(1)); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(rsm_into_an_l2_whose_state_was_set_leaves_it_unknown)
{
	Machine m;

	m.nest(7, 0);
	m.exit(EXIT_INTERRUPT);
	m.levels.cleared({ vmcs02 });
	m.levels.cleared({ vmcs02 });
	m.enter_l2();
	m.smi();
	m.rsm();
	m.enter_l2();
	CHECK(!m.oracle.virtual_cpus().context(0).known);
}

/* SMM has an EPT of its own: what it makes of an address is no one else's. */
TEST(the_memory_of_smm_is_another_under_the_same_address)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.smi();
	m.walk(guest_a, host_b);
	m.rsm();
	m.invept(1, root01);
	m.enter_l1();
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(the_memory_of_smm_under_the_ept_of_its_guest_is_a_report)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit(EXIT_INTERRUPT);
	m.enter_l1();
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}
