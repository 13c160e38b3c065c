/* SPDX-License-Identifier: GPL-2.0 */
/* Hyper-V's flush hypercalls, read from their input. */
#include <cstring>

#include "flush_hypercalls.h"
#include "ktap.h"

using namespace tlbsan;

static const uint64_t ALL_SPACES = 2;

static std::vector<uint8_t> input(std::initializer_list<uint64_t> words)
{
	std::vector<uint8_t> bytes(words.size() * 8);

	memcpy(bytes.data(), words.begin(), bytes.size());
	return bytes;
}

static uint64_t control(uint16_t code, uint64_t entries = 0, uint64_t banks = 0)
{
	return code | banks << 17 | entries << 32;
}

TEST(registers_of_a_call)
{
	CallRegisters registers = {
		.wide = true, .rax = 0x1111111111, .rbx = 0x2222222222, .rcx = 0x3333333333,
		.rdx = 0x4444444444, .rsi = 0x5555555555, .rdi = 0x6666666666, .r8 = 0x7777777777,
	};

	CHECK_EQUAL(call_control(registers), 0x3333333333u);
	CHECK_EQUAL(call_input(registers), 0x4444444444u);
	CHECK_EQUAL(call_second_word(registers), 0x7777777777u);
	/* EDX:EAX, EBX:ECX, EDI:ESI */
	registers.wide = false;
	CHECK_EQUAL(call_control(registers), 0x4444444411111111u);
	CHECK_EQUAL(call_input(registers), 0x2222222233333333u);
	CHECK_EQUAL(call_second_word(registers), 0x6666666655555555u);
}

TEST(only_four_calls_flush)
{
	for (uint16_t code = 0; code < 0x100; code++)
		CHECK_EQUAL(is_flush_call(code), code == 2 || code == 3 || code == 0x13 || code == 0x14);
	CHECK(is_flush_call(uint64_t(1) << 16 | 2));
	CHECK(!read_flush_call(control(0x5c), input({ 0, 0, 0 })).has_value());
}

TEST(space_names_everything_of_the_processors_in_the_mask)
{
	auto call = read_flush_call(control(2), input({ 0, ALL_SPACES, 0x8000000000000005 }));

	CHECK(call.has_value());
	if (!call)
		return;
	CHECK(!call->every_processor);
	CHECK(call->processors == std::vector<uint32_t>({ 0, 2, 63 }));
	CHECK_EQUAL(call->address_space, 0u);
	CHECK_EQUAL(call->spans.size(), 1u);
	CHECK_EQUAL(call->spans[0].first, 0u);
	CHECK_EQUAL(call->spans[0].last, ~uint64_t(0));
}

TEST(flags_are_understood)
{
	auto call = read_flush_call(control(2), input({ 0x9000, 1 | 4, 0 }));

	CHECK(call && call->every_processor && call->but_globals);
	CHECK(call && call->address_space == 0x9000);
	call = read_flush_call(control(2), input({ 0x9000, ALL_SPACES, 1 }));
	CHECK(call && !call->every_processor && !call->but_globals && !call->address_space);
}

TEST(a_mask_of_none_names_all)
{
	for (uint16_t code : { 2, 3 }) {
		auto call = read_flush_call(control(code), input({ 0, ALL_SPACES, 0 }));

		CHECK(call && call->every_processor);
	}
}

TEST(ex_with_a_set_of_none_names_none)
{
	auto call = read_flush_call(control(0x13), input({ 0, ALL_SPACES, 0, 0 }));

	CHECK(call && !call->every_processor && call->processors.empty());
}

TEST(list_names_pages)
{
	auto call = read_flush_call(control(3, 2), input({ 0, ALL_SPACES, 1, 0x7000, 0x20003 }));

	CHECK(call && call->spans.size() == 2);
	if (!call)
		return;
	CHECK_EQUAL(call->spans[0].first, 0x7000u);
	CHECK_EQUAL(call->spans[0].last, 0x7fffu);
	CHECK_EQUAL(call->spans[1].first, 0x20000u);
	CHECK_EQUAL(call->spans[1].last, 0x23fffu);
}

TEST(list_in_the_extended_format_names_large_pages)
{
	uint64_t extended = 8, large = 1 << 11, huge = 1 << 12;
	auto call = read_flush_call(control(3, 3), input({ 0, ALL_SPACES | extended, 1, 0x5000 | 2,
							   0x40000000 | large | 1,
							   0x80000000 | large | huge }));

	CHECK(call && call->spans.size() == 3);
	if (!call)
		return;
	CHECK_EQUAL(call->spans[0].last, 0x7fffu);
	CHECK_EQUAL(call->spans[1].first, 0x40000000u);
	CHECK_EQUAL(call->spans[1].last, 0x403fffffu);
	CHECK_EQUAL(call->spans[2].first, 0x80000000u);
	CHECK_EQUAL(call->spans[2].last, 0xbfffffffu);
}

TEST(ex_reads_a_sparse_set)
{
	/* banks 0 and 2: processors 1 and 128 */
	auto call = read_flush_call(control(0x14, 1, 2),
				    input({ 0, ALL_SPACES, 0, 5, 2, 1, 0x6000 }));

	CHECK(call && call->processors == std::vector<uint32_t>({ 1, 128 }));
	CHECK(call && call->spans.size() == 1 && call->spans[0].first == 0x6000);
}

TEST(ex_reads_the_set_of_all_and_skips_its_banks)
{
	auto call = read_flush_call(control(0x14, 1, 1), input({ 0, ALL_SPACES, 1, 1, 7, 0x6000 }));

	CHECK(call && call->every_processor);
	CHECK(call && call->spans[0].first == 0x6000);
}

TEST(ex_with_another_format_promises_nothing)
{
	CHECK(!read_flush_call(control(0x13), input({ 0, ALL_SPACES, 2, 0 })).has_value());
}

TEST(input_that_is_not_there_promises_nothing)
{
	CHECK(!read_flush_call(control(2), input({ 0, ALL_SPACES })).has_value());
	CHECK(!read_flush_call(control(3, 2), input({ 0, ALL_SPACES, 1, 0x7000 })).has_value());
	CHECK(!read_flush_call(control(0x13, 0, 1), input({ 0, ALL_SPACES, 0, 1 })).has_value());
}
