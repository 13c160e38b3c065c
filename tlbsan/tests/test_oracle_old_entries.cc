/* SPDX-License-Identifier: GPL-2.0 */
/* Several entries of one address: a CPU that still has the old one does not walk. */
#include "oracle_machine.h"

using namespace tlbsan;

/* The guest executes INVLPG, which leaves to the hypervisor. */
static void invlpg(Machine &m, bool carried_out = false)
{
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit(EXIT_INVLPG);
	if (carried_out)
		m.invvpid(0, vpid01, linear);
	m.enter_l1();
}

static void reads_only(Machine &m, bool user = true)
{
	Walk walk = m.a_walk(guest_a, host_a);

	walk.allowed.write = false;
	walk.user = user;
	m.oracle.walked(walk);
}

/* It writes, perhaps after a read, and the tables no longer allow it. */
static std::string writes(Machine &m, bool reads)
{
	if (reads)
		reads_only(m);
	m.fault({ .write = true }, true);
	return m.verdict();
}

/* L1 gives its L2, which has used the page, another vpid12. */
static void other_vpid12(Machine &m)
{
	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().vmwrite(0, 0, 8); });
}

static void sets_dirty(Machine &m)
{
	Walk walk = m.a_walk(guest_a, host_a);

	walk.sets_dirty = true;
	m.oracle.walked(walk);
}

TEST(what_is_used_before_the_guests_flush_hides_no_lost_flush)
{
	for (bool carried_out : { false, true }) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "guestowned other_page");
		invlpg(m, carried_out);
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), carried_out ? "" : "stale other_page");
	}
}

TEST(a_page_fault_before_the_guests_flush_hides_no_lost_flush)
{
	for (bool carried_out : { false, true }) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		m.fault({}, true);
		CHECK_EQUAL(m.verdict(), "guestowned page_fault");
		invlpg(m, carried_out);
		m.fault({}, true);
		CHECK_EQUAL(m.verdict(), carried_out ? "" : "stale page_fault");
	}
}

TEST(a_table_used_before_the_guests_flush_hides_no_lost_flush)
{
	for (bool carried_out : { false, true }) {
		Machine m;
		Walk walk = m.a_walk(guest_a, host_a);

		m.enter_l1();
		walk.at = m.place();
		walk.tables = { .entry = { guest_a | 3, 0x7003 }, .read = 3 };
		m.oracle.walked(walk);
		walk.linear += 0x1000;
		walk.tables.entry[1] = 0x8003;
		m.oracle.walked(walk);
		CHECK_EQUAL(m.verdict(), "guestowned other_table");
		invlpg(m, carried_out);
		walk.linear += 0x1000;
		m.oracle.walked(walk);
		CHECK_EQUAL(m.verdict(), carried_out ? "" : "stale other_table");
	}
}

TEST(the_guests_own_is_noted_once)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	for (int i = 0; i < 3; i++)
		m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(a_lost_flush_is_reported_once)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.walk(guest_b, host_b);
	invlpg(m);
	for (int i = 0; i < 3; i++)
		m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page, stale other_page");
}

/* A fault by which the entry would have been used is one that invalidated it. */
TEST(a_page_fault_takes_away_what_does_not_allow_the_access)
{
	Machine m;

	m.enter_l1();
	reads_only(m);
	m.fault({ .write = true }, true);
	invlpg(m);
	m.fault({}, true);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_read_hides_no_lost_flush_of_the_right_to_write)
{
	for (bool reads : { false, true }) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		invlpg(m);
		CHECK_EQUAL(writes(m, reads), "stale page_fault");
	}
}

TEST(a_read_hides_no_lost_flush_of_the_dirty_flag)
{
	for (bool reads : { false, true }) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		invlpg(m);
		if (reads)
			reads_only(m);
		sets_dirty(m);
		CHECK_EQUAL(m.verdict(), "stale dirty");
	}
}

TEST(a_flush_before_the_read_takes_the_right_to_write_away)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	invlpg(m, true);
	reads_only(m);
	m.fault({ .write = true }, true);
	reads_only(m);
	sets_dirty(m);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_read_hides_no_right_that_another_virtual_cpu_had)
{
	for (bool reads : { false, true }) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		m.exit();
		m.enter(other_vmcs, vpid01, root01);
		CHECK_EQUAL(writes(m, reads), "stale page_fault");
	}
}

TEST(a_read_hides_no_right_that_another_vpid12_had)
{
	for (bool reads : { false, true }) {
		Machine m;

		other_vpid12(m);
		CHECK_EQUAL(writes(m, reads), "stale page_fault");
	}
}

TEST(a_read_of_the_kernel_hides_no_user_page_that_another_vpid12_had)
{
	for (bool reads : { false, true }) {
		Machine m;

		other_vpid12(m);
		if (reads)
			reads_only(m, false);
		m.fault({}, true);
		CHECK_EQUAL(m.verdict(), "stale page_fault");
	}
}

/* A later walk that finds the same with all rights replaces the older. */
TEST(the_same_with_all_rights_is_as_old_as_its_newest_walk)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	invlpg(m);
	m.walk(guest_a, host_a);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}
