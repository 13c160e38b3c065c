/* SPDX-License-Identifier: GPL-2.0 */
/* Whether an old translation of an L2 is a hypervisor bug. */
#include "oracle_machine.h"

using namespace tlbsan;

TEST(l1_entry_without_vpid_owes_a_flush)
{
	Machine m;

	m.nest(0, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l1_entry_without_vpid_and_flushed_is_no_report)
{
	Machine m;

	m.nest(0, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.invvpid(1, vpid02); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "");
}

/* VPID and EPT off in vmcs12: L1 and L2 are one address space to the virtual CPU. */
TEST(l1_entry_without_vpid_owes_a_flush_of_l1s_own)
{
	Machine m;

	m.nest(0, 0);
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit(EXIT_VMRESUME);
	m.enter(vmcs02, vpid01, root01);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l1_exit_without_vpid_owes_a_flush)
{
	Machine m;

	m.nest(0, 0);
	m.exit();
	m.enter(vmcs02, vpid01, root01);
	m.walk(guest_a, host_a);
	m.exit();
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l1_exit_with_vpid_owes_nothing)
{
	Machine m;

	m.nest(7, 0xb000);
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_a);
	m.exit(EXIT_VMRESUME);
	m.enter_l2();
	m.exit();
	m.enter_l1();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(each_vmcs12_has_its_own_context)
{
	Machine m;
	VirtualCpus &vcpus = m.oracle.virtual_cpus();

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] {
		vcpus.vmptrld(0, 0xc000);
		vcpus.vmwrite(0, 0, 8);
		vcpus.vmwrite(0, 0x401e, 1 << 5);
		vcpus.vmptrld(0, 0xa000);
	});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
	m.in_l1([&] { vcpus.vmptrld(0, 0xc000); });
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(without_secondary_controls_l2_has_no_vpid)
{
	Machine m;

	m.nest(7, 0xb000);
	m.in_l1([&] { m.oracle.virtual_cpus().vmwrite(0, 0x4002, 0); });
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
	m.in_l1([&] { m.oracle.virtual_cpus().vmwrite(0, 0x4002, 1u << 31); });
	m.walk(guest_b, host_b);
	m.in_l1([] {});
	m.walk(guest_a, host_a);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(an_enlightened_vmcs_serves_one_entry)
{
	Machine m;

	m.nest(7, 0xb000);
	m.in_l1([&] {
		Vmcs12 evmcs;

		evmcs.known = true;
		evmcs.controls = 1 << 5;
		evmcs.vpid = 9;

		m.oracle.virtual_cpus().launches_evmcs(0, evmcs);
	});
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l2_flush_handed_to_l1_is_not_carried_over)
{
	Machine m;

	m.nest(7, 0xb000);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.in_l1([] {});
	m.walk(guest_a, host_a);
	m.exit();
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(l1_entry_with_the_same_vpid12_owes_nothing)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(another_vpid12_under_the_same_vpid02_owes_a_flush)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().vmwrite(0, 0, 8); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(another_eptp12_under_the_same_root_owes_a_flush)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.oracle.virtual_cpus().vmwrite(0, 0x201a, 0xc000); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l1_invvpid_owes_a_flush_of_that_vpid12_only)
{
	for (uint16_t vpid : { 7, 8 }) {
		Machine m;

		m.nest(7, 0xb000);
		m.walk(guest_a, host_a);
		m.in_l1([&] {
			m.l1_invvpid({ .type = 1, .vpid = vpid, .linear = 0 });
		});
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), vpid == 7 ? "stale other_page" : "guestowned other_page");
	}
}

TEST(a_vmcs12_is_known_on_another_virtual_cpu)
{
	for (uint64_t vmptr12 : { 0xa000, 0xc000 }) {
		Machine m;
		VirtualCpus &vcpus = m.oracle.virtual_cpus();

		m.enter(other_vmcs, vpid01 + 2, root01);
		vcpus.vmptrld(0, 0xa000);
		vcpus.vmwrite(0, 0x0000, 7);
		vcpus.vmwrite(0, 0x401e, 1 << 5);
		m.exit();
		m.enter_l1();
		vcpus.vmptrld(0, vmptr12);
		m.exit(EXIT_VMLAUNCH);
		m.enter_l2();
		m.walk(guest_a, host_a);
		m.in_l1([&] { m.l1_invvpid({ .type = 1, .vpid = 7, .linear = 0 }); });
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), vmptr12 == 0xa000 ? "stale other_page" :
							     "guestowned other_page");
	}
}

