/* SPDX-License-Identifier: GPL-2.0 */
/* Flushes that one virtual CPU asks for another: hypercalls, and the paravirtual one. */
#include "oracle_machine.h"

using namespace tlbsan;

static const uint16_t EXIT_RDMSR = 31;

/*
 * Two virtual CPUs of one VM, by VP index 0 on CPU 0 and 1 on CPU 1; CPU 1 has
 * cached a translation.
 */
struct TwoCpus : Machine {
	VirtualCpus &vcpus = oracle.virtual_cpus();

	TwoCpus()
	{
		registers.host_cr3 = 0x77000;
		for (unsigned cpu : { 0, 1 }) {
			enter(l1(cpu), 1 + cpu, root01, cpu);
			vcpus.has_hyperv(cpu);
			vcpus.asks_vp_index(cpu);
			exit(EXIT_RDMSR, cpu);
			registers.rax = cpu;
			enter(l1(cpu), 1 + cpu, root01, cpu);
		}
		registers.rax = 0;
		walk(guest_a, host_a, 1);
	}

	static uint64_t l1(unsigned cpu) { return cpu ? other_vmcs : vmcs01; }

	/* CPU 0 calls; CPU 1 runs on and finds another page. */
	std::string after(const FlushCall &call, uint64_t result = 0, bool flushed = false)
	{
		vcpus.calls(0, call, 0);
		exit(EXIT_VMCALL, 0);
		registers.rax = result;
		enter(l1(0), 1, root01, 0);
		exit(EXIT_VMCALL, 1);
		if (flushed)
			invvpid(1, 2, 0, 1);
		enter(l1(1), 2, root01, 1);
		walk(guest_b, host_b, 1);
		return verdict();
	}
};

static FlushCall everything_of(std::vector<uint32_t> processors)
{
	FlushCall call;

	call.processors = processors;
	call.spans.push_back({});
	return call;
}

TEST(a_flush_by_hypercall_is_owed_to_the_named)
{
	CHECK_EQUAL(TwoCpus().after(everything_of({ 1 })), "stale other_page");
	CHECK_EQUAL(TwoCpus().after(everything_of({ 0 })), "guestowned other_page");
	CHECK_EQUAL(TwoCpus().after(everything_of({ 0, 1 })), "stale other_page");
}

TEST(a_flush_by_hypercall_that_was_carried_out_is_no_report)
{
	CHECK_EQUAL(TwoCpus().after(everything_of({ 1 }), 0, true), "");
}

TEST(a_flush_by_hypercall_of_every_processor)
{
	FlushCall call = everything_of({});

	CHECK_EQUAL(TwoCpus().after(call), "guestowned other_page");
	call.every_processor = true;
	CHECK_EQUAL(TwoCpus().after(call), "stale other_page");
}

TEST(a_hypercall_that_failed_promises_nothing)
{
	CHECK_EQUAL(TwoCpus().after(everything_of({ 1 }), 3), "guestowned other_page");
	/* the rest of the result are repetitions completed */
	CHECK_EQUAL(TwoCpus().after(everything_of({ 1 }), 1ull << 32), "stale other_page");
}

TEST(a_flush_by_hypercall_names_addresses)
{
	FlushCall call = everything_of({ 1 });

	call.spans = { { linear, linear + 0xfff } };
	CHECK_EQUAL(TwoCpus().after(call), "stale other_page");
	call.spans = { { linear + 0x1000, linear + 0x1fff } };
	CHECK_EQUAL(TwoCpus().after(call), "guestowned other_page");
}

TEST(a_flush_by_hypercall_names_an_address_space)
{
	FlushCall call = everything_of({ 1 });

	call.address_space = 0x9000;
	CHECK_EQUAL(TwoCpus().after(call), "stale other_page");
	call.address_space = 0x8000;
	CHECK_EQUAL(TwoCpus().after(call), "guestowned other_page");
}

