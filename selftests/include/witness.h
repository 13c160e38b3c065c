/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulator's counters: it counts what the CPU executes, by regions that are
 * marked from inside the emulated machine, and the runner of the tests compares
 * the counts with what the test printed.
 *
 * A mark is a prefetch of an address that no program has, one for each
 * character of the region's name.  Any CPU ignores it, the emulator reads it.
 * It needs no privilege and causes no exit, so a region may begin in L1 and
 * end in L2.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <linux/types.h>

#include "test_util.h"

/* The region that belongs to no rule: what happens there is not judged. */
#define UNJUDGED "unjudged"

static __always_inline void witness_prefetch(unsigned char c)
{
	__asm__ __volatile__("prefetcht0 (%0)"
			     : : "r"(0x5453414e00000000ul | c) : "memory");
}

/* Close the current region and start the one named @region@suffix. */
static __always_inline void witness_mark_part(const char *region, const char *suffix)
{
	while (*region)
		witness_prefetch(*region++);
	while (*suffix)
		witness_prefetch(*suffix++);
	witness_prefetch('\n');
}

static __always_inline void witness_mark(const char *region)
{
	witness_mark_part(region, "");
}

/*
 * What the CPUs executed in a region, all its occurrences together.  Whatever
 * is 0 here must be 0: a needless flush is an error as well as a missing one.
 */
struct flushes {
	u64 addr01;		/* INVVPID individual-address on vpid01 */
	u64 addr02;		/* ... on vpid02 */
	u64 single01;		/* INVVPID single-context on vpid01 */
	u64 single02;
	u64 single_other;	/* ... on a VPID that is no VMCS's now: new, or parked */
	u64 all_contexts;	/* INVVPID all-contexts */
	u64 invept_single;	/* INVEPT single-context, of the current VMCS's root */
	u64 invept_other;	/* ... of another root that the vCPU has */
	u64 invept_all;
};

/* @region's @counter must be @op @n; @op is one of == != >= <=. */
void witness_expect(const char *region, const char *counter, const char *op, u64 n);

/* INVVPID individual-address @n times for the page of @gva, on any VPID. */
void witness_expect_page(const char *region, u64 gva, u64 n);

/* Exactly @want, in a region that was entered (seen by @seen >= 1). */
void witness_flushes(const char *region, const char *seen, const struct flushes *want);

#endif
