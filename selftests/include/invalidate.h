/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instructions with which a guest invalidates its own translations, or as
 * L1 those of its L2s.
 */
#ifndef INVALIDATE_H
#define INVALIDATE_H

#include "processor.h"

struct invalidate_operand {
	u64 tag;		/* VPID, PCID or EPT pointer */
	u64 address;
};

enum invvpid_type { INVVPID_ADDRESS, INVVPID_SINGLE, INVVPID_ALL, INVVPID_SINGLE_BUT_GLOBALS };
enum invept_type { INVEPT_SINGLE = 1, INVEPT_ALL };
enum invpcid_type { INVPCID_ADDRESS, INVPCID_SINGLE, INVPCID_ALL, INVPCID_ALL_BUT_GLOBALS };

static inline void guest_invpcid(enum invpcid_type type, u64 pcid, u64 address)
{
	struct invalidate_operand operand = { pcid, address };

	asm volatile("invpcid %0, %1" : : "m"(operand), "r"((u64)type) : "memory");
}

/* Returns whether it failed. */
static inline bool l1_try_invvpid(enum invvpid_type type, const struct invalidate_operand *operand)
{
	bool failed;

	asm volatile("invvpid %1, %2\n\t"
		     "setbe %0"
		     : "=qm"(failed) : "m"(*operand), "r"((u64)type) : "cc", "memory");
	return failed;
}

static inline void l1_invvpid(enum invvpid_type type, u16 vpid, u64 address)
{
	struct invalidate_operand operand = { vpid, address };

	__GUEST_ASSERT(!l1_try_invvpid(type, &operand), "INVVPID type %d of VPID %d", type, vpid);
}

static inline void l1_invept(enum invept_type type, u64 eptp)
{
	struct invalidate_operand operand = { eptp, 0 };
	bool failed;

	asm volatile("invept %1, %2\n\t"
		     "setbe %0"
		     : "=qm"(failed) : "m"(operand), "r"((u64)type) : "cc", "memory");
	__GUEST_ASSERT(!failed, "INVEPT type %d of %lx", type, (unsigned long)eptp);
}

#endif
