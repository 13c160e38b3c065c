// SPDX-License-Identifier: GPL-2.0
/*
 * Where rust_kvm_nvmx flushes less than C does.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "contexts.h"
#include "options.h"
#include "test_util.h"

#define PATH	"/sys/kernel/debug/rust_kvm_nvmx/options"

/* @stock where C decides. */
static u64 option(const char *wanted, u64 stock)
{
	FILE *file = fopen(PATH, "r");
	unsigned long value;
	char name[32];

	if (!file)
		return stock;
	while (fscanf(file, "%31s %lu", name, &value) == 2) {
		if (!strcmp(name, wanted)) {
			fclose(file);
			return value;
		}
	}
	TEST_FAIL("%s has no %s", PATH, wanted);
	return stock;
}

u64 nvmx_vpid_slots(void)
{
	return option("vpid_slots", 1);
}

bool nvmx_keeps_roots(void)
{
	return option("keep_roots", 0);
}

bool nvmx_skips_needless(void)
{
	return option("skip_needless", 0);
}

bool nvmx_flushes_own_roots(void)
{
	return kvm_has_ept() && nvmx_skips_needless();
}

const char *flush_all_counter(void)
{
	if (nvmx_flushes_own_roots())
		return "invept.single";
	return kvm_has_ept() ? "invept.all" : "invvpid.all";
}
