// SPDX-License-Identifier: GPL-2.0
/*
 * What INVVPID and INVEPT cost the kernel that this runs on, by type and number of pages, as
 * invalidation_cost/ measures it: "# cost NAME PAGES MINIMUM MEDIAN", in cycles.
 *
 * The emulator counts that each was executed as often as it was timed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "modules.h"
#include "processor.h"
#include "test_util.h"
#include "witness.h"

#define MODULE		"invalidation_cost"
#define RESULTS		"/sys/kernel/debug/" MODULE

struct kind {
	const char *name;
	/* What the emulator calls it. */
	const char *counter;
	int max_pages;
	unsigned long executed;
};

static struct kind kinds[] = {
	{ "nothing", NULL, 1 },
	{ "invvpid.address", "invvpid.addr", 512 },
	{ "invvpid.single", "invvpid.single", 1 },
	{ "invvpid.nonglobal", "invvpid.nonglobal", 1 },
	{ "invvpid.all", "invvpid.all", 1 },
	{ "invept.single", "invept.single", 1 },
	{ "invept.all", "invept.all", 1 },
};

static struct kind *kind_of(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	}
	TEST_FAIL("No kind %s", name);
	return NULL;
}

static void take_row(const char *name, int pages, unsigned long min, unsigned long median,
		     int loops)
{
	struct kind *kind = kind_of(name);

	TEST_ASSERT(pages > 0 && pages <= kind->max_pages, "%s for %d pages", name, pages);
	TEST_ASSERT(min && min <= median, "%s: minimum %lu, median %lu", name, min, median);
	kind->executed += (unsigned long)loops * pages;
	printf("# cost %s %d %lu %lu\n", name, pages, min, median);
}

int main(int argc, char *argv[])
{
	unsigned long min, median;
	int loops, pages, i;
	char parameters[32], name[64];
	FILE *file;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_ASSERT(argc == 3, "Usage: %s .../" MODULE ".ko SAMPLES", argv[0]);
	loops = atoi_positive("samples", argv[2]);
	pin_self_to_any_cpu();

	snprintf(parameters, sizeof(parameters), "loops=%d", loops);
	module_must_load(argv[1], parameters);
	module_unload_at_exit(MODULE);

	file = fopen(RESULTS, "r");
	TEST_ASSERT(file, "Cannot open " RESULTS);
	witness_mark("cost");
	pages = fgetc(file);
	witness_mark(UNJUDGED);
	TEST_ASSERT(pages != EOF, "Nothing was measured: see the kernel log");
	ungetc(pages, file);
	while (fscanf(file, "%63s %d %lu %lu", name, &pages, &min, &median) == 4)
		take_row(name, pages, min, median, loops);
	TEST_ASSERT(feof(file), RESULTS " has a line that is none");
	fclose(file);

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].counter)
			witness_expect("cost", kinds[i].counter, "==", kinds[i].executed);
	}
	/* Each VMX CPU with VPIDs has one of these at least. */
	TEST_ASSERT(kind_of("invvpid.all")->executed || kind_of("invept.all")->executed,
		    "Neither INVVPID nor INVEPT was measured");
	return 0;
}
