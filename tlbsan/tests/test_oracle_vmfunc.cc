/* SPDX-License-Identifier: GPL-2.0 */
/* L2's EPTP switching, and L2s whose context is not known. */
#include "oracle_machine.h"

using namespace tlbsan;

static const uint16_t EXIT_VMFUNC = 59;

static void list_eptps(Machine &m)
{
	VirtualCpus &vcpus = m.oracle.virtual_cpus();

	vcpus.vmwrite(0, 0x2018, 1);
	vcpus.vmwrite(0, 0x2024, 0xe000);
	CHECK_EQUAL(vcpus.eptp_list(0), 0xe000u);
	vcpus.has_eptp_list(0, { 0xb05e, 0xc05e });
}

/* The hypervisor gives the new eptp12 another root: what it knows of the old one stays apart. */
static void switches(Machine &m, uint64_t index, uint64_t root)
{
	m.oracle.virtual_cpus().switches_eptp(0, index);
	m.exit(EXIT_VMFUNC);
	m.enter(vmcs02, vpid02, root);
}

TEST(vmfunc_names_another_eptp12)
{
	Machine m;

	m.nest(7, 0xb05e);
	m.in_l1([&] { list_eptps(m); });
	m.walk(guest_a, host_a);
	switches(m, 1, root02);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
	switches(m, 0, root02);
	CHECK_EQUAL(m.oracle.virtual_cpus().context(0).ep4ta, 0xb000u);
}

TEST(vmfunc_owes_a_flush_with_vpid_off_only)
{
	for (uint32_t vpid12 : { 0, 7 }) {
		Machine m;

		m.nest(vpid12, 0xb05e);
		m.in_l1([&] { list_eptps(m); });
		m.walk(guest_a, host_a);
		switches(m, 0, root02);
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), vpid12 ? "guestowned other_page" : "stale other_page");
	}
}

TEST(vmfunc_beyond_the_list_changes_nothing)
{
	Machine m;

	m.nest(7, 0xb05e);
	m.in_l1([&] { list_eptps(m); });
	switches(m, 2, root02);
	CHECK_EQUAL(m.oracle.virtual_cpus().context(0).ep4ta, 0xb000u);
}

TEST(vmfunc_stays_with_the_vmcs12)
{
	Machine m;

	m.nest(7, 0xb05e);
	m.in_l1([&] { list_eptps(m); });
	switches(m, 1, root02);
	m.in_l1([] {});
	CHECK_EQUAL(m.oracle.virtual_cpus().context(0).ep4ta, 0xc000u);
}

/* L2 state that was restored: how L1 described it was not seen. */
static void restored(Machine &m)
{
	m.enter_l1();
	m.exit();
	m.enter_l2();
	m.walk(guest_a, host_a);
	CHECK(!m.oracle.virtual_cpus().context(0).known);
}

TEST(an_l2_that_was_restored_is_owed_its_own_flushes)
{
	Machine m;

	restored(m);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit();
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(an_l2_that_was_restored_is_judged_until_l1_runs)
{
	Machine m;

	restored(m);
	m.exit();
	m.enter_l1();
	m.exit();
	m.enter_l2();
	m.executes(Scope::address, linear + 0x1000);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit();
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

/* KVM_SET_NESTED_STATE while the virtual CPU is in L2: VMCS02 is made again. */
TEST(an_l2_set_in_the_place_of_another_uses_nothing_of_before)
{
	Machine m;

	m.nest(7, 0);
	m.walk(guest_a, host_a);
	m.exit();
	m.levels.cleared({ vmcs02 });
	m.levels.cleared({ vmcs02 });
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");

	/* What it read itself is its own again. */
	m.exit();
	m.enter_l2();
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

/* A change of CPU clears the VMCS, too, but once: it is the same L2. */
TEST(an_l2_that_moves_to_another_cpu_is_the_same)
{
	Machine m;

	m.nest(7, 0);
	m.walk(guest_a, host_a);
	m.exit();
	m.levels.cleared({ vmcs02 });
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}
