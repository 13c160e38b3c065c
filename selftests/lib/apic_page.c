// SPDX-License-Identifier: GPL-2.0
/*
 * Where KVM has mapped the page of L1's local APIC, or will.
 */
#include <sys/mman.h>

#include "apic_page.h"

#define MAX_GAPS	100000

void *apic_page_find(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	void *found = NULL;
	char line[256];

	TEST_ASSERT(maps, "Cannot read /proc/self/maps");
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "/dev/zero") ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2 || end - start != PAGE_SIZE)
			continue;
		TEST_ASSERT(!found, "More than one page that could be the APIC's");
		found = (void *)start;
	}
	fclose(maps);
	TEST_ASSERT(found, "No page that could be the APIC's");
	return found;
}

/* The kernel takes the highest gap that is large enough: fill those above, and leave one. */
void *apic_page_reserve(size_t size)
{
	void *memory = kvm_mmap(size + PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int i;

	for (i = 0; i < MAX_GAPS; i++)
		if (kvm_mmap(PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1) < memory)
			break;
	kvm_munmap(memory + size, PAGE_SIZE);
	return memory;
}
