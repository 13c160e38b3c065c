/* SPDX-License-Identifier: GPL-2.0 */
/* Each kind of report on the guest-physical side, and what comes close to it. */
#include "oracle_machine.h"

using namespace tlbsan;

static EptWalk ept_walk(const Machine &m, uint64_t guest, uint64_t host)
{
	return { .at = m.place(), .guest = guest, .host = host,
		 .allowed = { .write = true, .execute = true } };
}

static EptRefusal ept_refusal(const Machine &m, uint64_t guest, const Rights &wanted)
{
	return { .at = m.place(), .guest = guest, .wanted = wanted };
}

/* What a page whose EPT entry allowed this may be reported for. */
static std::string refused(const Rights &allowed, const Rights &wanted)
{
	Machine m;
	EptWalk walk;

	m.enter_l1();
	walk = ept_walk(m, guest_a, host_a);
	walk.allowed = allowed;
	m.oracle.ept_walked(walk);
	m.oracle.ept_refused(ept_refusal(m, guest_a, wanted));
	return m.verdict();
}

TEST(an_execute_only_page_that_is_read_is_no_report)
{
	for (bool readable : { false, true }) {
		Rights allowed = { .read = readable, .write = false, .execute = true };

		CHECK_EQUAL(refused(allowed, {}), readable ? "stale ept_refusal" : "");
	}
}

TEST(an_execute_needs_no_right_to_read)
{
	Rights execute_only = { .read = false, .write = false, .execute = true };

	CHECK_EQUAL(refused(execute_only, execute_only), "stale ept_refusal");
}

TEST(finding_guest_physical)
{
	Machine m;

	m.enter_l1();
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	m.invvpid(1, vpid01);		/* not for guest-physical mappings */
	m.oracle.ept_walked(ept_walk(m, guest_a, host_b));
	CHECK_EQUAL(m.verdict(), "stale guest_physical");
	m.invept(2);
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_guest_physical_mapping_serves_every_vpid_of_its_ep4ta)
{
	Machine m;

	m.enter_l1();
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	m.exit();
	m.enter(other_vmcs, 9, root01);
	m.oracle.ept_walked(ept_walk(m, guest_a, host_b));
	CHECK_EQUAL(m.verdict(), "stale guest_physical");
	m.exit();
	m.enter(other_vmcs, 9, root02);
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_ept_dirty)
{
	Machine m;
	EptWalk write;

	m.enter_l1();
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	write = ept_walk(m, guest_a, host_a);
	write.sets_dirty = true;
	m.oracle.ept_walked(write);
	CHECK_EQUAL(m.verdict(), "stale ept_dirty");
	m.invept(1, root01);
	m.oracle.ept_walked(write);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_ept_refusal)
{
	Machine m;

	m.enter_l1();
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	m.oracle.ept_refused(ept_refusal(m, guest_a, { .write = true }));
	CHECK_EQUAL(m.verdict(), "stale ept_refusal");
	m.oracle.ept_refused(ept_refusal(m, guest_a, { .write = true }));
	CHECK_EQUAL(m.verdict(), "");
}

/* Of an entry that allows nothing, by the guest that is entered. */
static EptWalk walk_in_vain(Machine &m)
{
	m.enter_l1();

	EptWalk walk = ept_walk(m, guest_a, host_a);

	walk.allowed = {};
	m.oracle.ept_walked(walk);
	return walk;
}

TEST(an_ept_refusal_that_the_old_entry_would_raise_too_is_none)
{
	Machine m;
	EptWalk walk = walk_in_vain(m);

	m.oracle.ept_refused(ept_refusal(m, guest_a, { .write = true }));
	m.oracle.ept_walked(walk);
	m.oracle.ept_refused(ept_refusal(m, guest_a, { .execute = true }));
	CHECK_EQUAL(m.verdict(), "");
}

/* It invalidates nothing: an old entry that does not allow this access may allow the next. */
TEST(an_ept_misconfiguration_forgets_nothing)
{
	for (bool misconfiguration : { false, true }) {
		Machine m;
		EptRefusal refusal;

		walk_in_vain(m);
		refusal = ept_refusal(m, guest_a, { .write = true });
		refusal.misconfiguration = misconfiguration;
		m.oracle.ept_refused(refusal);
		m.oracle.ept_walked(ept_walk(m, guest_a, host_b));
		CHECK_EQUAL(m.verdict(), misconfiguration ? "stale guest_physical" : "");
	}
}

TEST(an_ept_misconfiguration_forgets_no_linear_address)
{
	for (bool misconfiguration : { false, true }) {
		Machine m;
		Walk walk;
		EptRefusal refusal;

		m.enter_l1();
		walk = m.a_walk(guest_a, host_a);
		walk.allowed = {};
		walk.tables.entry[1] = 0x70007;
		walk.tables.read = 3;
		m.oracle.walked(walk);
		refusal = ept_refusal(m, guest_a, { .write = true });
		refusal.linear = linear;
		refusal.linear_valid = true;
		refusal.misconfiguration = misconfiguration;
		m.oracle.ept_refused(refusal);
		walk.tables.entry[1] = 0x80007;
		walk.host = host_b;
		m.oracle.walked(walk);
		CHECK_EQUAL(m.verdict(), misconfiguration ?
				    "guestowned other_table, stale other_host_page" : "");
	}
}

