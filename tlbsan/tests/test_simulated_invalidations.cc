/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What operations take from the simulated TLB, and what they leave.  What each covers is
 * tested for invalidations.h; here it is that each reaches the TLB as what it is.
 */
#include "ktap.h"
#include "simulated_guest.h"

using namespace tlbsan;

static const uint64_t here = 0x7fff12345000, there = 0x400000;

/* A TLB with one page of each of these, for the operation to choose from. */
struct Filled {
	SimulatedTlb tlb { TlbSizes() };
	Access own = data(here);
	Access beside = data(there);
	Access other_pcid = data(here, { 1, 7, 0x5000 });
	Access other_vpid = data(here, { 9, 2, 0x5000 });
	Access other_ept = data(here, { 1, 2, 0x6000 });
	Access root = data(here, {});
	Access global = data(0x80000000);
	Access other_global = data(0x80000000, { 9, 2, 0x5000 });

	Filled()
	{
		for (const Access &a : { own, beside, other_pcid, other_vpid, other_ept, root })
			use(tlb, a);
		use(tlb, global, global_page);
		use(tlb, other_global, global_page);
	}

	/* One letter for each that is left, in the order above. */
	std::string left()
	{
		const std::pair<char, Access> all[] = {
			{ 'o', own }, { 'b', beside }, { 'p', other_pcid }, { 'v', other_vpid },
			{ 'e', other_ept }, { 'r', root }, { 'g', global }, { 'G', other_global },
		};
		std::string letters;

		for (const auto &[letter, access] : all)
			if (held(tlb, access))
				letters += letter;
		return letters;
	}
};

TEST(simulated_nothing_goes_without_an_operation)
{
	Filled f;

	CHECK_EQUAL(f.left(), "obpvergG");
}

TEST(simulated_invvpid_address)
{
	Filled f;

	f.tlb.invvpid({ .type = 0, .vpid = 1, .linear = here });
	CHECK_EQUAL(f.left(), "bvrgG");
	f.tlb.invvpid({ .type = 0, .vpid = 1, .linear = 0x80000000 });
	CHECK_EQUAL(f.left(), "bvrG");
}

TEST(simulated_invvpid_single)
{
	Filled f;

	f.tlb.invvpid({ .type = 1, .vpid = 1, .linear = 0 });
	CHECK_EQUAL(f.left(), "vrG");
}

TEST(simulated_invvpid_all)
{
	Filled f;

	f.tlb.invvpid({ .type = 2, .vpid = 0, .linear = 0 });
	CHECK_EQUAL(f.left(), "r");
}

TEST(simulated_invvpid_single_but_globals)
{
	Filled f;

	f.tlb.invvpid({ .type = 3, .vpid = 1, .linear = 0 });
	CHECK_EQUAL(f.left(), "vrgG");
}

TEST(simulated_invept_single)
{
	Filled f;

	f.tlb.invept({ .type = 1, .eptp = 0x501e, .loaded_eptp = 0 });
	CHECK_EQUAL(f.left(), "er");
}

TEST(simulated_invept_all)
{
	Filled f;

	f.tlb.invept({ .type = 2, .eptp = 0, .loaded_eptp = 0 });
	CHECK_EQUAL(f.left(), "r");
}

TEST(simulated_invlpg)
{
	Filled f;

	f.tlb.executed(1, { Scope::address, 2, here });
	CHECK_EQUAL(f.left(), "bpvrgG");
	f.tlb.executed(1, { Scope::address, 2, 0x80000000 });
	CHECK_EQUAL(f.left(), "bpvrG");
}

TEST(simulated_invpcid_address)
{
	Filled f;

	f.tlb.executed(1, { Scope::pcid_address, 7, here });
	CHECK_EQUAL(f.left(), "obvergG");
}

TEST(simulated_mov_cr3_and_invpcid_single)
{
	Filled f;

	f.tlb.executed(1, { Scope::pcid, 2 });
	CHECK_EQUAL(f.left(), "pvrgG");
}

