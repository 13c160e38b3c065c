/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page of L1's local APIC, which KVM maps into the process of the VMM.
 */
#ifndef APIC_PAGE_H
#define APIC_PAGE_H

#include "kvm_util.h"
#include "processor.h"
#include "apic.h"

/* Guest: xAPIC mode (MSR_IA32_APICBASE_ENABLE), x2APIC mode (both bits), or off (0). */
static inline void guest_set_apic(u64 mode)
{
	u64 base = rdmsr(MSR_IA32_APICBASE) & ~(MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);

	wrmsr(MSR_IA32_APICBASE, base | mode);
}

/* Host: where KVM has mapped it, as one page of shared memory; after vm_vcpu_add(). */
void *apic_page_find(void);

/*
 * Host: @size of memory of the caller's own, directly before the page that KVM will map
 * for the VM that gets its first vCPU next.
 */
void *apic_page_reserve(size_t size);

#endif
