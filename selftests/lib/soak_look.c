// SPDX-License-Identifier: GPL-2.0
/*
 * soak: what is looked at while no guest runs and the module is not loaded.
 */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"
#include "test_util.h"
#include "vpids.h"

#define SLABS		"/sys/kernel/slab"
#define VPIDS_USED	SOAK_MODULES "vpids_used.ko"
#define MAX_THREAD	300

/* What must be as it was.  A trend of the others is for the host to judge. */
enum { VPIDS, VMS, KVM_USERS, INTEL_USERS, MODULES, CPUS, NR_EXACT };

static const char *const exact_names[NR_EXACT] = {
	"vpids", "vms", "kvm_users", "kvm_intel_users", "modules", "cpus",
};

/* Of /proc/meminfo. */
static const char *const memory_names[] = {
	"MemFree", "Buffers", "Cached", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables",
	"VmallocUsed", "Percpu", "AnonPages",
};

static s64 number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	long number;

	TEST_ASSERT(file && fscanf(file, "%ld", &number) == 1, "No number in %s", path);
	fclose(file);
	return number;
}

static s64 directories_in(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	s64 nr = 0;

	TEST_ASSERT(directory, "Cannot open %s", path);
	while ((entry = readdir(directory)))
		nr += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	closedir(directory);
	return nr;
}

static s64 lines_in(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512];
	s64 nr = 0;

	TEST_ASSERT(file, "Cannot open %s", path);
	while (fgets(line, sizeof(line), file))
		nr++;
	fclose(file);
	return nr;
}

static void read_exact(s64 *figures)
{
	figures[VPIDS] = vpids_used(VPIDS_USED);
	figures[VMS] = directories_in("/sys/kernel/debug/kvm");
	figures[KVM_USERS] = number_in("/sys/module/kvm/refcnt");
	figures[INTEL_USERS] = number_in("/sys/module/kvm_intel/refcnt");
	figures[MODULES] = lines_in("/proc/modules");
	figures[CPUS] = sysconf(_SC_NPROCESSORS_ONLN);
}

u64 soak_zones_kib(const char *what)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	unsigned long pages, sum = 0;
	char line[128], name[32];

	TEST_ASSERT(file, "Cannot open /proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %31s %lu", name, &pages) == 2 && !strcmp(name, what))
			sum += pages;
	fclose(file);
	return sum * 4;
}

/* How often the thread that reclaims memory has slept: it was woken as often. */
static u64 reclaims(void)
{
	static char path[64];
	unsigned long nr = 0;
	char line[128];
	FILE *file;
	int pid;

	for (pid = 2; !*path && pid < MAX_THREAD; pid++) {
		snprintf(line, sizeof(line), "/proc/%d/comm", pid);
		file = fopen(line, "r");
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file) && !strcmp(line, "kswapd0\n"))
			snprintf(path, sizeof(path), "/proc/%d/status", pid);
		fclose(file);
	}
	file = fopen(path, "r");
	TEST_ASSERT(file, "There is no kswapd0 among the first %d threads", MAX_THREAD);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "voluntary_ctxt_switches: %lu", &nr);
	fclose(file);
	return nr;
}

static void print_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib;
	char name[64];
	int i;

	printf(" reclaims=%lu FreeOfCPUs=%lu", (unsigned long)reclaims(),
	       (unsigned long)soak_zones_kib("count:"));
	TEST_ASSERT(file, "Cannot open /proc/meminfo");
	while (fscanf(file, "%63[^:]: %lu%*[^\n]\n", name, &kib) == 2)
		for (i = 0; i < ARRAY_SIZE(memory_names); i++)
			if (!strcmp(name, memory_names[i]))
				printf(" %s=%lu", name, kib);
	fclose(file);
}

/* What caches of the slab allocator keep for later is not in use. */
static void shrink_slabs(void)
{
	DIR *directory = opendir(SLABS);
	struct dirent *entry;
	char path[300];

	/* SLUB_TINY has none, and keeps less. */
	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), SLABS "/%s/shrink", entry->d_name);
		soak_write(path, "1");
	}
	closedir(directory);
}

/* What is in use of each cache, where the kernel says so. */
static void print_slabs(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	unsigned long active, size;
	char line[512], name[64];

	if (!file)
		return;
	printf("# soak slabs");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lu %*u %lu", name, &active, &size) == 3)
			printf(" %s=%lu", name, active * size);
	printf("\n");
	fclose(file);
}

int soak_look(void)
{
	static s64 first[NR_EXACT];
	static bool looked;
	s64 now[NR_EXACT];
	int i, wrong = 0;

	/* What was freed is free after a grace period. */
	soak_write("/proc/sys/vm/drop_caches", "3");
	usleep(200000);
	shrink_slabs();
	read_exact(now);
	if (!looked)
		memcpy(first, now, sizeof(first));
	looked = true;

	printf("# soak look");
	for (i = 0; i < NR_EXACT; i++)
		printf(" %s=%ld", exact_names[i], (long)now[i]);
	print_memory();
	printf("\n");
	print_slabs();
	for (i = 0; i < NR_EXACT; i++) {
		if (now[i] == first[i])
			continue;
		printf("# soak wrong %s: %ld, was %ld\n", exact_names[i], (long)now[i],
		       (long)first[i]);
		wrong++;
	}
	fflush(stdout);
	return wrong;
}
