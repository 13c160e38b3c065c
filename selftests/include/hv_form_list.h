/* SPDX-License-Identifier: GPL-2.0 */
/* The forms of Hyper-V's flush hypercalls that hv_forms tries. */
#ifndef HV_FORM_LIST_H
#define HV_FORM_LIST_H

#include "kvm_util.h"
#include "processor.h"
#include "hyperv_flush.h"

/* The virtual processors. */
#define SENDER		0
#define TARGET		1

/* Status codes, TLFS. */
#define OK		0
#define BAD		3	/* HV_STATUS_INVALID_HYPERCALL_INPUT */

#define SPACE		HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE
#define LIST		HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST
#define SPACE_EX	HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX
#define LIST_EX		HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX

#define FAST		HV_HYPERCALL_FAST_BIT

/* Page offset of the input; from NOWHERE on it is another page. */
enum place { START = 0, NOWHERE = PAGE_SIZE, MMIO, HOLE, GONE, FOR_L2, NOT_FOR_L2 };

/* What the target does: pages by address, or one of these. */
#define NOTHING		0
#define EVERYTHING	(-1)
#define SKIPPED		(-2)	/* addresses that are not canonical */

struct outcome {
	u16 status;
	int flushed;
};

struct form {
	const char *name;
	u16 code, banks, reps;
	u64 control;		/* further bits of it */
	u64 flags, format, set;	/* the mask, or the banks that are called valid */
	u64 range;		/* low bits of each range */
	u64 step;		/* from a range to the next, unless 1 GiB */
	int place;
	struct outcome want;
	struct outcome in_c;	/* where C is wrong: what it does */
	bool c_is_wrong;
	int joined;		/* pages, if ranges are joined: then to one */
};

extern const struct form hv_forms[];
extern const int nr_hv_forms;

#endif
