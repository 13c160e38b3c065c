/* SPDX-License-Identifier: GPL-2.0 */
/* Whether an old translation of an L1 is a hypervisor bug. */
#include "oracle_machine.h"

using namespace tlbsan;

TEST(an_unchanged_translation_is_no_report)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_guest_that_changes_its_own_table_owes_the_flush)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(a_guest_that_flushes_itself_is_no_report)
{
	Machine m;

	m.enter_l1();
	for (Scope scope : { Scope::address, Scope::pcid_address, Scope::pcid,
			     Scope::pcid_and_globals, Scope::all, Scope::all_but_globals }) {
		m.walk(guest_a, host_a);
		m.executes(scope, linear);
		m.walk(guest_b, host_b);
		m.executes(scope, linear);
	}
	CHECK_EQUAL(m.verdict(), "");
}

TEST(a_flush_left_to_the_hypervisor_is_its_debt)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit(EXIT_INVLPG);
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(a_flush_left_to_the_hypervisor_and_done_is_no_report)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit(EXIT_INVLPG);
	m.invvpid(0, vpid01, linear);
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(another_vpid_flushed_is_the_debt_still)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::pcid, 0, 0 });
	m.exit(EXIT_CR_ACCESS);
	m.invvpid(1, vpid02);
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(a_flush_on_another_cpu_leaves_the_entry_on_this_one)
{
	Machine m;

	m.enter_l1(0);
	m.walk(guest_a, host_a, 0);
	m.exit(EXIT_VMCALL, 0);
	m.enter_l1(1);
	m.executes(Scope::address, linear, 1);
	m.walk(guest_b, host_b, 1);
	CHECK_EQUAL(m.verdict(), "");
	m.exit(EXIT_VMCALL, 1);
	m.enter_l1(0);
	m.walk(guest_b, host_b, 0);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(a_vpid_that_passes_to_another_virtual_cpu_owes_a_flush)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.enter(other_vmcs, vpid01, root01);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(a_vmcs_made_anew_is_another_virtual_cpu)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.levels.cleared({ vmcs01 });
	m.levels.cleared({ vmcs01 });
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(cr0_pg_cleared_and_cr4_pge_toggled_by_a_vm_exit_owe_a_flush)
{
	for (int bit : { 31, 7 }) {
		Machine m;

		m.registers = { .cr0 = 1u << 31, .cr3 = 0x9000, .cr4 = 1 << 7 };
		m.enter_l1();
		m.walk(guest_a, host_a);
		m.exit(EXIT_CR_ACCESS);
		(bit == 31 ? m.registers.cr0 : m.registers.cr4) = 0;
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "stale other_page");
	}
}

TEST(init_owes_a_flush_and_an_smi_does_not)
{
	for (bool init : { false, true }) {
		Machine m;

		m.registers = { .cr0 = 1u << 31, .cr3 = 0x9000 };
		m.enter_l1();
		m.walk(guest_a, host_a);
		m.exit();
		m.registers.cr0 = 0;
		m.registers.cr3 = init ? 0 : 0x9000;
		m.enter_l1();
		m.exit();
		m.registers = { .cr0 = 1u << 31, .cr3 = 0x9000 };
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), init ? "stale other_page" : "guestowned other_page");
	}
}

TEST(cr4_smep_set_by_a_vm_exit_owes_a_flush_and_cleared_does_not)
{
	for (bool set : { true, false }) {
		Machine m;

		m.registers.cr4 = set ? 0 : 1 << 20;
		m.enter_l1();
		m.walk(guest_a, host_a);
		m.exit(EXIT_CR_ACCESS);
		m.registers.cr4 = set ? 1 << 20 : 0;
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), set ? "stale other_page" : "guestowned other_page");
	}
}

TEST(cr3_changed_by_the_hypervisor_owes_a_flush)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit();
	m.registers.cr3 = m.cr3 = 0xa000;
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(vm_entry_and_exit_without_vpid_flush)
{
	Machine m;

	m.ept = false;
	m.enter(vmcs01, 0, 0);
	m.walk(host_a, host_a);
	m.exit();
	m.enter(vmcs01, 0, 0);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

/* Either alone does: SDM 29.4.3.1 names both. */
TEST(vm_entry_without_vpid_flushes_by_itself)
{
	Machine m;

	m.ept = false;
	m.enter(vmcs01, 0, 0);
	m.walk(host_a, host_a);
	m.enter(other_vmcs, 0, 0);
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

TEST(vm_exit_without_vpid_flushes_by_itself)
{
	Machine m;

	m.ept = false;
	m.enter(vmcs01, 0, 0);
	m.walk(host_a, host_a);
	m.exit();
	m.walk(host_b, host_b);
	CHECK(m.reports.empty());
}

TEST(vm_entry_and_exit_with_vpid_flush_nothing)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(host_a, host_a);
	m.exit();
	m.enter_l1();
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(cr3_of_a_shadow_root_is_the_hypervisors_to_change)
{
	Machine m;

	m.ept = false;
	m.enter_l1();
	m.walk(host_a, host_a);
	m.exit();
	m.registers.cr3 = m.cr3 = 0xa000;
	m.enter_l1();
	m.walk(host_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(invvpid_of_each_type_clears_the_debt)
{
	for (unsigned type = 0; type < 4; type++) {
		Machine m;

		m.enter_l1();
		m.walk(guest_a, host_a);
		m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
		m.exit(EXIT_INVLPG);
		m.invvpid(type, vpid01, linear);
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "");
	}
}

TEST(what_was_swept_is_forgotten_and_no_more)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	for (uint64_t page = 0; page < 20000; page++)
		m.invvpid(0, vpid01, 0x10000000 + (page << 12));
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
	m.invvpid(0, vpid01, linear);
	for (uint64_t page = 0; page < 20000; page++)
		m.invvpid(0, vpid01, 0x10000000 + (page << 12));
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "");
}
