/* SPDX-License-Identifier: GPL-2.0 */
/* The simulated TLB: hits, misses, what makes room for what, tags, sizes of pages. */
#include "ktap.h"
#include "simulated_guest.h"

using namespace tlbsan;

static const uint64_t here = 0x7fff12345000, there = 0x400000;

TEST(simulated_first_access_misses_and_second_hits)
{
	SimulatedTlb tlb { TlbSizes() };

	CHECK(use(tlb, data(here)) == Found::nowhere);
	CHECK(use(tlb, data(here + 0xfff)) == Found::l1);
	CHECK(use(tlb, data(here + 0x1000)) == Found::nowhere);
}

TEST(simulated_counts_accesses_and_misses_by_level)
{
	SimulatedTlb tlb(tiny);

	use(tlb, page(0));
	use(tlb, page(0));
	use(tlb, page(1));
	use(tlb, page(2));	/* drives page 0 out of level 1 */
	use(tlb, page(0));

	TlbCounts counts = tlb.take();

	CHECK_EQUAL(counts.accesses, 5u);
	CHECK_EQUAL(counts.l1_misses, 4u);
	CHECK_EQUAL(counts.l2_misses, 3u);
	CHECK_EQUAL(tlb.take().accesses, 0u);
}

TEST(simulated_level_2_fills_level_1)
{
	SimulatedTlb tlb(tiny);

	for (unsigned n = 0; n < 3; n++)
		use(tlb, page(n));
	CHECK(use(tlb, page(0)) == Found::l2);
	CHECK(use(tlb, page(0)) == Found::l1);
}

TEST(simulated_least_recently_used_makes_room)
{
	SimulatedTlb tlb(tiny);

	for (unsigned n = 0; n < 4; n++)
		use(tlb, page(n));
	/* in level 2, page 0 is used now: page 1 is the oldest */
	CHECK(use(tlb, page(0)) == Found::l2);
	use(tlb, page(4));
	CHECK(held(tlb, page(0)));
	CHECK(!held(tlb, page(1)));
	for (unsigned n = 2; n <= 4; n++)
		CHECK(held(tlb, page(n)));
}

TEST(simulated_order_of_use_counts_in_level_1)
{
	SimulatedTlb tlb(tiny);

	use(tlb, page(0));
	use(tlb, page(1));
	use(tlb, page(0));
	use(tlb, page(2));
	CHECK(use(tlb, page(0)) == Found::l1);
	CHECK(use(tlb, page(1)) == Found::l2);
}

/* Pages so far apart that they share the place where an entry is looked for first. */
TEST(simulated_order_of_use_counts_for_pages_far_apart)
{
	SimulatedTlb tlb(tiny);

	use(tlb, page(0));
	use(tlb, page(1 << 16));
	CHECK(use(tlb, page(0)) == Found::l1);
	use(tlb, page(1));
	CHECK(use(tlb, page(0)) == Found::l1);
	CHECK(use(tlb, page(1 << 16)) == Found::l2);
}

TEST(simulated_invalidated_entry_makes_room_before_a_used_one)
{
	SimulatedTlb tlb(tiny);
	Tag other = { 9, 0, 0 };

	for (unsigned n = 0; n < 3; n++)
		use(tlb, page(n));
	use(tlb, data(here, other));
	tlb.invvpid({ .type = 1, .vpid = 9, .linear = 0 });
	use(tlb, page(3));
	for (unsigned n = 0; n <= 3; n++)
		CHECK(held(tlb, page(n)));
}

TEST(simulated_level_1_keeps_what_level_2_replaced)
{
	SimulatedTlb tlb({ { 8, 8 }, { 2, 2 }, { 2, 2 }, { 2, 2 }, { 4, 4 } });

	for (unsigned n = 0; n < 8; n++)
		use(tlb, page(n));
	for (unsigned n = 0; n < 8; n++)
		CHECK(use(tlb, page(n)) == Found::l1);
}

TEST(simulated_working_set_that_fits_misses_once)
{
	SimulatedTlb tlb { TlbSizes() };

	for (unsigned round = 0; round < 10; round++)
		for (unsigned n = 0; n < 1536; n++)
			use(tlb, page(n));
	CHECK_EQUAL(tlb.take().l2_misses, 1536u);
}

TEST(simulated_working_set_too_large_by_one_a_set_misses_always)
{
	SimulatedTlb tlb { TlbSizes() };

	/* 13 pages for each of 128 sets of 12, in turn: what comes next was just replaced */
	for (unsigned round = 0; round < 3; round++)
		for (unsigned n = 0; n < 13 * 128; n++)
			use(tlb, page(n));
	CHECK_EQUAL(tlb.take().l2_misses, 3u * 13 * 128);
}

