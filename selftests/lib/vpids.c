// SPDX-License-Identifier: GPL-2.0
/*
 * How many VPIDs kvm_intel has given away.
 */
#include <stdio.h>
#include <string.h>

#include "modules.h"
#include "test_util.h"
#include "vpids.h"

#define NAME	"vpids_used"
#define USED	"/sys/module/" NAME "/parameters/used"

u64 kernel_address(const char *symbol)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long address;
	char line[512], name[256];

	TEST_ASSERT(file, "Cannot open /proc/kallsyms");
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, symbol))
			continue;
		if (sscanf(line, "%lx %*c %255s", &address, name) != 2 || strcmp(name, symbol))
			continue;
		fclose(file);
		TEST_ASSERT(address, "/proc/kallsyms hides the addresses");
		return address;
	}
	TEST_FAIL("/proc/kallsyms has no %s", symbol);
	return 0;
}

int vpids_used(const char *module)
{
	static u64 bitmap;
	char with[32];
	FILE *file;
	int used;

	/* An emulated CPU takes some seconds for all of the names. */
	if (!bitmap)
		bitmap = kernel_address("vmx_vpid_bitmap");
	snprintf(with, sizeof(with), "at=0x%lx", (unsigned long)bitmap);
	module_must_load(module, with);
	file = fopen(USED, "r");
	TEST_ASSERT(file && fscanf(file, "%d", &used) == 1, "No number in " USED);
	fclose(file);
	module_must_unload(NAME);
	return used;
}