TEST(a_flush_by_hypercall_may_spare_globals)
{
	FlushCall call = everything_of({ 1 });

	for (bool spares : { false, true }) {
		TwoCpus m;
		Walk walk = m.a_walk(guest_a, host_a, 1);

		walk.global = true;
		m.oracle.walked(walk);
		call.but_globals = spares;
		/* the first walk was no global one: it is found too */
		CHECK_EQUAL(m.after(call), spares ? "stale other_page, guestowned other_page" :
						    "stale other_page, stale other_page");
	}
}

/* They are told before the exit, so the registers are still those of the exit before. */
TEST(a_report_names_the_instruction_that_left_to_the_hypervisor)
{
	for (bool hypercall : { false, true }) {
		TwoCpus m;

		m.registers.rip = 0x1000;
		m.exit(EXIT_VMCALL, 1);
		m.enter(TwoCpus::l1(1), 2, root01, 1);
		if (hypercall)
			m.vcpus.calls(1, everything_of({ 1 }), 0x2000);
		else
			m.vcpus.asked(1, { .scope = Scope::address, .address = linear, .rip = 0x2000 });
		m.registers.rip = 0x2000;
		m.exit(EXIT_VMCALL, 1);
		m.enter(TwoCpus::l1(1), 2, root01, 1);
		m.walk(guest_b, host_b, 1);
		CHECK_EQUAL(m.reports.size(), 1u);
		CHECK_EQUAL(m.reports.at(0).promised.at(0).rip, 0x2000u);
	}
}

TEST(a_flush_by_hypercall_is_for_what_is_older_than_the_call)
{
	TwoCpus m;

	m.vcpus.calls(0, everything_of({ 1 }), 0);
	m.exit(EXIT_VMCALL, 0);
	m.executes(Scope::address, linear, 1);
	m.walk(guest_b, host_b, 1);
	m.enter(TwoCpus::l1(0), 1, root01, 0);
	m.walk(guest_a, host_a, 1);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(a_flush_by_hypercall_reaches_no_other_vm)
{
	TwoCpus m;

	m.exit(EXIT_VMCALL, 1);
	m.registers.host_cr3 = 0x88000;
	m.enter(TwoCpus::l1(1), 2, root01, 1);
	m.registers.host_cr3 = 0x77000;
	m.vcpus.calls(0, everything_of({ 1 }), 0);
	m.exit(EXIT_VMCALL, 0);
	m.enter(TwoCpus::l1(0), 1, root01, 0);
	m.walk(guest_b, host_b, 1);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(a_vmcall_without_hyperv_is_no_flush)
{
	Machine m;

	m.enter_l1();
	CHECK(!m.oracle.virtual_cpus().may_flush_others(0));
	m.oracle.virtual_cpus().has_hyperv(0);
	CHECK(m.oracle.virtual_cpus().may_flush_others(0));
}

/* One virtual CPU, with an L2 whose flush hypercalls the hypervisor may handle. */
struct DirectFlush : Machine {
	VirtualCpus &vcpus = oracle.virtual_cpus();
	Vmcs12 evmcs;

	DirectFlush(bool direct_flush = true)
	{
		evmcs.known = true;
		evmcs.controls = 1 << 5;
		evmcs.vpid = 9;
		evmcs.direct_flush = direct_flush;
		evmcs.vm_id = 4;
		evmcs.vp_id = 6;
		enter_l1();
		vcpus.launches_evmcs(0, evmcs);
		exit(EXIT_VMLAUNCH);
		enter_l2();
		walk(guest_a, host_a);
	}

	void calls(uint32_t vp_id)
	{
		vcpus.calls(0, everything_of({ vp_id }), 0);
		exit();
	}
};

TEST(an_l2s_flush_that_the_hypervisor_serves_is_its_debt)
{
	for (uint32_t vp_id : { 6, 5 }) {
		DirectFlush m;

		CHECK(m.vcpus.may_flush_others(0));
		m.calls(vp_id);
		m.enter_l2();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), vp_id == 6 ? "stale other_page" : "guestowned other_page");
	}
}

