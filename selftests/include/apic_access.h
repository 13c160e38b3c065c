/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An L2's APIC-access page, its read of that page, and L1's step over it.
 */
#ifndef APIC_ACCESS_H
#define APIC_ACCESS_H

#include "contexts.h"

/* L1: give the L2 of the current VMCS this page; 0: none. */
void l1_set_apic_page(gpa_t gpa);

/* L2: read @address. L1 need not preserve a register if it exits. */
void l2_read_apic_page(const u64 *address);

/* L1: after an exit for l2_read_apic_page(). */
void l1_skip_apic_read(void);

#endif
