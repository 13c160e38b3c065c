/* SPDX-License-Identifier: GPL-2.0 */
/* What MOV to CR0 and CR4 invalidates, SDM 4.10.4.1. */
#include "ktap.h"
#include "effects.h"

using namespace tlbsan;

static const uint64_t PG = 1u << 31, PAE = 1u << 5, PGE = 1u << 7, PCIDE = 1u << 17,
		      SMEP = 1u << 20, OSFXSR = 1u << 9;

static std::string change(const GuestRegisters &was, const GuestRegisters &now)
{
	auto operation = change_of(was, now);

	if (!operation)
		return "nothing";
	if (operation->scope == Scope::all)
		return "all";
	if (operation->scope == Scope::pcid_and_globals)
		return "pcid " + std::to_string(operation->pcid);
	return "something else";
}

static std::string cr4_change(uint64_t was, uint64_t now)
{
	return change({ PG, 0x1007, was }, { PG, 0x1007, now });
}

TEST(change_of_cr0_pg)
{
	CHECK_EQUAL(change({ PG, 0, 0 }, { 0, 0, 0 }), "all");
	CHECK_EQUAL(change({ 0, 0, 0 }, { PG, 0, 0 }), "nothing");
	CHECK_EQUAL(change({ PG, 0, 0 }, { PG | 8, 0, 0 }), "nothing");
}

TEST(change_of_cr4_pge_either_way)
{
	CHECK_EQUAL(cr4_change(PGE, 0), "all");
	CHECK_EQUAL(cr4_change(0, PGE), "all");
}

TEST(change_of_cr4_pcide_when_it_is_cleared)
{
	CHECK_EQUAL(cr4_change(PCIDE, 0), "all");
	CHECK_EQUAL(cr4_change(0, PCIDE), "nothing");
}

TEST(change_of_cr4_pae_and_smep_is_the_pcids)
{
	CHECK_EQUAL(cr4_change(PAE, 0), "pcid 0");
	CHECK_EQUAL(cr4_change(0, PAE), "pcid 0");
	CHECK_EQUAL(cr4_change(PCIDE, PCIDE | SMEP), "pcid 7");
	CHECK_EQUAL(cr4_change(SMEP, 0), "nothing");
}

TEST(change_of_other_bits_is_nothing)
{
	CHECK_EQUAL(cr4_change(0, OSFXSR), "nothing");
}
