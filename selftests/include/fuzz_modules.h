/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nested_fuzz: who decides about flushes, C or Rust, and how that changes.
 */
#ifndef FUZZ_MODULES_H
#define FUZZ_MODULES_H

#include <stdbool.h>
#include <linux/types.h>

#include "test_util.h"

/* @path: of rust_kvm_nvmx.ko; NULL if the module stays as it is. */
void fuzz_modules_use(const char *path);

/* Others load the module and switch hooks meanwhile: any hook may be C's at any time. */
void fuzz_modules_of_others(void);

/* A run begins: load the module, until the process ends. */
void fuzz_modules_begin(void);

/* Are all hooks Rust's?  Is this one? */
bool fuzz_all_rust(void);
bool fuzz_is_rust(const char *hook);

/* How to switch a hook: one that @hook chooses, or one of those by which L1 flushes. */
enum { FUZZ_TO_RUST = 1, FUZZ_OTHERS_TO_RUST = 2, FUZZ_OF_L1 = 4 };

/* Give a hook to Rust or to C.  Nothing happens if the module stays as it is. */
void fuzz_switch_hook(u8 hook, u8 how);

/* Load the module with some options, or unload it. */
void fuzz_load_or_unload(u8 options);

#endif