TEST(simulated_set_is_the_low_bits_of_the_page)
{
	SimulatedTlb tlb({ { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 16, 1 } });

	for (unsigned n = 0; n < 16; n++)
		use(tlb, page(n));
	use(tlb, page(16 + 3));
	for (unsigned n = 0; n < 16; n++)
		CHECK_EQUAL(held(tlb, page(n)), n != 3);
}

TEST(simulated_level_1_has_instructions_apart_from_data)
{
	SimulatedTlb tlb(tiny);

	use(tlb, fetch(there));
	CHECK(use(tlb, data(there)) == Found::l2);
	use(tlb, page(1));
	use(tlb, page(2));
	CHECK(use(tlb, fetch(there)) == Found::l1);
}

TEST(simulated_tags_are_kept_apart)
{
	SimulatedTlb tlb { TlbSizes() };

	use(tlb, data(here, { 1, 2, 0x5000 }));
	CHECK(!held(tlb, data(here, { 7, 2, 0x5000 })));
	CHECK(!held(tlb, data(here, { 1, 7, 0x5000 })));
	CHECK(!held(tlb, data(here, { 1, 2, 0x7000 })));
	CHECK(!held(tlb, data(here, { 1, 2, 0 })));
	CHECK(held(tlb, data(here, { 1, 2, 0x5000 })));
}

TEST(simulated_global_page_serves_all_pcids_of_its_vpid_and_ep4ta)
{
	SimulatedTlb tlb { TlbSizes() };

	use(tlb, data(here, { 1, 2, 0x5000 }), global_page);
	CHECK(held(tlb, data(here, { 1, 7, 0x5000 })));
	CHECK(!held(tlb, data(here, { 7, 2, 0x5000 })));
	CHECK(!held(tlb, data(here, { 1, 2, 0x7000 })));
}

TEST(simulated_large_page_is_one_entry)
{
	SimulatedTlb tlb { TlbSizes() };

	use(tlb, data(there), large_page);
	CHECK(use(tlb, data(there + 0x1ff000)) == Found::l1);
	CHECK(!held(tlb, data(there + 0x200000)));
	CHECK(!held(tlb, data(there - 0x1000)));
}

TEST(simulated_large_pages_have_arrays_of_their_own_in_level_1)
{
	SimulatedTlb tlb(tiny);

	use(tlb, page(0));
	use(tlb, page(1));
	use(tlb, data(there), large_page);
	use(tlb, data(there + 0x200000), large_page);
	CHECK(use(tlb, page(0)) == Found::l1);
	CHECK(use(tlb, page(1)) == Found::l1);
	CHECK(use(tlb, data(there)) == Found::l1);
}

TEST(simulated_level_2_shares_its_room_between_sizes)
{
	SimulatedTlb tlb(tiny);

	for (unsigned n = 0; n < 4; n++)
		use(tlb, page(n));
	use(tlb, data(there), large_page);
	CHECK(!held(tlb, page(0)));
}

TEST(simulated_page_is_as_small_as_ept_maps_it)
{
	SimulatedTlb tlb { TlbSizes() };
	Mapping large_in_small = { .shift = 21, .ept_shift = 12 };
	Mapping small_in_large = { .shift = 12, .ept_shift = 21 };
	Mapping large_in_large = { .shift = 21, .ept_shift = 21 };

	use(tlb, data(there), large_in_small);
	CHECK(!held(tlb, data(there + 0x1000)));
	use(tlb, data(here), small_in_large);
	CHECK(!held(tlb, data(here + 0x1000)));
	use(tlb, data(0x40000000), large_in_large);
	CHECK(held(tlb, data(0x40001000)));
}

TEST(simulated_huge_page_is_cached_in_large_pieces)
{
	SimulatedTlb tlb { TlbSizes() };

	use(tlb, data(0x40000000), { .shift = 30 });
	CHECK(held(tlb, data(0x401ff000)));
	CHECK(!held(tlb, data(0x40200000)));
}

TEST(simulated_guest_without_paging_uses_guest_physical_entries)
{
	SimulatedTlb tlb { TlbSizes() };
	Access physical = { .kind = Kind::guest_physical, .tag = { .ep4ta = 0x5000 }, .address = here };

	use(tlb, physical, { .shift = 21, .ept_shift = 21 });
	physical.address += 0x1000;
	CHECK(held(tlb, physical));
	CHECK(!held(tlb, data(here, { 0, 0, 0x5000 })));
}
