// SPDX-License-Identifier: GPL-2.0
/*
 * Which side handles each hook: what rust_kvm_nvmx shows in debugfs, and what kprobe
 * events count where C handles it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hooks.h"
#include "test_util.h"

#define DIRECTORY	"/sys/kernel/debug/rust_kvm_nvmx"
#define PROFILE		"/sys/kernel/tracing/kprobe_profile"

static const char *const mode_names[] = { "c", "rust", "check" };

static FILE *open_hook(const char *hook, const char *how)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), DIRECTORY "/hooks/%s", hook);
	file = fopen(path, how);
	TEST_ASSERT(file, "Cannot open %s", path);
	return file;
}

/* Is @event one of those that count @hook: HOOK_0, HOOK_1 ...? */
static bool event_counts(const char *event, const char *hook)
{
	size_t length = strlen(hook);

	if (strncmp(event, hook, length) || event[length] != '_')
		return false;
	event += length + 1;
	return *event && !event[strspn(event, "0123456789")];
}

static u64 count_in_c(const char *hook)
{
	unsigned long hits, missed;
	bool counted = false;
	char event[64];
	u64 sum = 0;
	FILE *file;

	file = fopen(PROFILE, "r");
	TEST_ASSERT(file, "Cannot open %s", PROFILE);
	while (fscanf(file, "%63s %lu %lu", event, &hits, &missed) == 3) {
		if (!event_counts(event, hook))
			continue;
		counted = true;
		sum += hits + missed;
	}
	fclose(file);
	TEST_ASSERT(counted, "No kprobe event %s_0 counts hook %s in C", hook, hook);
	return sum;
}

static u64 count_in_module(const char *wanted)
{
	FILE *file = fopen(DIRECTORY "/counters", "r");
	unsigned long value;
	char name[64];

	TEST_ASSERT(file, "Cannot open %s", DIRECTORY "/counters");
	while (fscanf(file, "%63s %lu", name, &value) == 2) {
		if (!strcmp(name, wanted)) {
			fclose(file);
			return value;
		}
	}
	TEST_FAIL("No counter %s", wanted);
	return 0;
}

u64 hook_count(const char *hook, enum hook_mode mode)
{
	char name[64];

	if (mode == HOOK_C)
		return count_in_c(hook);
	if (mode == HOOK_CHECK)
		return count_in_module("check.same");
	snprintf(name, sizeof(name), "hook.%s.rust", hook);
	return count_in_module(name);
}

u64 hook_differences(void)
{
	return count_in_module("check.different");
}

enum hook_mode hook_mode(const char *hook)
{
	FILE *file = open_hook(hook, "r");
	enum hook_mode mode;
	char name[16] = "";

	TEST_ASSERT(fscanf(file, "%15s", name) == 1, "No mode for hook %s", hook);
	fclose(file);
	for (mode = HOOK_C; mode <= HOOK_CHECK; mode++)
		if (!strcmp(name, mode_names[mode]))
			return mode;
	TEST_FAIL("Hook %s has mode '%s'", hook, name);
	return HOOK_C;
}

bool hook_is_rust(const char *hook)
{
	return !access(DIRECTORY, F_OK) && hook_mode(hook) == HOOK_RUST;
}

void hook_set_mode(const char *hook, enum hook_mode mode)
{
	FILE *file = open_hook(hook, "w");

	fputs(mode_names[mode], file);
	TEST_ASSERT(!fclose(file), "Mode '%s' refused for hook %s", mode_names[mode], hook);
}
