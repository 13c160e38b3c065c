/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One test for each sentence of SDM 4.10.4.1 and 29.4.3 that says what an operation
 * must invalidate, with what it need not.
 */
#include "invalidations.h"
#include "ktap.h"

using namespace tlbsan;

static const uint64_t here = 0x7fff12345000, there = 0x400000;
static const uint64_t ep4ta = 0x5000, other_ep4ta = 0x6000;

/* A 4 KiB linear mapping (SDM 29.4.1), or combined where ept is given. */
static Name page(uint16_t vpid, uint16_t pcid, uint64_t address, uint64_t ept = 0)
{
	return name_of(Kind::translation, 12, { vpid, pcid, ept }, address);
}

static Name large(uint16_t vpid, uint16_t pcid, unsigned shift, uint64_t address)
{
	return name_of(Kind::translation, shift, { vpid, pcid, 0 }, address);
}

TEST(addresses_that_something_newer_covers_are_dropped_and_no_others)
{
	enum { VPID, BUT_GLOBALS, PCID, PCID_AND_GLOBALS, ALL, operations };
	/* Of an INVLPG, which is for a PCID and for globals, and of an INVVPID. */
	static const bool covered[operations][3] = {
		{ true, true, true }, { true, false, false }, { true, false, false },
		{ true, true, false }, { true, true, true },
	};

	for (unsigned operation = 0; operation < operations; operation++) {
		Invalidations invalidations;
		size_t before;

		invalidations.invlpg(1, { 3, 5, 0 }, here);
		invalidations.vpid_address(1, 3, here);
		before = invalidations.addresses();
		if (operation == VPID)
			invalidations.vpid(2, 3);
		if (operation == BUT_GLOBALS)
			invalidations.vpid_but_globals(2, 3);
		if (operation == PCID)
			invalidations.pcid(2, { 3, 5, 0 });
		if (operation == PCID_AND_GLOBALS)
			invalidations.pcid_and_globals(2, { 3, 5, 0 });
		if (operation == ALL)
			invalidations.all_vpids(2);
		invalidations.drop_covered_addresses();

		size_t kinds = 3;

		for (bool gone : covered[operation])
			kinds -= gone;
		CHECK_EQUAL(invalidations.addresses() * 3, before * kinds);
	}
}

/* What the page directory entry above an address says. */
static Name table(uint16_t vpid, uint16_t pcid, uint64_t address, uint64_t ept = 0)
{
	return name_of(Kind::tables, 21, { vpid, pcid, ept }, address);
}

static Name guest_physical(uint64_t ept, uint64_t address)
{
	return name_of(Kind::guest_physical, 12, { 9, 9, ept }, address);
}

static Name ept_table(uint64_t ept, uint64_t address)
{
	return name_of(Kind::ept_tables, 21, { 9, 9, ept }, address);
}

TEST(nothing_is_invalidated_without_an_operation)
{
	Invalidations i;

	CHECK_EQUAL(i.newest(page(1, 0, here)), 0u);
	CHECK_EQUAL(i.newest(guest_physical(ep4ta, here)), 0u);
}

TEST(newest_of_several_counts)
{
	Invalidations i;

	i.vpid(5, 1);
	i.all_vpids(7);
	i.vpid_address(6, 1, here);
	CHECK_EQUAL(i.newest(page(1, 0, here)), 7u);
}

TEST(invlpg_covers_the_address_in_current_pcid_and_globals)
{
	Invalidations i;

	i.invlpg(3, { 1, 2, 0 }, here + 0x123);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 3, here)), 0u);
	CHECK_EQUAL(i.newest(page(1, 2, there)), 0u);
	CHECK_EQUAL(i.newest(page(2, 2, here)), 0u);
}

TEST(invlpg_covers_pages_of_every_size)
{
	Invalidations i;

	i.invlpg(3, { 1, 2, 0 }, here);
	for (unsigned shift : page_shifts)
		CHECK_EQUAL(i.newest(large(1, 2, shift, here)), 3u);
	CHECK_EQUAL(i.newest(large(1, 2, 21, here ^ 1 << 21)), 0u);
}

TEST(invlpg_covers_paging_structure_caches_of_every_address)
{
	Invalidations i;

	i.invlpg(3, { 1, 2, 0 }, here);
	CHECK_EQUAL(i.newest(table(1, 2, there)), 3u);
	CHECK_EQUAL(i.newest(table(1, 3, there)), 0u);
}

