/* SPDX-License-Identifier: GPL-2.0 */
#include "ktap.h"
#include "simulated_sizes.h"

using namespace tlbsan;

static TlbSizes good(const std::string &text)
{
	TlbSizes sizes;

	CHECK_EQUAL(read_sizes(text, sizes), "");
	return sizes;
}

/* What is said of a text must name what is wrong in it. */
static bool refused(const std::string &text, const std::string &wrong)
{
	TlbSizes sizes;

	return read_sizes(text, sizes).find(wrong) != std::string::npos;
}

TEST(sizes_default_is_skylake)
{
	TlbSizes sizes = good("default");

	CHECK(sizes == TlbSizes());
	CHECK(sizes.l1d == (TlbSize { 64, 4 }));
	CHECK(sizes.l2 == (TlbSize { 1536, 12 }));
	CHECK_EQUAL(sizes.l2.sets(), 128u);
}

TEST(sizes_of_each_part_are_read)
{
	TlbSizes sizes = good("l1d=32x2,l1d2m=16x4,l1i=64x8,l1i2m=4,l2=1024x8");

	CHECK(sizes.l1d == (TlbSize { 32, 2 }));
	CHECK(sizes.l1d2m == (TlbSize { 16, 4 }));
	CHECK(sizes.l1i == (TlbSize { 64, 8 }));
	CHECK(sizes.l1i2m == (TlbSize { 4, 4 }));
	CHECK(sizes.l2 == (TlbSize { 1024, 8 }));
}

TEST(sizes_not_given_are_the_defaults)
{
	TlbSizes sizes = good("l2=512x4"), expected;

	expected.l2 = { 512, 4 };
	CHECK(sizes == expected);
}

TEST(sizes_may_be_a_single_entry_or_a_single_way)
{
	CHECK(good("l1d=1").l1d == (TlbSize { 1, 1 }));
	CHECK(good("l1d=64x1").l1d == (TlbSize { 64, 1 }));
	CHECK(good("l2=65536x16").l2 == (TlbSize { 65536, 16 }));
}

TEST(sizes_refuse_unknown_parts)
{
	for (const char *text : { "l3=64", "l1d", "=64", "1", "defaults", "L2=64", "l1d =64" })
		CHECK(refused(text, "\"" + std::string(text) + "\" is neither"));
	CHECK(refused("l2=64,", "\"\" is neither"));
	CHECK(refused("default,l2=64", "\"default\" is neither"));
}

TEST(sizes_refuse_what_is_no_number)
{
	for (const char *text : { "l2=", "l2=x", "l2=64x", "l2=x4", "l2=-64x4", "l2=+64", "l2= 64",
				  "l2=64x4x2", "l2=64kx4", "l2=0", "l2=0x4", "l2=64x0",
				  "l2=65537", "l2=99999999999999999999" })
		CHECK(refused(text, "is not ENTRIES"));
}

TEST(sizes_refuse_sets_that_are_no_power_of_two)
{
	CHECK(refused("l2=96x2", "power of two"));	/* 48 sets */
	CHECK(refused("l2=64x3", "power of two"));	/* no whole number */
	CHECK(refused("l2=13x3", "power of two"));
	CHECK(refused("l2=4x8", "power of two"));	/* less than one */
}

TEST(sizes_refuse_a_part_given_twice)
{
	CHECK(refused("l2=64,l1d=32,l2=128", "\"l2\" is given twice"));
}
