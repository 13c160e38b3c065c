/* SPDX-License-Identifier: GPL-2.0 */
#include "flush_hypercalls.h"

#include <cstring>

namespace tlbsan {

/* Call codes, TLFS appendix A */
enum : uint16_t {
	FLUSH_SPACE = 0x0002,
	FLUSH_LIST = 0x0003,
	FLUSH_SPACE_EX = 0x0013,
	FLUSH_LIST_EX = 0x0014,
};

/* HV_FLUSH_FLAGS */
enum : uint64_t {
	ALL_PROCESSORS = 1 << 0,
	ALL_ADDRESS_SPACES = 1 << 1,
	NON_GLOBAL_ONLY = 1 << 2,
	EXTENDED_RANGES = 1 << 3,
};

/* HV_GENERIC_SET_FORMAT */
enum : uint64_t { SET_SPARSE_4K = 0, SET_ALL = 1 };

/* Reads eight bytes at a time; what is not there makes it bad. */
class Input {
public:
	explicit Input(const std::vector<uint8_t> &bytes) : bytes(bytes) {}

	uint64_t next()
	{
		uint64_t value = 0;

		if (at + sizeof(value) > bytes.size()) {
			good = false;
			return 0;
		}
		memcpy(&value, bytes.data() + at, sizeof(value));
		at += sizeof(value);
		return value;
	}

	bool good = true;

private:
	const std::vector<uint8_t> &bytes;
	size_t at = 0;
};

static uint64_t pair(uint64_t high, uint64_t low)
{
	return high << 32 | (low & 0xffffffff);
}

uint64_t call_control(const CallRegisters &registers)
{
	return registers.wide ? registers.rcx : pair(registers.rdx, registers.rax);
}

uint64_t call_input(const CallRegisters &registers)
{
	return registers.wide ? registers.rdx : pair(registers.rbx, registers.rcx);
}

uint64_t call_second_word(const CallRegisters &registers)
{
	return registers.wide ? registers.r8 : pair(registers.rdi, registers.rsi);
}

static uint16_t code(uint64_t control)
{
	return control & 0xffff;
}

bool is_flush_call(uint64_t control)
{
	switch (code(control)) {
	case FLUSH_SPACE:
	case FLUSH_LIST:
	case FLUSH_SPACE_EX:
	case FLUSH_LIST_EX:
		return true;
	}
	return false;
}

static void add_bank(FlushCall &call, uint64_t mask, uint32_t bank)
{
	for (uint32_t bit = 0; bit < 64; bit++) {
		if (mask >> bit & 1)
			call.processors.push_back(bank * 64 + bit);
	}
}

/* None means all, which is not in the TLFS: Windows Server 2012 relies on it, and KVM obeys. */
static void read_mask(FlushCall &call, uint64_t mask)
{
	call.every_processor = !mask;
	add_bank(call, mask, 0);
}

/* HV_VP_SET: a format, which banks of 64 processors there are, and those. */
static void read_set(FlushCall &call, Input &input, unsigned banks)
{
	uint64_t format = input.next(), valid = input.next();

	if (format == SET_ALL)
		call.every_processor = true;
	else if (format != SET_SPARSE_4K)
		input.good = false;
	for (uint32_t bank = 0; bank < 64 && banks; bank++) {
		if (!(valid >> bank & 1))
			continue;
		add_bank(call, input.next(), bank);
		banks--;
	}
}

/* TLFS: bits 11:0 count the further pages of an entry. */
static Span plain_span(uint64_t entry)
{
	uint64_t first = entry & ~uint64_t(0xfff);

	return { first, first + ((entry & 0xfff) << 12) + 0xfff };
}

/*
 * The extended format: bits 10:0 count further pages, bit 11 says that they are
 * large ones, of 2 MiB or, with bit 12, of 1 GiB.  The public TLFS names the
 * flag only; OpenVMM (HvGvaRangeExtended) has the format.
 */
static Span extended_span(uint64_t entry)
{
	bool large = entry >> 11 & 1, huge = entry >> 12 & 1;
	unsigned shift = !large ? 12 : huge ? 30 : 21;
	uint64_t first = entry & (large ? ~uint64_t(0x1fffff) : ~uint64_t(0xfff));
	uint64_t pages = (entry & 0x7ff) + 1;

	return { first, first + (pages << shift) - 1 };
}

std::optional<FlushCall> read_flush_call(uint64_t control, const std::vector<uint8_t> &bytes)
{
	/* TLFS 3.7: bits 26:17 size of the variable header, 43:32 the number of entries */
	unsigned banks = control >> 17 & 0x3ff, entries = control >> 32 & 0xfff;
	bool list = code(control) == FLUSH_LIST || code(control) == FLUSH_LIST_EX;
	Input input(bytes);
	FlushCall call;

	if (!is_flush_call(control))
		return {};

	uint64_t space = input.next(), flags = input.next();

	if (!(flags & ALL_ADDRESS_SPACES))
		call.address_space = space;
	call.but_globals = flags & NON_GLOBAL_ONLY;
	if (code(control) == FLUSH_SPACE || code(control) == FLUSH_LIST)
		read_mask(call, input.next());
	else
		read_set(call, input, banks);
	if (flags & ALL_PROCESSORS)
		call.every_processor = true;

	if (!list)
		call.spans.push_back({});
	for (unsigned i = 0; list && i < entries; i++) {
		uint64_t entry = input.next();

		call.spans.push_back(flags & EXTENDED_RANGES ? extended_span(entry) :
							       plain_span(entry));
	}
	if (!input.good)
		return {};
	return call;
}

} /* namespace tlbsan */