TEST(an_l2s_flush_that_goes_to_l1_is_not_the_hypervisors)
{
	for (bool trap : { false, true }) {
		DirectFlush m;

		m.calls(6);
		m.registers.trap_after_flush = trap;
		m.enter_l1();
		m.registers.trap_after_flush = false;
		m.vcpus.launches_evmcs(0, m.evmcs);
		m.exit(EXIT_VMRESUME);
		m.enter_l2();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), trap ? "stale other_page" : "guestowned other_page");
	}
}

TEST(an_l2_without_direct_flush_calls_its_l1)
{
	DirectFlush m(false);

	CHECK(!m.vcpus.may_flush_others(0));
}

TEST(an_l1s_flush_by_hypercall_is_not_for_its_l2)
{
	DirectFlush m;

	m.exit();
	m.enter_l1();
	m.vcpus.calls(0, [] {
		FlushCall call = everything_of({});

		call.every_processor = true;
		return call;
	}(), 0);
	m.exit();
	m.enter_l1();
	m.vcpus.launches_evmcs(0, m.evmcs);
	m.exit(EXIT_VMRESUME);
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(a_paravirtual_flush_is_owed_to_the_one_that_is_flagged)
{
	for (uint8_t preempted : { 1, 2, 3 }) {
		Machine m;
		VirtualCpus &vcpus = m.oracle.virtual_cpus();

		m.enter_l1();
		m.walk(guest_a, host_a);
		vcpus.steal_time(0, 0x5150);
		m.exit();
		vcpus.look_for_pv_flushes([&](uint64_t host, uint8_t &byte) {
			byte = preempted;
			return host == 0x5150;
		});
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), preempted & 2 ? "stale other_page" : "guestowned other_page");
	}
}

TEST(a_paravirtual_flush_is_not_for_an_l2)
{
	Machine m;
	VirtualCpus &vcpus = m.oracle.virtual_cpus();

	m.nest(7, 0xb000);
	m.walk(guest_a, host_a);
	vcpus.steal_time(0, 0x5150);
	m.exit();
	vcpus.look_for_pv_flushes([](uint64_t, uint8_t &byte) { byte = 2; return true; });
	m.enter_l2();
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.verdict(), "guestowned other_page");
}

TEST(what_an_l1_shares_with_the_hypervisor_ends_with_its_vmcs)
{
	for (unsigned clears : { 1, 2 }) {
		Machine m;
		VirtualCpus &vcpus = m.oracle.virtual_cpus();

		m.enter_l1();
		vcpus.l1_memory(0)->steal_time = 0x5000;
		m.exit();
		CHECK(!vcpus.l1_memory(0));
		/* One is a change of CPU, two make it a new VMCS. */
		for (unsigned i = 0; i < clears; i++)
			m.levels.cleared({ .vmcs = vmcs01 });

		VmEntry entry = { .cpu = 0, .instructions = 0, .vmcs = vmcs01, .vpid = vpid01,
				  .ep4ta = root01, .host_rsp = 0x8000, .vmread_bitmap = true };

		/* The levels are told first; the entry itself is asked, too. */
		m.levels.entered(entry);
		CHECK(clears == 2 ? !vcpus.l1_memory(0) : vcpus.l1_memory(0)->steal_time == 0x5000);
		m.oracle.entered(entry, m.registers);
		CHECK_EQUAL(vcpus.l1_memory(0)->steal_time, clears == 2 ? 0u : 0x5000u);
	}
}

TEST(what_an_l1_shares_with_the_hypervisor_is_not_its_l2s)
{
	Machine m;
	VirtualCpus &vcpus = m.oracle.virtual_cpus();

	m.enter_l1();
	vcpus.l1_memory(0)->evmcs = 0x5000;
	m.exit(EXIT_VMLAUNCH);
	m.enter_l2();
	CHECK(!vcpus.l1_memory(0));
	m.exit();
	m.enter_l1();
	CHECK_EQUAL(vcpus.l1_memory(0)->evmcs, 0x5000u);
}
