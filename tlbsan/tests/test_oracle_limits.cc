/* SPDX-License-Identifier: GPL-2.0 */
/* What is too much to remember: what goes, what stays, and that it is counted. */
#include "oracle_machine.h"
#include "promises.h"

using namespace tlbsan;

/* Far from linear, and from each other. */
static uint64_t other_address(uint64_t n)
{
	return 0x10000000000 + n * 0x8000000000;
}

static void invalidates_others(Machine &m, unsigned times)
{
	for (unsigned n = 0; n < times; n++)
		m.executes(Scope::address, other_address(n));
}

TEST(a_deferred_report_outlives_many_single_addresses)
{
	for (bool flushed : { false, true }) {
		Machine m;

		m.defers_a_report();
		if (flushed)
			m.executes(Scope::address, linear);
		invalidates_others(m, 8000);
		m.exit();
		m.enter_l1();
		CHECK_EQUAL(m.verdict(), flushed ? "" : "stale other_host_page");
		CHECK_EQUAL(m.oracle.take_account().forgotten, 0u);
	}
}

TEST(entries_outlive_many_single_addresses)
{
	Machine m;

	m.enter_l1();
	m.walk(guest_a, host_a);
	invalidates_others(m, 8000);
	m.exit();
	m.enter_l1();
	m.walk(guest_a, host_b);
	CHECK_EQUAL(m.verdict(), "stale other_host_page");
}

/* A machine that keeps 40 names. */
struct SmallMachine : Machine {
	std::vector<Report> found;
	Oracle small { 2, levels, [this](const Report &report) { found.push_back(report); },
		       { .names = 40, .addresses = 1 << 16 } };

	void enters()
	{
		VmEntry entry = { .cpu = 0, .instructions = 0, .vmcs = vmcs01, .vpid = vpid01,
				  .ep4ta = root01, .host_rsp = 0x8000, .vmread_bitmap = true };

		levels.entered(entry);
		small.entered(entry, registers);
	}

	void walks(uint64_t address, uint64_t host)
	{
		Walk walk = a_walk(guest_a, host);

		walk.at.tag = { vpid01, 0, root01 };
		walk.linear = address;
		small.walked(walk);
	}
};

TEST(entries_that_are_too_many_are_counted_when_they_go)
{
	for (unsigned others : { 38, 40 }) {
		SmallMachine m;

		m.enters();
		m.walks(linear, host_a);
		for (unsigned n = 0; n < others; n++)
			m.walks(other_address(n), host_a);
		m.enters();
		m.walks(linear, host_b);
		CHECK_EQUAL(m.small.take_account().forgotten, others == 38 ? 0u : 41u);
		m.small.settle_all();
		CHECK_EQUAL(m.small.take_account().dropped, others == 38 ? 1u : 0u);
	}
}

TEST(guarantees_that_are_too_many_are_counted_when_they_go)
{
	Promises promises;
	FlushCall call;
	Name name = name_of(Kind::translation, 12, {}, linear);

	call.spans.push_back({ linear, linear });
	promises.flush({ .time = 1 }, 0, 0, call);
	call.spans.clear();
	for (uint64_t n = 0; n < 4095; n++)
		call.spans.push_back({ n, n });
	promises.flush({ .time = 2 }, 0, 0, call);
	CHECK_EQUAL(promises.newest(name, 0), 1u);
	CHECK_EQUAL(promises.take_forgotten(), 0u);
	call.spans.assign(1, { 5000, 5000 });
	promises.flush({ .time = 3 }, 0, 0, call);
	CHECK_EQUAL(promises.newest(name, 0), 0u);
	CHECK_EQUAL(promises.take_forgotten(), 1u);
	CHECK_EQUAL(promises.take_forgotten(), 0u);
}

/* KVM's paravirtual flush is seen again at each VM exit, as long as its target is at rest. */
TEST(a_guarantee_outlives_any_number_of_those_that_include_one_another)
{
	Promises promises;
	FlushCall one, all;
	Name name = name_of(Kind::translation, 12, { 7, 0, 0 }, linear);

	one.spans.push_back({ linear, linear });
	all.spans.push_back({});
	promises.flush({ .time = 1 }, 7, 0, one);
	for (Time time = 2; time < 10000; time++)
		promises.flush({ .time = time }, 0, 0, all);
	CHECK_EQUAL(promises.newest(name, 0), 1u);
	name.tag.vpid = 0;
	CHECK_EQUAL(promises.newest(name, 0), 9999u);
	CHECK_EQUAL(promises.take_forgotten(), 0u);
}

/* The newer one covers less: the older one stays. */
TEST(a_guarantee_that_a_newer_one_does_not_include_stays)
{
	Promises::Processor first = VirtualProcessor { 1, 1 }, second = VirtualProcessor { 1, 2 };
	FlushCall all, other;
	Name global = name_of(Kind::translation, 12, { 0, GLOBAL, 0 }, linear);

	all.spans.push_back({});
	for (unsigned what = 0; what < 6; what++) {
		Promises promises;

		other = all;
		promises.flush({ .time = 1 }, 0, 0, all, first);
		if (what == 0)
			other.spans[0] = { 0, linear - 1 };
		if (what == 1)
			other.address_space = 0x9000;
		if (what == 2)
			other.but_globals = true;
		promises.flush({ .time = 2 }, what == 3, what == 4 ? 0x5000 : 0, other,
			       what == 5 ? second : first);
		CHECK_EQUAL(promises.newest(global, 0x8000, first), 1u);
	}
}

TEST(a_guarantee_outlives_many_addresses_that_a_wider_one_covers)
{
	Promises promises;
	Name name = name_of(Kind::translation, 12, {}, linear);

	for (unsigned n = 0; n < 20000; n++)
		promises.operation({ .time = 1 }, 1, { Scope::address, 0, other_address(n) });
	promises.vpid({ .time = 2 }, 1);
	promises.operation({ .time = 3 }, 0, { Scope::address, 0, linear });
	for (unsigned n = 0; n < 20000; n++)
		promises.operation({ .time = 4 }, 1, { Scope::address, 0, other_address(n) });
	CHECK_EQUAL(promises.newest(name, 0), 3u);
	CHECK_EQUAL(promises.take_forgotten(), 0u);
}

TEST(a_guarantee_outlives_many_of_other_addresses)
{
	Promises promises;
	Name name = name_of(Kind::translation, 12, {}, linear);

	promises.operation({ .time = 1 }, 0, { Scope::address, 0, linear });
	for (unsigned n = 0; n < 20000; n++)
		promises.operation({ .time = 2 }, 0, { Scope::address, 0, other_address(n) });
	CHECK_EQUAL(promises.newest(name, 0), 1u);
	for (unsigned n = 20000; n < 30000; n++)
		promises.operation({ .time = 2 }, 0, { Scope::address, 0, other_address(n) });
	CHECK_EQUAL(promises.newest(name, 0), 0u);
	CHECK(promises.take_forgotten() > 200000u);
}

/* The address is of another piece of the guest's page: what it covers goes before it. */
TEST(a_piece_does_not_outlive_the_address_that_covered_it)
{
	for (unsigned shift : { 12, 21 }) {
		Machine m;
		Walk walk;

		m.enter_l1();
		walk = m.a_walk(guest_a, host_a);
		walk.guest_shift = shift;
		m.oracle.walked(walk);
		m.executes(Scope::address, linear + 0x1000);
		invalidates_others(m, 8000);
		m.exit();
		m.enter_l1();
		m.walk(guest_b, host_b);
		CHECK_EQUAL(m.verdict(), shift == 21 ? "" : "guestowned other_page");
	}
}
