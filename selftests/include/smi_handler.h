/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An SMI handler for tests, in smi_handler.S.
 */
#ifndef SMI_HANDLER_H
#define SMI_HANDLER_H

#include <linux/types.h>

#include "test_util.h"

extern const char smi_handler[], smi_handler_end[];

/* Where it finds its orders, from SMBASE. */
#define SMI_ORDERS	0x9000

/* What the handler shall do, in 32 bits. */
struct smi_orders {
	u32 read_gpa;
	u32 read_value;
	u32 write_gpa;
	u32 write_value;
	u32 count;
};

#endif
