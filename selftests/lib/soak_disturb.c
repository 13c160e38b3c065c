// SPDX-License-Identifier: GPL-2.0
/*
 * soak: what is done to the machine while guests run in it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "hooks.h"
#include "modules.h"
#include "soak.h"
#include "split_mix.h"
#include "test_util.h"
#include "vpids.h"

#define MODULE		"rust_kvm_nvmx"
#define DIRECTORY	"/sys/kernel/debug/" MODULE
#define HOOKS		DIRECTORY "/hooks"
#define CPU		"/sys/devices/system/cpu/cpu%d/online"
#define NX_HUGE_PAGES	"/sys/module/kvm/parameters/nx_huge_pages"
#define MAX_HOOKS	64
/* The programs move themselves between the CPUs 0 and 1. */
#define FIRST_THAT_GOES	2
#define CHUNK		0x100000
#define PAGE		4096
/* Of the free memory at which the kernel begins to reclaim, in percent. */
#define SQUEEZE_TO	90

static const char *const options[] = {
	"", "", "", "vpid_slots=2", "vpid_slots=3", "vpid_slots=1", "keep_roots=0",
	"skip_needless=0", "vpid_slots=4 keep_roots=0", "start_in_c=1",
	"vpid_slots=1 keep_roots=0 skip_needless=0",
};

static const char *const caches[] = { "1", "2", "3" };

static const char *module;
static u64 state;
static enum soak_plant plant;
static struct soak_done done;
static char *hooks[MAX_HOOKS];
static int nr_hooks;
static bool loaded, cpu_is_gone;

bool soak_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == strlen(text);
	close(fd);
	return written;
}

static u64 below(u64 limit)
{
	return split_mix(&state) % limit;
}

const struct soak_done *soak_done(void)
{
	return &done;
}

/* The hooks have the same names each time, and stand in the same order. */
static void find_hooks(void)
{
	struct dirent **found;
	int i, nr;

	if (nr_hooks)
		return;
	nr = scandir(HOOKS, &found, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		if (found[i]->d_name[0] == '.')
			continue;
		TEST_ASSERT(nr_hooks < MAX_HOOKS, "More than %d hooks", MAX_HOOKS);
		hooks[nr_hooks++] = strdup(found[i]->d_name);
	}
	TEST_ASSERT(nr_hooks, "No hooks in " HOOKS);
}

/* It loses one thing when it is loaded. */
static void leak(const char *with)
{
	module_must_load(SOAK_MODULES "leaks.ko", with);
	module_must_unload("leaks");
}

static void plant_one(void)
{
	char with[64];
	int fd;

	switch (plant) {
	case PLANT_PAGE:
		leak("what=page");
		break;
	case PLANT_SLAB:
		leak("what=slab");
		break;
	case PLANT_WARN:
		leak("what=warn");
		break;
	case PLANT_VPID:
		snprintf(with, sizeof(with), "what=vpid at=0x%lx",
			 (unsigned long)kernel_address("vmx_vpid_bitmap"));
		leak(with);
		break;
	case PLANT_OBJECT:
		snprintf(with, sizeof(with), "what=object at=0x%lx",
			 (unsigned long)kernel_address("mmu_page_header_cache"));
		leak(with);
		break;
	case PLANT_REFERENCE:
		TEST_ASSERT(open(DIRECTORY "/counters", O_RDONLY) >= 0, "Cannot open the counters");
		break;
	case PLANT_VM:
		fd = open("/dev/kvm", O_RDWR);
		TEST_ASSERT(ioctl(fd, KVM_CREATE_VM, 0) >= 0, "Cannot create a VM");
		break;
	case PLANT_NOTHING:
		return;
	}
	/* A trend needs more than one; of the others one must be enough. */
	if (plant != PLANT_PAGE && plant != PLANT_SLAB)
		plant = PLANT_NOTHING;
}

static void load(void)
{
	const char *with = options[below(ARRAY_SIZE(options))];

	module_must_load(module, with);
	loaded = true;
	find_hooks();
	plant_one();
}

static void unload(void)
{
	int error;

	done.differences += hook_differences();
	error = module_unload(MODULE);
	if (error)
		printf("# soak wrong reference: " MODULE " cannot be unloaded, error %d\n", error);
	TEST_ASSERT(!error, "Unloading " MODULE ": error %d", error);
	TEST_ASSERT(access(DIRECTORY, F_OK), DIRECTORY " is still there");
	loaded = false;
	done.cycles++;
}