TEST(simulated_mov_cr4_for_a_pcid_and_globals)
{
	Filled f;

	f.tlb.executed(1, { Scope::pcid_and_globals, 2 });
	CHECK_EQUAL(f.left(), "pvrG");
}

TEST(simulated_invpcid_all)
{
	Filled f;

	f.tlb.executed(1, { .scope = Scope::all });
	CHECK_EQUAL(f.left(), "vrG");
}

TEST(simulated_invpcid_all_but_globals)
{
	Filled f;

	f.tlb.executed(1, { .scope = Scope::all_but_globals });
	CHECK_EQUAL(f.left(), "vrgG");
}

TEST(simulated_transition_without_vpid)
{
	Filled f;

	f.tlb.transition_without_vpid();
	CHECK_EQUAL(f.left(), "obpvegG");
}

TEST(simulated_page_fault_takes_what_would_be_used)
{
	Filled f;

	use(f.tlb, fetch(here));
	f.tlb.refused(data(here));
	CHECK(!held(f.tlb, fetch(here)));
	CHECK_EQUAL(f.left(), "bpvergG");
	f.tlb.refused(data(0x80000000));
	CHECK_EQUAL(f.left(), "bpverG");
}

TEST(simulated_page_fault_takes_all_that_would_be_used)
{
	SimulatedTlb tlb { TlbSizes() };
	Access own = data(here, { 1, 2, 0 }), other = data(here, { 1, 7, 0 });

	/* one for this PCID, then one for all: the guest made the page global in between */
	use(tlb, own);
	use(tlb, other, global_page);
	tlb.refused(own);
	CHECK(!held(tlb, own));
	CHECK(!held(tlb, other));
}

TEST(simulated_operation_is_over_for_later_entries)
{
	Filled f;

	f.tlb.invvpid({ .type = 1, .vpid = 1, .linear = 0 });
	use(f.tlb, f.own);
	CHECK(held(f.tlb, f.own));
	f.tlb.invvpid({ .type = 1, .vpid = 9, .linear = 0 });
	CHECK(held(f.tlb, f.own));
}

TEST(simulated_copy_in_level_1_is_no_younger_than_its_walk)
{
	SimulatedTlb tlb(tiny);

	use(tlb, page(0));
	tlb.invvpid({ .type = 1, .vpid = 9, .linear = 0 });
	use(tlb, page(1));
	use(tlb, page(2));
	CHECK(use(tlb, page(0)) == Found::l2);
	tlb.invvpid({ .type = 1, .vpid = 1, .linear = 0 });
	CHECK(!held(tlb, page(0)));
}

TEST(simulated_address_takes_all_pieces_of_its_page)
{
	SimulatedTlb tlb { TlbSizes() };
	Mapping large_in_small = { .shift = 21, .ept_shift = 12 };

	use(tlb, data(there), large_in_small);
	use(tlb, data(0x40000000), { .shift = 30 });
	use(tlb, data(0x80000000), { .shift = 12, .ept_shift = 21 });
	tlb.executed(1, { Scope::address, 2, there + 0x5000 });
	tlb.executed(1, { Scope::address, 2, 0x7ffff000 });
	tlb.executed(1, { Scope::address, 2, 0x80001000 });
	CHECK(!held(tlb, data(there)));
	CHECK(!held(tlb, data(0x40000000)));
	CHECK(held(tlb, data(0x80000000)));
}

TEST(simulated_many_single_addresses_lose_nothing)
{
	Filled f;

	f.tlb.executed(1, { Scope::address, 2, here });
	for (uint64_t n = 0; n < 10000; n++)
		f.tlb.executed(1, { Scope::address, 2, 0x100000000 + (n << 12) });
	CHECK_EQUAL(f.left(), "bpvrgG");
	f.tlb.executed(1, { Scope::address, 2, there });
	CHECK_EQUAL(f.left(), "pvrgG");
}
