/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM's paravirtual TLB flush of a vCPU that was preempted while it ran an L2.  It is
 * an L1 that asks, for its own translations: those of the L2, which KVM has at hand
 * when the vCPU runs on, are no substitute.
 */
#ifndef PV_FLUSH_H
#define PV_FLUSH_H

#include "contexts.h"

#define PV_FLUSH_ROUNDS	4

/*
 * Host, in PV_FLUSH_ROUNDS rounds: L1 changes a page that it has read, and asks for the flush
 * while an L2 with a VPID is active; KVM runs the L2 on, and flushes what it flushes;
 * @meanwhile, unless NULL, is called with the target's vCPU; the L2 exits, and L1 reads the
 * page.  @region is from the request to the read.
 */
void pv_flush_in_l2(enum l2_ept ept, const char *region,
		    void (*meanwhile)(struct kvm_vcpu *target));

#endif
