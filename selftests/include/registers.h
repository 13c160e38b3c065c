/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bits of control registers, each turned on or off by the guest itself.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "contexts.h"

static inline void set_smep(bool on)
{
	guest_cr4(X86_CR4_SMEP, on);
}

static inline void set_smap(bool on)
{
	guest_cr4(X86_CR4_SMAP, on);
}

static inline void set_pge(bool on)
{
	guest_cr4(X86_CR4_PGE, on);
}

static inline void set_pcide(bool on)
{
	guest_cr4(X86_CR4_PCIDE, on);
}

static inline void set_wp(bool on)
{
	set_cr0(on ? get_cr0() | X86_CR0_WP : get_cr0() & ~X86_CR0_WP);
}

static inline void set_nxe(bool on)
{
	u64 efer = rdmsr(MSR_EFER);

	wrmsr(MSR_EFER, on ? efer | EFER_NX : efer & ~(u64)EFER_NX);
}

#endif
