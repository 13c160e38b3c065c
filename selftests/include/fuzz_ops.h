/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nested_fuzz's operations: what one piece of the string of bytes stands for.
 */
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include <stdbool.h>
#include <linux/types.h>

#include "test_util.h"

/* @what: which operation, the others are for it to read. */
struct fuzz_op {
	u8 what, a, b, c;
};

/* @verbose: with a line that names it. */
void fuzz_carry_out(const struct fuzz_op *op, bool verbose);

#endif
