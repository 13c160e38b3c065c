/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Host: how many VPIDs kvm_intel has given away.
 */
#ifndef VPIDS_H
#define VPIDS_H

#include <linux/types.h>

/* The address of @symbol, of the kernel or a module. */
u64 kernel_address(const char *symbol);

/*
 * @module is the file of vpids_used.ko, which is loaded for a moment.  VPID 0 is counted.
 * kvm_intel must stay where it is from the first call on.
 */
int vpids_used(const char *module);

#endif
