/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An L2's read of its APIC-access page, and L1's step over it.
 */
#ifndef APIC_ACCESS_H
#define APIC_ACCESS_H

#include "contexts.h"

/* L2: read @address. L1 need not preserve a register if it exits. */
void l2_read_apic_page(const u64 *address);

/* L1: after an exit for l2_read_apic_page(). */
void l1_skip_apic_read(void);

#endif