TEST(invvpid_does_not_do_for_an_apic_access_page_with_ept)
{
	for (bool invept : { false, true }) {
		Machine m;

		m.enter_l1();
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		m.invvpid(1, vpid01);
		if (invept)
			m.invept(1, root01);
		m.apic_page = host_b;
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		CHECK_EQUAL(m.verdict(), "");
		m.apic_page = host_a;
		if (invept)
			m.invept(1, root01);
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		CHECK_EQUAL(m.verdict(), invept ? "" : "stale apic_access");
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		CHECK_EQUAL(m.verdict(), "");
	}
}

/* It is L1's, and so is the EPT. */
TEST(an_apic_access_page_of_an_l2_with_ept_is_none_of_the_hypervisors)
{
	Machine m;

	m.nest(7, 0xb05e);
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	m.apic_page = host_a;
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	CHECK_EQUAL(m.verdict(), "");
}

/* The page is L1's, and L1 has no EPT to invalidate. */
TEST(invvpid_does_not_do_for_an_apic_access_page_of_an_l2_without_ept)
{
	for (bool invept : { false, true }) {
		Machine m;

		m.nest(7, 0);
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		m.invvpid(1, vpid02);
		m.apic_page = host_a;
		if (invept)
			m.invept(1, root02);
		m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
		CHECK_EQUAL(m.verdict(), invept ? "" : "stale apic_access");
	}
}

TEST(an_ept_refusal_is_one_report_and_forgets_the_linear_address)
{
	Machine m;
	EptRefusal refusal;

	m.enter_l1();
	m.oracle.ept_walked(ept_walk(m, guest_a, host_a));
	m.walk(guest_a, host_a);
	refusal = ept_refusal(m, guest_a, { .write = true });
	refusal.linear = linear;
	refusal.linear_valid = true;
	m.oracle.ept_refused(refusal);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale ept_refusal");
}

TEST(an_ept_refusal_shows_a_table_that_is_gone)
{
	Machine m;
	EptWalk walk;
	EptRefusal refusal;

	m.enter_l1();
	walk = ept_walk(m, guest_a, host_a);
	walk.tables.entry[1] = 0x70007;
	walk.tables.read = 3;
	m.oracle.ept_walked(walk);
	refusal = ept_refusal(m, guest_a + 0x1000, {});
	refusal.tables.read = 2;
	m.oracle.ept_refused(refusal);
	CHECK_EQUAL(m.verdict(), "stale ept_table");
	m.oracle.ept_refused(refusal);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_guest_physical_finding_is_made_once)
{
	Machine m;
	EptWalk walk;

	m.enter_l1();
	walk = ept_walk(m, guest_a, host_a);
	walk.shift = 21;
	m.oracle.ept_walked(walk);
	m.oracle.ept_walked(ept_walk(m, guest_a, host_b));
	CHECK_EQUAL(m.verdict(), "stale guest_physical");
	m.oracle.ept_walked(ept_walk(m, guest_a, host_b));
	CHECK_EQUAL(m.verdict(), "");
}

TEST(finding_ept_refusal_of_a_combined_mapping)
{
	Machine m;
	EptRefusal refusal;

	m.enter_l1();
	m.walk(guest_a, host_a);
	refusal = ept_refusal(m, guest_a + 0x123, { .write = true });
	refusal.linear = linear;
	refusal.linear_valid = true;
	m.oracle.ept_refused(refusal);
	CHECK_EQUAL(m.verdict(), "stale ept_refusal");
	m.walk(guest_a, host_a);
	refusal.guest = guest_b;	/* the guest's table leads elsewhere */
	m.oracle.ept_refused(refusal);
	CHECK_EQUAL(m.verdict(), "guestowned ept_refusal");
	m.walk(guest_a, host_a);
	refusal.page_walk = true;	/* not the access itself */
	m.oracle.ept_refused(refusal);
	CHECK_EQUAL(m.verdict(), "");
}

/* SDM 29.4.3.1: only if the address refused is the translation of the linear address. */
TEST(an_ept_refusal_of_a_page_table_forgets_no_linear_address)
{
	Machine m;
	EptRefusal refusal;

	m.enter_l1();
	m.walk(guest_a, host_a);
	refusal = ept_refusal(m, guest_b, {});
	refusal.linear = linear;
	refusal.linear_valid = true;
	refusal.page_walk = true;
	m.oracle.ept_refused(refusal);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(finding_ept_table)
{
	Machine m;
	EptWalk walk;

	m.enter_l1();
	walk = ept_walk(m, guest_a, host_a);
	walk.tables.entry[1] = 0x70007;
	walk.tables.read = 3;
	m.oracle.ept_walked(walk);
	walk.tables.entry[1] = 0x80007;
	m.oracle.ept_walked(walk);
	CHECK_EQUAL(m.verdict(), "stale ept_table");
	walk.tables.read = 2;		/* the entry is a page now */
	m.invept(1, root01);
	m.oracle.ept_walked(walk);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(an_ept_violation_forgets_the_tables_of_its_address)
{
	for (bool misconfiguration : { false, true }) {
		for (bool same_address : { false, true }) {
			Machine m;
			EptWalk walk;
			EptRefusal refusal;
			bool forgets = same_address && !misconfiguration;

			m.enter_l1();
			walk = ept_walk(m, guest_a, host_a);
			walk.tables.entry[1] = 0x70007;
			walk.tables.read = 3;
			m.oracle.ept_walked(walk);
			refusal = ept_refusal(m, same_address ? guest_a + 0x1000 : guest_b, {});
			refusal.misconfiguration = misconfiguration;
			if (same_address)
				refusal.tables = walk.tables;
			m.oracle.ept_refused(refusal);
			walk.tables.entry[1] = 0x80007;
			m.oracle.ept_walked(walk);
			CHECK_EQUAL(m.verdict(), forgets ? "" : "stale ept_table");
		}
	}
}
