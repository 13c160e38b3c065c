/* SPDX-License-Identifier: GPL-2.0 */
#include <map>

#include "counters.h"
#include "ktap.h"

using namespace tlbsan;

static std::map<std::string, uint64_t> all(const Counters &counters)
{
	std::map<std::string, uint64_t> seen;

	counters.each([&](const std::string &name, uint64_t value) { seen[name] += value; });
	return seen;
}

static uint64_t value(const Counters &counters, const std::string &name)
{
	auto seen = all(counters);
	auto found = seen.find(name);

	return found == seen.end() ? 0 : found->second;
}

static Invvpid invvpid(unsigned type, uint16_t vpid, uint64_t linear = 0)
{
	return { .type = type, .vpid = vpid, .linear = linear };
}

static Invept invept(unsigned type, uint64_t eptp = 0x5000, uint64_t loaded = 0)
{
	return { .type = type, .eptp = eptp, .loaded_eptp = loaded };
}

TEST(counters_omit_zeros)
{
	Counters counters;

	CHECK(all(counters).empty());
	counters.entry(Level::L2);
	CHECK_EQUAL(all(counters).size(), 1u);
	CHECK_EQUAL(value(counters, "vmentry.L2"), 1u);
}

TEST(counters_name_each_invvpid_type_owner_and_vpid)
{
	Counters counters;

	counters.invvpid(invvpid(0, 7), VpidOwner::vpid02);
	counters.invvpid(invvpid(1, 7), VpidOwner::vpid01);
	counters.invvpid(invvpid(1, 65535), VpidOwner::other);
	counters.invvpid(invvpid(3, 1), VpidOwner::vpid01);

	CHECK_EQUAL(value(counters, "invvpid.addr"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.addr.vpid02"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.addr.vpid.7"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.single"), 2u);
	CHECK_EQUAL(value(counters, "invvpid.single.vpid01"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.single.other"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.single.vpid.7"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.single.vpid.65535"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.nonglobal.vpid01"), 1u);
	CHECK_EQUAL(value(counters, "invvpid.addr.page.0"), 1u);
	CHECK_EQUAL(all(counters).size(), 12u);
}

TEST(counters_give_invvpid_all_to_no_vpid)
{
	Counters counters;

	counters.invvpid(invvpid(2, 3), VpidOwner::vpid01);
	CHECK_EQUAL(value(counters, "invvpid.all"), 1u);
	CHECK_EQUAL(all(counters).size(), 1u);
}

TEST(counters_tell_invept_types)
{
	Counters counters;

	counters.invept(invept(1));
	counters.invept(invept(2));
	counters.invept(invept(2));
	CHECK_EQUAL(value(counters, "invept.single"), 1u);
	CHECK_EQUAL(value(counters, "invept.all"), 2u);
	CHECK_EQUAL(value(counters, "invept.single.other"), 1u);
}

TEST(counters_tell_invept_of_the_current_vmcs)
{
	Counters counters;

	counters.invept(invept(1, 0x500005e, 0x500001e));
	counters.invept(invept(1, 0x500005e, 0x600005e));
	counters.invept(invept(1, 0x500005e, 0));
	counters.invept(invept(2, 0x500005e, 0x500005e));
	CHECK_EQUAL(value(counters, "invept.single.exact"), 0u);
	counters.invept(invept(1, 0x500005e, 0x500005e));
	CHECK_EQUAL(value(counters, "invept.single"), 4u);
	CHECK_EQUAL(value(counters, "invept.single.exact"), 1u);
	CHECK_EQUAL(value(counters, "invept.single.current"), 2u);
	CHECK_EQUAL(value(counters, "invept.single.other"), 2u);
}

TEST(counters_name_pages_up_to_a_limit)
{
	Counters counters, sum;

	for (uint64_t page = 0; page < 300; page++)
		counters.invvpid(invvpid(0, 1, 0xffffffff80000000 + (page << 12)), VpidOwner::vpid01);
	counters.invvpid(invvpid(0, 1, 0xffffffff80000fff), VpidOwner::vpid01);
	counters.invvpid(invvpid(1, 1, 0x1000), VpidOwner::vpid01);
	sum.add(counters);
	for (const Counters *c : { &counters, &sum }) {
		CHECK_EQUAL(value(*c, "invvpid.addr.page.ffffffff80000"), 2u);
		CHECK_EQUAL(value(*c, "invvpid.addr.page.ffffffff800ff"), 1u);
		CHECK_EQUAL(value(*c, "invvpid.addr.page.ffffffff80100"), 0u);
		CHECK_EQUAL(value(*c, "invvpid.addr.page.1"), 0u);
		CHECK_EQUAL(value(*c, "invvpid.addr.page.more"), 44u);
	}
}

TEST(counters_name_exits_by_level_and_reason)
{
	Counters counters;

	counters.exit(Level::L1, 24);
	counters.exit(Level::L2, 48);
	counters.exit(Level::L2, 48);
	counters.exit(Level::L2, 999);
	CHECK_EQUAL(value(counters, "vmexit.L1.vmresume"), 1u);
	CHECK_EQUAL(value(counters, "vmexit.L2.ept_violation"), 2u);
	CHECK_EQUAL(value(counters, "vmexit.L2.r999"), 1u);
}

TEST(counters_keep_failures_apart)
{
	Counters counters;

	counters.failed_entry();
	counters.vmfail({ .error = 28 });
	CHECK_EQUAL(value(counters, "vmentry.failed"), 1u);
	CHECK_EQUAL(value(counters, "vmfail.28"), 1u);
	CHECK_EQUAL(all(counters).size(), 2u);
}

TEST(counters_add_every_kind)
{
	Counters one, sum;

	one.entry(Level::L1);
	one.failed_entry();
	one.exit(Level::L1, 12);
	one.invvpid(invvpid(1, 2), VpidOwner::vpid01);
	one.invept(invept(1));
	one.vmfail({ .error = 7 });
	one.instructions(Level::root, 1000);
	sum.add(one);
	CHECK(all(sum) == all(one));
	sum.add(one);
	for (const auto &[name, number] : all(one))
		CHECK_EQUAL(value(sum, name), 2 * number);
	sum.clear();
	CHECK(all(sum).empty());
}

TEST(counters_name_the_simulated_tlb_by_level_and_vpid)
{
	Counters counters, more;

	counters.simulated(Level::root, 0, { 10, 5, 0 });
	counters.simulated(Level::L2, 3, { 100, 20, 7 });
	counters.simulated(Level::L2, 3, { 1, 1, 1 });
	counters.simulated(Level::L1, 3, {});
	more.simulated(Level::L2, 3, { 1000, 0, 0 });
	more.simulated(Level::L1, 65535, { 2, 0, 0 });
	counters.add(more);

	CHECK_EQUAL(value(counters, "sim.root.vpid.0.accesses"), 10u);
	CHECK_EQUAL(value(counters, "sim.root.vpid.0.l1_misses"), 5u);
	CHECK_EQUAL(value(counters, "sim.L2.vpid.3.accesses"), 1101u);
	CHECK_EQUAL(value(counters, "sim.L2.vpid.3.l1_misses"), 21u);
	CHECK_EQUAL(value(counters, "sim.L2.vpid.3.l2_misses"), 8u);
	CHECK_EQUAL(value(counters, "sim.L1.vpid.65535.accesses"), 2u);
	CHECK_EQUAL(all(counters).size(), 6u);
}

TEST(counters_of_what_the_oracle_did_and_did_not_judge)
{
	Counters counters, sum;

	counters.accounts({ .walks = 0, .forgotten = 3, .dropped = 0 });
	CHECK_EQUAL(value(counters, "tlbsan.forgotten"), 3u);
	CHECK_EQUAL(all(counters).size(), 1u);
	counters.accounts({ .walks = 5, .forgotten = 1, .dropped = 2 });
	sum.add(counters);
	sum.add(counters);
	CHECK_EQUAL(value(sum, "tlbsan.walks"), 10u);
	CHECK_EQUAL(value(sum, "tlbsan.forgotten"), 8u);
	CHECK_EQUAL(value(sum, "tlbsan.dropped"), 4u);
}
