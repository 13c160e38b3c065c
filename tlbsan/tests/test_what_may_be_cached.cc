/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SDM 29.4.1, "Information that may be cached", and 29.4.2, "Creating and using
 * cached translation information", a test for each of their sentences.  What
 * invalidates (29.4.3.1) is in test_invalidations.cc, what need not (29.4.3.2) at
 * the end of this file.
 */
#include "oracle_machine.h"

using namespace tlbsan;

/* Read under one tag, contradicted under another: nothing is known there. */
static std::string read_then_found(Machine &m, uint16_t vpid, uint64_t root)
{
	m.walk(guest_a, host_a);
	m.exit();
	m.enter(vmcs01, vpid, root);
	m.walk(guest_a, host_b);
	return m.verdict();
}

TEST(linear_mappings_are_of_a_vpid_and_pcid)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(host_a, host_a);
	m.pcid = 1;
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
	m.pcid = 0;
	m.exit();
	m.enter(vmcs01, vpid01 + 1, 0);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
	m.exit();
	m.enter(vmcs01, vpid01, 0);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(combined_mappings_are_of_a_vpid_pcid_and_ep4ta)
{
	Machine same, other_vpid, other_root;

	same.enter_l1();
	CHECK_EQUAL(read_then_found(same, vpid01, root01), "stale other_host_page");
	other_vpid.enter_l1();
	CHECK_EQUAL(read_then_found(other_vpid, vpid02, root01), "");
	other_root.enter_l1();
	CHECK_EQUAL(read_then_found(other_root, vpid01, root02), "");
}

TEST(guest_physical_mappings_are_of_an_ep4ta)
{
	for (uint64_t root : { root01, root02 }) {
		Machine m;
		EptWalk walk;

		m.enter_l1();
		walk.at = m.place();
		walk.guest = guest_a;
		walk.host = host_a;
		m.oracle.ept_walked(walk);
		m.exit();
		m.enter(vmcs01, vpid02, root);
		walk.at = m.place();
		walk.host = host_b;
		m.oracle.ept_walked(walk);
		CHECK_EQUAL(m.verdict(), root == root01 ? "stale guest_physical" : "");
	}
}

TEST(paging_structure_entries_are_of_a_vpid_pcid_and_ep4ta)
{
	for (uint16_t vpid : { vpid01, vpid02 }) {
		Machine m;
		Walk walk;

		m.enter_l1();
		walk = m.a_walk(guest_a, host_a);
		walk.tables.entry[1] = 0x3000 | 1;
		walk.tables.read = 3;
		m.oracle.walked(walk);
		m.exit();
		m.enter(vmcs01, vpid, root01);
		walk.at = m.place();
		walk.tables.entry[1] = 0x4000 | 1;
		m.oracle.walked(walk);
		CHECK_EQUAL(m.verdict(), vpid == vpid01 ? "guestowned other_table" : "");
	}
}

TEST(ept_paging_structure_entries_are_of_an_ep4ta)
{
	for (uint64_t root : { root01, root02 }) {
		Machine m;
		EptWalk walk;

		m.enter_l1();
		walk.at = m.place();
		walk.guest = guest_a;
		walk.host = host_a;
		walk.tables.entry[1] = 0x3000 | 7;
		walk.tables.read = 3;
		m.oracle.ept_walked(walk);
		m.exit();
		m.enter(vmcs01, vpid01, root);
		walk.at = m.place();
		walk.tables.entry[1] = 0x4000 | 7;
		m.oracle.ept_walked(walk);
		CHECK_EQUAL(m.verdict(), root == root01 ? "stale ept_table" : "");
	}
}

TEST(a_combined_mapping_is_used_with_ept_only)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.ept = false;
	m.enter(vmcs01, vpid01, 0);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_linear_mapping_is_used_without_ept_only)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(host_a, host_a);
	m.exit();
	m.ept = true;
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

/* 29.4.2: "with the current PCID", and global translations with any. */
TEST(a_global_combined_mapping_is_used_with_any_pcid)
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

TEST(what_one_cpu_cached_another_does_not_use)
{
	Machine m;

	m.enter_l1(0);
	m.walk(guest_a, host_a, 0);
	m.exit(EXIT_VMCALL, 0);
	m.enter_l1(1);
	m.walk(guest_a, host_b, 1);
	CHECK_EQUAL(m.verdict(), "");
}

/* 29.4.3.2, "Operations that need not invalidate": VM entries and exits with VPID. */
TEST(vm_transitions_with_vpid_need_not_invalidate)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.enter(other_vmcs, 9, root02);
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}

/* VMXOFF, VMXON, VMCLEAR and VMPTRLD invalidate nothing. */
TEST(vmclear_and_vmptrld_need_not_invalidate)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.levels.cleared({ .vmcs = vmcs01 });
	m.levels.loaded({ .vmcs = vmcs01, .previous = 0, .previous_vpid = 0 });
	m.enter_l1();
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}