TEST(l1_invvpid_of_each_type_owes_a_flush)
{
	for (unsigned type = 0; type < 4; type++) {
		Machine m;

		m.nest(7, 0xb000);
		m.walk(guest_a, host_a);
		m.in_l1([&] {
			m.l1_invvpid({ .type = type, .vpid = 7, .linear = linear });
		});
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), "stale other_page");
	}
}

TEST(l1_invvpid_refused_owes_nothing)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.l1_invvpid({ .type = 1, .vpid = 0, .linear = 0 }); });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

/* The flags of VMfailInvalid and VMfailValid, and a fault, which leaves RIP where it was. */
TEST(l1_invvpid_and_invept_that_failed_owe_nothing)
{
	const struct {
		uint64_t advance, rflags;
		const char *verdict;
	} ends[] = {
		{ 5, 2, "stale other_page" },
		{ 5, 2 | 1 << 0, "guestowned other_page" },
		{ 5, 2 | 1 << 6, "guestowned other_page" },
		{ 0, 2, "guestowned other_page" },
		{ 0x1000, 2, "guestowned other_page" },
	};

	for (bool invept : { false, true }) {
		for (const auto &end : ends) {
			Machine m;
			VirtualCpus &vcpus = m.oracle.virtual_cpus();

			m.nest(7, 0xb000);
			m.walk(guest_a, host_a);
			m.in_l1([&] {
				if (invept)
					vcpus.invept(0, { 1, 0xb000, 0 });
				else
					vcpus.invvpid(0, { 1, 7, 0 });
				m.exit(invept ? EXIT_INVEPT : EXIT_INVVPID);
				m.registers.rip += end.advance;
				m.registers.rflags = end.rflags;
				m.enter_l1();
			});
			m.walk(guest_b, host_b);
			CHECK_EQUAL(m.verdict(), end.verdict);
		}
	}
}

TEST(l1_invept_that_failed_stays_failed)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] {
		m.oracle.virtual_cpus().invept(0, { .type = 1, .eptp = 0xb000, .loaded_eptp = 0 });
		m.exit(EXIT_INVEPT);
		m.enter_l1();
		m.exit(EXIT_INTERRUPT);
		m.registers.rip += 5;
		m.enter_l1();
	});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(l1_invept_owes_a_flush_of_that_eptp12_only)
{
	for (uint64_t eptp : { 0xb000, 0xc000 }) {
		Machine m;

		m.nest(7, 0xb05e);
		m.walk(guest_a, host_a);
		m.in_l1([&] {
			m.l1_invept({ .type = 1, .eptp = eptp, .loaded_eptp = 0 });
		});
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), eptp == 0xb000 ? "stale other_page" : "guestowned other_page");
	}
}

TEST(l1_invept_all_owes_a_flush)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] {
		m.l1_invept({ .type = 2, .eptp = 0, .loaded_eptp = 0 });
	});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l2_flush_carried_out_by_the_hypervisor_is_its_debt)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.exit(EXIT_INVLPG);
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(l2_flush_handed_to_l1_is_l1s_affair)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.oracle.virtual_cpus().asked(0, { Scope::address, 0, linear });
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(an_l2_whose_context_is_unknown_is_not_the_hypervisors)
{
	Machine m;

	m.enter_l1();
	m.exit(EXIT_VMLAUNCH);
	m.enter_l2();
	m.walk(guest_a, host_a);
	m.in_l1([] {});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(enlightened_vmcs_names_the_context)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] {
		Vmcs12 evmcs;

		evmcs.known = true;
		evmcs.controls = 1 << 5;
		evmcs.vpid = 9;

		m.oracle.virtual_cpus().launches_evmcs(0, evmcs);
	});
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_page");
}

TEST(cr3_of_l2_changed_by_l1_owes_nothing)
{
	Machine m;

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	m.in_l1([&] { m.registers.cr3 = m.cr3 = 0xa000; });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}
