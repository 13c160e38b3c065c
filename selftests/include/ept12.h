/* SPDX-License-Identifier: GPL-2.0 */
/* L1's own EPT, for an L1 that changes it. */
#ifndef EPT12_H
#define EPT12_H

#include "contexts.h"

/*
 * Host: the entry that maps data page @page of @context in its EPT, mapped for
 * L1 to write.  Call it after contexts_finish(), for a context with the shared EPT.
 */
u64 *ept12_entry_map(struct kvm_vm *vm, struct l2_context *context, int page);

#endif
