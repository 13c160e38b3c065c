// SPDX-License-Identifier: GPL-2.0
/*
 * The forms that hv_forms tries: what is called, and what comes of it.  A call
 * names the target in its mask or, in the EX calls, in the first of its banks.
 */
#include "flush_call.h"
#include "hv_form_list.h"

#define ME		BIT(TARGET)
#define OTHER		BIT(40)
#define ALL		HV_FLUSH_ALL_PROCESSORS
#define EXTENDED	HV_FLUSH_USE_EXTENDED_RANGE_FORMAT
#define LARGE		BIT(11)
#define GIGANTIC	(BIT(11) | BIT(12))
#define REP_START(n)	((u64)(n) << 48)
#define RESERVED	BIT_ULL(27)
#define MISPLACED	4	/* HV_STATUS_INVALID_ALIGNMENT */

#define WANT(status, flushed)	.want = { status, flushed }
#define C_DOES(status, flushed)	.in_c = { status, flushed }, .c_is_wrong = true

const struct form hv_forms[] = {
	/* HvFlushVirtualAddressSpace */
	{ "space", SPACE, .set = ME, WANT(OK, EVERYTHING) },
	{ "space, mask of nobody here", SPACE, .set = OTHER, WANT(OK, NOTHING) },
	{ "space, empty mask means all", SPACE, WANT(OK, EVERYTHING) },
	{ "space, flag means all", SPACE, .flags = ALL, .set = OTHER, WANT(OK, EVERYTHING) },
	{ "space, fast", SPACE, .control = FAST, .set = ME, WANT(OK, EVERYTHING) },
	{ "space, fast, nobody here", SPACE, .control = FAST, .set = OTHER, WANT(OK, NOTHING) },
	{ "space, variable header", SPACE, .banks = 1, .set = ME, WANT(BAD, NOTHING) },
	{ "space, repetitions", SPACE, .reps = 1, .set = ME, WANT(BAD, NOTHING) },
	{ "space, start", SPACE, .control = REP_START(1), .set = ME, WANT(BAD, NOTHING) },
	{ "space, reserved bit", SPACE, .control = RESERVED, .set = ME, WANT(BAD, NOTHING) },

	/* HvFlushVirtualAddressList */
	{ "list of 1", LIST, .reps = 1, .set = ME, WANT(OK, 1) },
	{ "list of 15", LIST, .reps = 15, .set = ME, WANT(OK, 15) },
	{ "list of 16", LIST, .reps = 16, .set = ME, WANT(OK, EVERYTHING) },
	{ "list of 509 fills the page", LIST, .reps = 509, .set = ME, WANT(OK, EVERYTHING) },
	{ "list of 510 does not fit", LIST, .reps = 510, .set = ME, WANT(MISPLACED, NOTHING),
	  C_DOES(OK, EVERYTHING) },
	{ "list of 4095 does not fit", LIST, .reps = 4095, .set = ME, WANT(MISPLACED, NOTHING),
	  C_DOES(OK, EVERYTHING) },
	{ "list of none", LIST, .set = ME, WANT(BAD, NOTHING) },
	{ "list, start", LIST, .reps = 2, .control = REP_START(1), .set = ME, WANT(BAD, NOTHING) },
	{ "list, variable header", LIST, .reps = 1, .banks = 1, .set = ME, WANT(BAD, NOTHING) },
	{ "list, nobody here", LIST, .reps = 3, .set = OTHER, WANT(OK, NOTHING) },
	{ "list, empty mask means all", LIST, .reps = 3, WANT(OK, 3) },
	{ "list, fast", LIST, .control = FAST, .reps = 11, .set = ME, WANT(OK, 11) },
	{ "list, fast, too long", LIST, .control = FAST, .reps = 12, .set = ME,
	  WANT(BAD, NOTHING) },
	{ "list, fast, far too long", LIST, .control = FAST, .reps = 16, .set = ME,
	  WANT(BAD, NOTHING), C_DOES(OK, EVERYTHING) },
	{ "list of 2 times 3 pages", LIST, .reps = 2, .set = ME, .range = 2, WANT(OK, 6) },
	{ "list of 512 pages", LIST, .reps = 1, .set = ME, .range = 511, WANT(OK, 512) },
	{ "list of 513 pages", LIST, .reps = 1, .set = ME, .range = 512, WANT(OK, EVERYTHING),
	  C_DOES(OK, 513) },
	{ "list of 14 times 37 pages", LIST, .reps = 14, .set = ME, .range = 36,
	  WANT(OK, EVERYTHING), C_DOES(OK, 518) },
	{ "list of addresses that are not canonical", LIST, .reps = 3, .set = ME,
	  .range = BIT_ULL(63) | 3, WANT(OK, SKIPPED) },
	{ "list, extended, 3 pages", LIST, .reps = 1, .flags = EXTENDED, .set = ME, .range = 2,
	  WANT(OK, 3) },
	{ "list, extended, one of 2 MiB", LIST, .reps = 1, .flags = EXTENDED, .set = ME,
	  .range = LARGE, WANT(OK, 512), C_DOES(OK, 2049) },
	{ "list, extended, two of 2 MiB", LIST, .reps = 1, .flags = EXTENDED, .set = ME,
	  .range = LARGE | 1, WANT(OK, EVERYTHING), C_DOES(OK, 2050) },
	{ "list, extended, one of 1 GiB", LIST, .reps = 1, .flags = EXTENDED, .set = ME,
	  .range = GIGANTIC, WANT(OK, EVERYTHING), C_DOES(OK, 2049) },

	{ "list of 3 that overlap", LIST, .reps = 3, .set = ME, .range = 2, .step = PAGE_SIZE,
	  WANT(OK, 9), .joined = 5 },
	{ "list of 3 that overlap, downwards", LIST, .reps = 3, .set = ME, .range = 2,
	  .step = -PAGE_SIZE, WANT(OK, 9), .joined = 5 },
	{ "list of 4 that adjoin", LIST, .reps = 4, .set = ME, .range = 1, .step = 2 * PAGE_SIZE,
	  WANT(OK, 8), .joined = 8 },
	{ "list, extended, the same 2 MiB three times", LIST, .reps = 3, .flags = EXTENDED,
	  .set = ME, .range = LARGE, .step = 2 * PAGE_SIZE, WANT(OK, EVERYTHING),
	  C_DOES(OK, 3 * 2049), .joined = 512 },

	/* HvFlushVirtualAddressSpaceEx */
	{ "space ex", SPACE_EX, .banks = 1, .set = 1, WANT(OK, EVERYTHING) },
	{ "space ex, another bank", SPACE_EX, .banks = 1, .set = 2, WANT(OK, NOTHING) },
	{ "space ex, all 64 banks", SPACE_EX, .banks = 64, .set = ~0ul, WANT(OK, EVERYTHING) },
	{ "space ex, a bank too few", SPACE_EX, .banks = 1, .set = 3, WANT(BAD, NOTHING) },
	{ "space ex, a bank too many", SPACE_EX, .banks = 2, .set = 1, WANT(BAD, NOTHING) },
	{ "space ex, no banks for all", SPACE_EX, .format = HV_SET_ALL, .set = 1,
	  WANT(BAD, NOTHING) },
	{ "space ex, 65 banks", SPACE_EX, .banks = 65, .set = ~0ul, WANT(BAD, NOTHING) },
	{ "space ex, all", SPACE_EX, .format = HV_SET_ALL, WANT(OK, EVERYTHING) },
	{ "space ex, all, with a bank", SPACE_EX, .format = HV_SET_ALL, .banks = 1, .set = 2,
	  WANT(OK, EVERYTHING) },
	{ "space ex, unknown format means all", SPACE_EX, .format = 2, WANT(OK, EVERYTHING) },
	{ "space ex, empty set", SPACE_EX, WANT(OK, NOTHING) },
	{ "space ex, empty set, flag means all", SPACE_EX, .flags = ALL, WANT(OK, EVERYTHING),
	  C_DOES(OK, NOTHING) },
	{ "space ex, repetitions", SPACE_EX, .reps = 1, .format = HV_SET_ALL, WANT(BAD, NOTHING) },
	{ "space ex, fast", SPACE_EX, .control = FAST, .banks = 10, .set = 0x3ff,
	  WANT(OK, EVERYTHING) },
	{ "space ex, fast, too many banks", SPACE_EX, .control = FAST, .banks = 11, .set = 0x7ff,
	  WANT(BAD, NOTHING) },

	/* HvFlushVirtualAddressListEx */
	{ "list ex", LIST_EX, .banks = 1, .reps = 3, .set = 1, WANT(OK, 3) },
	{ "list ex, after two banks", LIST_EX, .banks = 2, .reps = 4, .set = 3, WANT(OK, 4) },
	{ "list ex, all, after two banks", LIST_EX, .banks = 2, .reps = 5,
	  .format = HV_SET_ALL, .set = 3, WANT(OK, 5) },
	{ "list ex, 64 banks, 15 ranges", LIST_EX, .banks = 64, .reps = 15, .set = ~0ul,
	  WANT(OK, 15) },
	{ "list ex, 16 ranges", LIST_EX, .banks = 1, .reps = 16, .set = 1, WANT(OK, EVERYTHING) },
	{ "list ex, empty set", LIST_EX, .reps = 2, WANT(OK, NOTHING) },
	{ "list ex, empty set, flag means all", LIST_EX, .reps = 2, .flags = ALL, WANT(OK, 2),
	  C_DOES(OK, NOTHING) },
	{ "list ex of none", LIST_EX, .banks = 1, .set = 1, WANT(BAD, NOTHING) },
	{ "list ex, fast", LIST_EX, .control = FAST, .banks = 1, .reps = 9, .set = 1, WANT(OK, 9) },
	{ "list ex, fast, all, after a bank", LIST_EX, .control = FAST, .banks = 1, .reps = 9,
	  .format = HV_SET_ALL, .set = 1, WANT(OK, 9) },
	{ "list ex, fast, too long", LIST_EX, .control = FAST, .banks = 1, .reps = 10, .set = 1,
	  WANT(BAD, NOTHING) },

	/* Where slow calls have their input */
	{ "at the page's end", SPACE, .set = ME, .place = PAGE_SIZE - 24, WANT(OK, EVERYTHING) },
	{ "beyond the page's end", SPACE, .set = ME, .place = PAGE_SIZE - 16,
	  WANT(MISPLACED, NOTHING), C_DOES(OK, EVERYTHING) },
	{ "list beyond the page's end", LIST, .reps = 2, .set = ME, .place = PAGE_SIZE - 32,
	  WANT(MISPLACED, NOTHING), C_DOES(OK, 2) },
	{ "misaligned by 4", SPACE, .set = ME, .place = 4, WANT(MISPLACED, NOTHING),
	  C_DOES(OK, EVERYTHING) },
	{ "misaligned by 1", LIST_EX, .banks = 1, .reps = 1, .set = 1, .place = 0x801,
	  WANT(MISPLACED, NOTHING), C_DOES(OK, 1) },
	{ "in MMIO", SPACE, .set = ME, .place = MMIO, WANT(BAD, NOTHING) },
	{ "nowhere", LIST, .reps = 1, .set = ME, .place = HOLE, WANT(BAD, NOTHING) },
	{ "in a slot", LIST, .reps = 2, .set = ME, .place = GONE, WANT(OK, 2) },
	{ "in a slot that is gone", LIST, .reps = 2, .set = ME, .place = GONE, WANT(BAD, NOTHING) },
	{ "in a slot that is back", SPACE_EX, .banks = 1, .set = 1, .place = GONE,
	  WANT(OK, EVERYTHING) },
	{ "at L2's address for L1's page", LIST, .reps = 2, .set = ME, .place = FOR_L2,
	  WANT(OK, 2) },
	{ "in a page that is not L2's", LIST, .reps = 2, .set = ME, .place = NOT_FOR_L2,
	  WANT(OK, 2) },
};

const int nr_hv_forms = ARRAY_SIZE(hv_forms);