TEST(invlpg_covers_combined_mappings_of_every_ep4ta)
{
	Invalidations i;

	i.invlpg(3, { 1, 2, ep4ta }, here);
	CHECK_EQUAL(i.newest(page(1, 2, here, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, here, other_ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
}

TEST(invlpg_covers_no_guest_physical_mapping)
{
	Invalidations i;

	i.invlpg(3, { 1, 2, ep4ta }, here);
	CHECK_EQUAL(i.newest(guest_physical(ep4ta, here)), 0u);
	CHECK_EQUAL(i.newest(ept_table(ep4ta, here)), 0u);
}

TEST(invpcid_address_covers_its_pcid_but_no_global)
{
	Invalidations i;

	i.pcid_address(3, { 1, 2, 0 }, here);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(table(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 0u);
	CHECK_EQUAL(i.newest(page(1, 2, there)), 0u);
	CHECK_EQUAL(i.newest(page(1, 3, here)), 0u);
}

TEST(mov_cr3_and_invpcid_single_cover_their_pcid_but_no_global)
{
	Invalidations i;

	i.pcid(3, { 1, 2, 0 });
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(table(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, there, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 0u);
	CHECK_EQUAL(i.newest(page(1, 3, here)), 0u);
	CHECK_EQUAL(i.newest(page(2, 2, here)), 0u);
}

TEST(mov_cr4_pae_or_smep_covers_the_current_pcid)
{
	Invalidations i;

	i.pcid_and_globals(3, { 1, 2, 0 });
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 3, here)), 0u);
}

TEST(invpcid_all_mov_cr0_pg_and_mov_cr4_pge_cover_the_vpid)
{
	Invalidations i;

	i.vpid(3, 1);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(table(1, 5, there)), 3u);
	CHECK_EQUAL(i.newest(page(2, 2, here)), 0u);
}

TEST(invpcid_all_but_globals_spares_them)
{
	Invalidations i;

	i.vpid_but_globals(3, 1);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 7, there)), 3u);
	CHECK_EQUAL(i.newest(table(1, 7, there)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 0u);
	CHECK_EQUAL(i.newest(page(2, 2, here)), 0u);
}

TEST(invvpid_address_covers_every_pcid_and_ep4ta_and_globals)
{
	Invalidations i;

	i.vpid_address(3, 1, here);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 4, here, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(1, GLOBAL, here)), 3u);
	CHECK_EQUAL(i.newest(table(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, there)), 0u);
	CHECK_EQUAL(i.newest(table(1, 2, there)), 0u);
	CHECK_EQUAL(i.newest(page(2, 2, here)), 0u);
}

TEST(invvpid_covers_no_guest_physical_mapping)
{
	Invalidations i;

	i.vpid_address(3, 1, here);
	i.vpid(3, 1);
	i.vpid_but_globals(3, 1);
	i.all_vpids(3);
	CHECK_EQUAL(i.newest(guest_physical(ep4ta, here)), 0u);
	CHECK_EQUAL(i.newest(ept_table(ep4ta, here)), 0u);
}

TEST(invvpid_all_covers_every_vpid_but_0)
{
	Invalidations i;

	i.all_vpids(3);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 3u);
	CHECK_EQUAL(i.newest(page(65535, GLOBAL, here, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(0, 2, here)), 0u);
}

TEST(invept_single_covers_guest_physical_and_combined_mappings_of_its_ep4ta)
{
	Invalidations i;

	i.ep4ta(3, ep4ta);
	CHECK_EQUAL(i.newest(guest_physical(ep4ta, here)), 3u);
	CHECK_EQUAL(i.newest(ept_table(ep4ta, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, here, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(page(7, GLOBAL, there, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(table(7, 2, there, ep4ta)), 3u);
	CHECK_EQUAL(i.newest(guest_physical(other_ep4ta, here)), 0u);
	CHECK_EQUAL(i.newest(page(1, 2, here, other_ep4ta)), 0u);
}

TEST(invept_all_covers_every_ep4ta)
{
	Invalidations i;

	i.all_ep4tas(3);
	CHECK_EQUAL(i.newest(guest_physical(ep4ta, here)), 3u);
	CHECK_EQUAL(i.newest(page(1, 2, here, other_ep4ta)), 3u);
}

TEST(invept_covers_no_linear_mapping)
{
	Invalidations i;

	i.ep4ta(3, ep4ta);
	i.all_ep4tas(3);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 0u);
	CHECK_EQUAL(i.newest(table(1, 2, here)), 0u);
}

TEST(single_addresses_can_be_forgotten)
{
	Invalidations i;

	i.vpid_address(3, 1, here);
	i.vpid(2, 1);
	CHECK(i.addresses() > 0);
	i.forget_addresses();
	CHECK_EQUAL(i.addresses(), 0u);
	CHECK_EQUAL(i.newest(page(1, 2, here)), 2u);
}
