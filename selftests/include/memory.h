/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two pieces of host memory for one memslot, and guests that use it.  Whatever
 * the host does, the guests must see the piece that it says, and the oracle must
 * see no guest use the other.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "contexts.h"

#define MEMORY_SIZE	(2ul << 20)
#define MEMORY_GPA	0x40000000ul
#define MEMORY_SLOT	5

/* In each page: a word that tells the piece, and one that the guests count up. */
struct memory_page {
	u64 value;
	u64 written;
};

enum memory_order { MEMORY_PAUSE, MEMORY_USE, MEMORY_STOP };

/* What the host wants of its guests, and how far they are. */
struct memory_control {
	u64 generation;			/* changes with each order */
	enum memory_order order;
	u64 value;			/* what the pages hold now */
	u64 done[4];	/* generation that each vCPU has carried out */
};

/* Host: fresh memory of MEMORY_SIZE whose pages hold @value. */
void *memory_alloc(bool huge, u64 value);
void memory_free(void *memory);
void memory_fill(void *memory, u64 value);

/* Host: make @slot show @hva at @gpa; @hva NULL deletes it. */
void memory_set_slot(struct kvm_vm *vm, u32 slot, u64 gpa, void *hva, u32 flags);

/* Guest: carry orders out until MEMORY_STOP. */
void guest_use_memory(struct memory_control *control, int vcpu, struct memory_page *memory);

#endif
