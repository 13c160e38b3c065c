/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pieces of host memory for memslots, and guests that use them.  Whatever the host
 * does, the guests must see the piece that it says, and the oracle must see no
 * guest use another.
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

enum memory_order { MEMORY_USE, MEMORY_STOP };

/* The guests use one piece in 4 KiB pages and one in a 2 MiB page. */
enum memory_size { MEMORY_SMALL, MEMORY_HUGE, MEMORY_SIZES };

static inline u64 memory_gpa(enum memory_size size)
{
	return MEMORY_GPA + size * MEMORY_SIZE;
}

/* What the host wants of its guests, and how far they are. */
struct memory_control {
	u64 generation;			/* changes with each order */
	enum memory_order order;
	u64 value[MEMORY_SIZES];	/* what the pages hold now */
	u64 done[2];			/* generation that each vCPU has carried out */
};

/* Host: fresh memory of MEMORY_SIZE; the pages that guests use hold @value. */
void *memory_alloc(bool huge, u64 value);
void memory_free(void *memory);
void memory_fill(void *memory, u64 value);

/*
 * Host: the same bytes at the same address, on another page of the host's.  The old one is
 * not free before the new one is in its place, so it cannot be the same.
 */
void memory_move_page(void *page);

/* Host: make @slot show @hva at @gpa; @hva NULL deletes it. */
void memory_set_slot(struct kvm_vm *vm, u32 slot, u64 gpa, void *hva, u32 flags);

/* Guest: carry orders out until MEMORY_STOP; @memory is MEMORY_SIZES pieces. */
void guest_use_memory(struct memory_control *control, int vcpu, void *memory);

#endif
