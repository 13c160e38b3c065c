/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rust_kvm_nvmx shows in debugfs: the mode of each hook, and counters.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <linux/types.h>

enum hook_mode { HOOK_C, HOOK_RUST };

/* How often @hook ran in @mode, on all CPUs since the module was loaded. */
u64 hook_count(const char *hook, enum hook_mode mode);

/* The mode of @hook now. */
enum hook_mode hook_mode(const char *hook);

/* Does Rust decide at @hook?  Not if the module is not loaded. */
bool hook_is_rust(const char *hook);

void hook_set_mode(const char *hook, enum hook_mode mode);

#endif
