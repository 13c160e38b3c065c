// SPDX-License-Identifier: GPL-2.0
/*
 * Printing of what the emulator must have counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "processor.h"
#include "witness.h"

static unsigned int expected;
static pid_t owner;

/* A line that does not reach the runner would be an expectation less. */
static void print_total(void)
{
	if (getpid() == owner)
		printf("# witness total %u\n", expected);
}

void witness_expect(const char *region, const char *counter, const char *op, u64 n)
{
	if (!expected++) {
		owner = getpid();
		atexit(print_total);
	}
	printf("# witness %s %s %s %lu\n", region, counter, op, (unsigned long)n);
}

void witness_expect_page(const char *region, u64 gva, u64 n)
{
	char counter[64];

	snprintf(counter, sizeof(counter), "invvpid.addr.page.%lx",
		 (unsigned long)gva >> PAGE_SHIFT);
	witness_expect(region, counter, "==", n);
}

void witness_flushes(const char *region, const char *seen, const struct flushes *want)
{
	/* A region that never was must not pass as one without flushes. */
	witness_expect(region, seen, ">=", 1);

	witness_expect(region, "invvpid.addr", "==", want->addr01 + want->addr02);
	witness_expect(region, "invvpid.addr.vpid01", "==", want->addr01);
	witness_expect(region, "invvpid.addr.vpid02", "==", want->addr02);
	witness_expect(region, "invvpid.single", "==",
		       want->single01 + want->single02 + want->single_other);
	witness_expect(region, "invvpid.single.vpid01", "==", want->single01);
	witness_expect(region, "invvpid.single.vpid02", "==", want->single02);
	witness_expect(region, "invvpid.single.other", "==", want->single_other);
	witness_expect(region, "invvpid.all", "==", want->all_contexts);
	witness_expect(region, "invvpid.nonglobal", "==", 0);
	witness_expect(region, "invept.single", "==", want->invept_single + want->invept_other);
	/* The root of another context would be the wrong one. */
	witness_expect(region, "invept.single.current", "==", want->invept_single);
	witness_expect(region, "invept.all", "==", want->invept_all);
}
