/* SPDX-License-Identifier: GPL-2.0 */
/* Each kind of report, and what comes close to it and is none. */
#include "oracle_machine.h"

using namespace tlbsan;

TEST(finding_other_host_page)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
	m.invept(1, root01);
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(invvpid_does_for_a_combined_mapping_of_another_host_page)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.invvpid(1, vpid01);
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_large_page_is_found_from_each_of_its_parts)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	walk = m.a_walk(0x200000 | (linear & 0x1ff000), 0x5400000 | (linear & 0x1ff000));
	walk.shift = 21;
	m.oracle.walked(walk);
	walk = m.a_walk(0x200000, 0x5400000);
	walk.linear = linear & ~uint64_t(0x1fffff);
	m.oracle.walked(walk);
	CHECK_EQUAL(m.verdict(), "");
	walk.host = 0x5600000;
	m.oracle.walked(walk);
	/* the large one and the small one next to it */
	CHECK_EQUAL(m.verdict(), "stale other_host_page, stale other_host_page");
}

TEST(a_global_translation_serves_every_pcid)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	walk = m.a_walk(guest_a, host_a);
	walk.global = true;
	m.oracle.walked(walk);
	m.pcid = 5;
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(another_pcid_has_its_own_translations)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.pcid = 5;
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_other_page_in_a_shadow_table)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(host_a, host_a);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
	m.cr3 = 0xa000;		/* another shadow root, perhaps another CR3 of the guest */
	m.walk(host_a, host_a);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(finding_dirty)
{
	for (bool flush : { false, true }) {
		Machine m;
		Walk walk = m.a_walk(guest_a, host_a);

		m.enter_l1();
		walk = m.a_walk(guest_a, host_a);
		m.oracle.walked(walk);
		if (flush)
			m.executes(Scope::address, linear);
		walk.sets_dirty = true;
		m.oracle.walked(walk);
		CHECK_EQUAL(m.verdict(), flush ? "" : "guestowned dirty");
	}
}

TEST(a_dirty_flag_that_no_write_found_set_is_none)
{
	Machine m;

	m.enter_l1();

	Walk walk = m.a_walk(guest_a, host_a);

	walk.allowed.write = false;
	m.oracle.walked(walk);
	walk.sets_dirty = true;
	m.oracle.walked(walk);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_page_fault)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.fault({ .write = true }, true);
	CHECK_EQUAL(m.verdict(), "guestowned page_fault");
	m.fault({ .write = true }, true);	/* the fault itself invalidated it */
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_page_fault_that_the_old_entry_would_raise_too_is_none)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	walk = m.a_walk(guest_a, host_a);
	walk.allowed = {};
	m.oracle.walked(walk);
	m.fault({ .write = true }, true);
	CHECK_EQUAL(m.verdict(), "");
	m.oracle.walked(walk);
	m.fault({ .execute = true }, true);
	CHECK_EQUAL(m.verdict(), "");
	walk.user = false;
	m.oracle.walked(walk);
	m.fault({}, true);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_page_fault_by_smap_is_none)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.faulted({ .at = m.place(), .linear = linear, .user_pages_barred = true });
	CHECK_EQUAL(m.verdict(), "");
	walk = m.a_walk(guest_a, host_a);
	walk.user = false;		/* SMAP and SMEP bar user pages only */
	m.oracle.walked(walk);
	m.oracle.faulted({ .at = m.place(), .linear = linear, .user_pages_barred = true });
	CHECK_EQUAL(m.verdict(), "guestowned page_fault");
}

TEST(a_page_fault_finds_a_right_to_execute)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.fault({ .execute = true }, true);
	CHECK_EQUAL(m.verdict(), "guestowned page_fault");
}

TEST(a_page_fault_finds_and_forgets_a_global_translation)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	walk = m.a_walk(guest_a, host_a);
	walk.global = true;
	m.oracle.walked(walk);
	m.fault();
	CHECK_EQUAL(m.verdict(), "guestowned page_fault");
	m.fault();
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_finding_is_made_once)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	walk = m.a_walk(guest_a, host_a);
	walk.shift = 21;
	m.oracle.walked(walk);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(an_old_right_to_write_outlives_a_walk_without_it)
{
	Machine m;
	Walk walk;

	m.enter_l1();
	m.walk(guest_a, host_a);
	walk = m.a_walk(guest_a, host_a);
	walk.allowed.write = false;
	m.oracle.walked(walk);
	m.fault({ .write = true }, true);
	CHECK_EQUAL(m.verdict(), "guestowned page_fault");
	m.walk(guest_a, host_a);
	m.executes(Scope::address, linear);
	m.oracle.walked(walk);
	m.fault({ .write = true }, true);
	CHECK_EQUAL(m.verdict(), "");
}

/* A walk through a page directory entry at level 1. */
static Walk through(const Machine &m, uint64_t directory_entry)
{
	Walk walk = m.a_walk(guest_a, host_a);

	walk.tables.entry[1] = directory_entry;
	walk.tables.entry[0] = guest_a | 1;
	walk.tables.read = 3;
	return walk;
}

TEST(finding_other_table)
{
	Machine m;

	m.enter_l1();
	m.oracle.walked(through(m, 0x70001));
	m.oracle.walked(through(m, 0x70021));
	CHECK_EQUAL(m.verdict(), "");
	m.oracle.walked(through(m, 0x80001));
	CHECK_EQUAL(m.verdict(), "guestowned other_table");
	m.executes(Scope::address, 0);	/* INVLPG: paging-structure caches of all addresses */
	m.oracle.walked(through(m, 0x70001));
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_page_fault_forgets_the_tables_of_its_address)
{
	Machine m;

	m.enter_l1();
	m.oracle.walked(through(m, 0x70001));
	m.executes(Scope::pcid_address, linear);
	m.oracle.walked(through(m, 0x70001));
	m.fault();
	m.reports.clear();
	m.oracle.walked(through(m, 0x80001));
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_no_table)
{
	Machine m;
	PageFault fault;

	m.enter_l1();
	m.oracle.walked(through(m, 0x70001));
	m.executes(Scope::address, linear);
	m.oracle.walked(through(m, 0x70001));
	fault = { .at = m.place(), .linear = linear + 0x1000 };
	fault.tables.read = 2;
	m.oracle.faulted(fault);
	CHECK_EQUAL(m.verdict(), "guestowned no_table");
}

TEST(a_reset_forgets_everything)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.reset(0);
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(walks_are_counted)
{
	Machine m;
	EptWalk walk;

	m.enter_l1();
	m.walk(guest_a, host_a);
	walk.at = m.place();
	m.oracle.ept_walked(walk);
	CHECK_EQUAL(m.oracle.take_account().walks, 2u);
	CHECK_EQUAL(m.oracle.take_account().walks, 0u);
}

/* SMAP */
TEST(ac_lets_a_supervisor_access_user_pages_but_not_implicitly)
{
	CHECK(smap_bars(0, false));
	CHECK(!smap_bars(0, true));
	CHECK(smap_bars(3, false));
	CHECK(smap_bars(3, true));
}

TEST(finding_apic_access)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.apic_page = host_b;
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
	m.apic_page = host_a;
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "stale apic_access");
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(invept_does_for_an_apic_access_page_that_is_turned_on)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.apic_page = host_a;
	m.oracle.invept(0, { 1, root01, 0 });
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}

/* L1 turns on that of its L2, and must flush. */
TEST(an_apic_access_page_of_an_l2_is_l1s)
{
	Machine m;

	m.nest(7, 0);
	m.walk(guest_a, host_a);
	m.apic_page = host_a;
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "guestowned apic_access");
}
