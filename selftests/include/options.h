/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where rust_kvm_nvmx flushes less than C does, as it says in debugfs.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <linux/types.h>

/* VPIDs that the L2s of a vCPU may have; 1 where C decides. */
u64 nvmx_vpid_slots(void);

/* Are the roots of L1's EPTs kept over VMPTRLD and VMCLEAR? */
bool nvmx_keeps_roots(void);

/* Are flushes left out that nothing can need? */
bool nvmx_skips_needless(void);

/* Does a flush of everything name the vCPU's own roots, one by one? */
bool nvmx_flushes_own_roots(void);

/* The counter of what such a flush executes with EPT or VPIDs. */
const char *flush_all_counter(void);

#endif
