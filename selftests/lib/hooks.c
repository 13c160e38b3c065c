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

static const char *const mode_names[] = { "c", "rust" };

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

static u64 count_in_rust(const char *hook)
{
	FILE *file = fopen(DIRECTORY "/counters", "r");
	char name[64], wanted[64];
	unsigned long value;

	TEST_ASSERT(file, "Cannot open %s", DIRECTORY "/counters");
	snprintf(wanted, sizeof(wanted), "hook.%s.rust", hook);
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
	return mode == HOOK_C ? count_in_c(hook) : count_in_rust(hook);
}

enum hook_mode hook_mode(const char *hook)
{
	FILE *file = open_hook(hook, "r");
	char name[16] = "";

	TEST_ASSERT(fscanf(file, "%15s", name) == 1, "No mode for hook %s", hook);
	fclose(file);
	if (!strcmp(name, mode_names[HOOK_C]))
		return HOOK_C;
	TEST_ASSERT(!strcmp(name, mode_names[HOOK_RUST]), "Hook %s has mode '%s'", hook, name);
	return HOOK_RUST;
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