static void switch_hooks(void)
{
	enum hook_mode mode = below(HOOK_CHECK + 1);
	bool all = !below(4);
	int hook, i;

	if (!loaded)
		return;
	hook = below(nr_hooks);
	for (i = 0; i < nr_hooks; i++)
		if (all || i == hook)
			hook_set_mode(hooks[i], mode);
	done.switches++;
}

int soak_cpu_that_goes(void)
{
	if (get_nprocs_conf() <= FIRST_THAT_GOES || cpu_is_gone)
		return -1;
	return get_nprocs_conf() - 1;
}

static void set_cpu(bool on)
{
	char path[64];

	if (get_nprocs_conf() <= FIRST_THAT_GOES)
		return;
	snprintf(path, sizeof(path), CPU, get_nprocs_conf() - 1);
	TEST_ASSERT(soak_write(path, on ? "1" : "0"), "%s: cannot be %s", path, on ? "on" : "off");
	cpu_is_gone = !on;
	done.offline += !on;
}

static void zap(void)
{
	static bool on;

	on = !on;
	TEST_ASSERT(soak_write(NX_HUGE_PAGES, on ? "force" : "off"), "Cannot write " NX_HUGE_PAGES);
	done.zaps++;
}

static u64 meminfo_kib(const char *wanted)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib;
	char name[64];

	while (file && fscanf(file, "%63[^:]: %lu%*[^\n]\n", name, &kib) == 2) {
		if (strcmp(name, wanted))
			continue;
		fclose(file);
		return kib;
	}
	TEST_FAIL("/proc/meminfo has no %s", wanted);
	return 0;
}

static void take_until(u64 limit_kib)
{
	char *chunk;
	size_t i;

	while (meminfo_kib("MemFree") > limit_kib) {
		chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
		if (chunk == MAP_FAILED)
			return;
		/* To find huge pages takes long. */
		madvise(chunk, CHUNK, MADV_NOHUGEPAGE);
		for (i = 0; i < CHUNK; i += PAGE)
			chunk[i] = 1;
	}
}

/*
 * A process takes memory until the kernel reclaims some, and ends.  The watermarks are so high
 * that it need not take much, and that others still find some.
 */
static void squeeze(void)
{
	u64 limit = soak_zones_kib("low") * SQUEEZE_TO / 100;
	int status;
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork() failed");
	if (!pid) {
		soak_write("/proc/self/oom_score_adj", "1000");
		take_until(limit);
		usleep(20000);
		_exit(0);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid() failed");
	done.squeezes++;
}

void soak_disturb_begin(const char *path, u64 seed, enum soak_plant what)
{
	module = path;
	state = seed;
	plant = what;
	TEST_ASSERT(access("/sys/module/" MODULE, F_OK), "Unload " MODULE " first");
	TEST_ASSERT(soak_write("/proc/sys/vm/watermark_scale_factor", "3000"),
		    "Cannot set the watermarks");
	/* More cycles in the same time, and what is freed too early is missed sooner. */
	TEST_ASSERT(soak_write("/sys/kernel/rcu_expedited", "1"), "Cannot hurry RCU");
}

/* In a thousand.  What costs more instructions comes less often. */
void soak_disturb(void)
{
	u64 what = below(1000);

	if (what < 600) {
		if (loaded)
			unload();
		else
			load();
	} else if (what < 850) {
		switch_hooks();
	} else if (what < 920) {
		zap();
	} else if (what < 960) {
		set_cpu(cpu_is_gone);
	} else if (what < 975) {
		TEST_ASSERT(soak_write("/proc/sys/vm/drop_caches", caches[below(3)]),
			    "Cannot drop caches");
		done.drops++;
	} else if (what < 995) {
		TEST_ASSERT(soak_write("/proc/sys/vm/compact_memory", "1"), "Cannot compact");
		done.compactions++;
	} else {
		squeeze();
	}
	usleep(1000 * (1 + below(20)));
}

void soak_disturb_pause(void)
{
	if (loaded)
		unload();
	if (cpu_is_gone)
		set_cpu(true);
	soak_write(NX_HUGE_PAGES, "off");
}
