// SPDX-License-Identifier: GPL-2.0
/*
 * nested_fuzz: who decides about flushes, C or Rust, and how that changes.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz_modules.h"
#include "hooks.h"
#include "modules.h"

#define MODULE	"rust_kvm_nvmx"
#define HOOKS	"/sys/kernel/debug/" MODULE "/hooks"

static const char *module;
static bool loaded, of_others;
static int nr_hooks;
static struct dirent **hooks;
static u32 in_c;	/* a bit for each hook */

/* The defaults, and fewer VPIDs than L2s. */
static const char *const options[] = {
	"", "", "vpid_slots=2", "vpid_slots=3", "vpid_slots=1", "keep_roots=0", "skip_needless=0",
	"vpid_slots=4 keep_roots=0",
};

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void fuzz_modules_of_others(void)
{
	of_others = true;
}

void fuzz_modules_use(const char *path)
{
	if (of_others)
		return;
	module = path;
	loaded = !access(HOOKS, F_OK);
	in_c = loaded && !hook_is_rust("hv_flush_tlb");
	TEST_ASSERT(!path || !loaded, "Unload " MODULE " first");
}

static void load(const char *with)
{
	module_must_load(module, with);
	loaded = true;
	in_c = 0;
	if (hooks)
		return;
	nr_hooks = scandir(HOOKS, &hooks, is_visible, alphasort);
	TEST_ASSERT(nr_hooks > 0 && nr_hooks <= 32, "%d hooks in " HOOKS, nr_hooks);
}

static void unload(void)
{
	if (loaded)
		module_unload(MODULE);
}

void fuzz_modules_begin(void)
{
	if (!module)
		return;
	atexit(unload);
	load("");
}

bool fuzz_all_rust(void)
{
	return loaded && !in_c;
}

static int hook_by_name(const char *name)
{
	int i;

	for (i = 0; i < nr_hooks; i++)
		if (!strcmp(hooks[i]->d_name, name))
			return i;
	TEST_FAIL("No hook %s", name);
}

bool fuzz_is_rust(const char *hook)
{
	return loaded && !(in_c && in_c & (1u << hook_by_name(hook)));
}

static void switch_hook(int hook, bool rust)
{
	hook_set_mode(hooks[hook]->d_name, rust ? HOOK_RUST : HOOK_C);
	if (rust)
		in_c &= ~(1u << hook);
	else
		in_c |= 1u << hook;
}

void fuzz_switch_hook(u8 number, u8 how)
{
	/* What L2s at rest have goes stale by these. */
	static const char *const of_l1[] = { "handle_invvpid", "handle_invept", "hv_flush_tlb" };
	int hook, i;

	if (!module || !loaded)
		return;
	hook = how & FUZZ_OF_L1 ? hook_by_name(of_l1[number % ARRAY_SIZE(of_l1)]) :
				  number % nr_hooks;
	switch_hook(hook, how & FUZZ_TO_RUST);
	for (i = 0; how & FUZZ_OTHERS_TO_RUST && i < nr_hooks; i++)
		if (i != hook && in_c & (1u << i))
			switch_hook(i, true);
}

void fuzz_load_or_unload(u8 number)
{
	if (!module)
		return;
	if (!loaded) {
		load(options[number % ARRAY_SIZE(options)]);
		return;
	}
	module_must_unload(MODULE);
	loaded = false;
}
