/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which side handles each hook: what rust_kvm_nvmx shows in debugfs, and what kprobe
 * events count where C handles it.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <linux/types.h>

enum hook_mode { HOOK_C, HOOK_RUST };

/*
 * How often @hook was handled in @mode, on all CPUs: by Rust since the module
 * was loaded; by C since the kprobe events HOOK_0, HOOK_1 ... were set at its
 * call sites, which the runner of the emulated machine does.
 */
u64 hook_count(const char *hook, enum hook_mode mode);

/* The mode of @hook now. */
enum hook_mode hook_mode(const char *hook);

/* Does Rust decide at @hook?  Not if the module is not loaded. */
bool hook_is_rust(const char *hook);

void hook_set_mode(const char *hook, enum hook_mode mode);

#endif
