/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest code that runs where linear and physical addresses are the same, so that
 * a guest can turn paging off and on again, or start in real mode.
 */
#ifndef PAGING_OFF_H
#define PAGING_OFF_H

#include "kvm_util.h"

/* A memslot of its own, and as a linear address free in every VM. */
#define PAGING_OFF_GPA	0x30000000ul
#define PAGING_OFF_SLOT	7

/* Where a processor goes from real mode; written before it starts. */
struct paging_off_start {
	u32 cr3;
	u32 unused;
	u64 stack;
	u64 entry;
};

/* In paging_off_code.S. */
extern const char paging_off_begin[], paging_off_end[];
extern const char paging_off_toggle[], paging_off_parameters[], paging_off_cr4_bits[];

/* Host: put the code there, and map it; after vm_enable_ept(), before contexts. */
void paging_off_create(struct kvm_vm *vm);

/* Guest: in 64-bit mode with CR4.PCIDE off; CR0.PG 1 -> 0 -> 1. */
void guest_toggle_paging(void);

/* The same; while paging is off, each of these bits of CR4 is toggled twice. */
void guest_toggle_paging_and(u32 cr4_bits);

/* Host: let @vcpu, in real mode after INIT and SIPI, start there. */
void paging_off_start(struct kvm_vcpu *vcpu);

/* Guest: what it starts with. */
struct paging_off_start *guest_start_parameters(void);

#endif
