/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which side handles each hook: what rust_kvm_nvmx shows in debugfs, and what kprobe
 * events count where C handles it.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <linux/types.h>

/* HOOK_CHECK: C decides, and the module compares. */
enum hook_mode { HOOK_C, HOOK_RUST, HOOK_CHECK };

/*
 * How often @hook was handled in @mode, on all CPUs: by Rust since the module
 * was loaded; by C since the kprobe events HOOK_0, HOOK_1 ... were set at its
 * call sites, which the runner of the emulated machine does.  With HOOK_CHECK, how often C
 * did what Rust would have done, at all hooks.
 */
u64 hook_count(const char *hook, enum hook_mode mode);

/* With HOOK_CHECK, how often C did something else than Rust would have done. */
u64 hook_differences(void);

/* The mode of @hook now. */
enum hook_mode hook_mode(const char *hook);

/* Does Rust decide at @hook?  Not if the module is not loaded. */
bool hook_is_rust(const char *hook);

void hook_set_mode(const char *hook, enum hook_mode mode);

#endif
