/* SPDX-License-Identifier: GPL-2.0 */
/* Findings whose flush may still follow, because another CPU changes the tables. */
#include "oracle_machine.h"

using namespace tlbsan;

TEST(a_flush_that_follows_clears_a_suspect)
{
	Machine m;

	m.defers_a_report();
	m.exit();
	m.invept(2);
	m.enter_l1();
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_flush_of_something_else_clears_no_suspect)
{
	Machine m;

	m.defers_a_report();
	m.exit();
	m.invept(1, root02);
	m.enter_l1();
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}

TEST(a_flush_on_another_cpu_clears_no_suspect)
{
	Machine m;

	m.defers_a_report();
	m.exit();
	m.invept(2, 0, 1);
	m.enter_l1();
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}

TEST(a_suspect_waits_for_a_while)
{
	Machine m;

	m.defers_a_report();
	for (int i = 0; i < 3; i++) {
		m.exit();
		m.instructions += Oracle::patience / 4;
		m.enter_l1();
		CHECK(m.reports.empty());
	}
	m.exit();
	m.invvpid(2);
	m.enter_l1();
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_suspect_waits_for_its_own_tag)
{
	Machine m;

	m.defers_a_report();
	m.exit();
	m.instructions += Oracle::patience;
	m.enter(other_vmcs, 9, root02);
	CHECK(m.reports.empty());
	m.exit();
	m.invept(1, root01);
	m.enter_l1();
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_suspect_of_a_shadow_table_waits_for_its_vpid)
{
	for (bool flush : { false, true }) {
		Machine m;

		m.ept = false;
		m.enter_l1();
		m.walk(host_a, host_a);
		m.fault();
		m.exit();
		m.instructions += Oracle::patience;
		m.enter(other_vmcs, 9, 0);
		CHECK(m.reports.empty());
		m.exit();
		if (flush)
			m.invvpid(1, vpid01);
		m.enter_l1();
		CHECK_EQUAL(m.verdict(), flush ? "" : "stale page_fault");
	}
}

TEST(a_promise_to_the_guest_itself_waits_for_nothing)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit(EXIT_INVLPG);
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.reports.size(), 1u);
}

/* A deferred report, its guest perhaps entered again, and its flush perhaps executed. */
static void leave_suspect(Machine &m, bool entered, bool flushed)
{
	m.defers_a_report();
	m.exit();
	if (entered) {
		m.enter_l1();
		m.exit();
	}
	if (flushed)
		m.invept(2);
}

TEST(a_suspect_is_reported_when_its_step_ends)
{
	for (bool entered : { false, true }) {
		for (bool flushed : { false, true }) {
			Machine m;

			leave_suspect(m, entered, flushed);
			m.oracle.settle_all();
			CHECK_EQUAL(m.reports.size(), entered && !flushed ? 1u : 0u);
		}
	}
}

TEST(a_deferred_report_whose_guest_never_runs_again_is_counted)
{
	Machine m;

	m.defers_a_report();
	m.exit();
	m.oracle.settle_all();
	CHECK_EQUAL(m.oracle.take_account().dropped, 1u);
	CHECK_EQUAL(m.oracle.take_account().dropped, 0u);
}

TEST(a_reset_of_its_cpu_ends_a_suspect_like_the_end_of_a_step)
{
	for (bool entered : { false, true }) {
		for (bool flushed : { false, true }) {
			Machine m;

			leave_suspect(m, entered, flushed);
			m.oracle.reset(1);
			CHECK_EQUAL(m.reports.size(), 0u);
			m.oracle.reset(0);
			CHECK_EQUAL(m.reports.size(), entered && !flushed ? 1u : 0u);
			CHECK_EQUAL(m.oracle.take_account().dropped, entered || flushed ? 0u : 1u);
		}
	}
}
