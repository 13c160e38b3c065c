/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What nested_fuzz's host and its guests share.  Two vCPUs take turns on one thread.  A
 * guest stops after each order; the host knows in which level it has stopped.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "backing.h"
#include "hyperv_flush.h"
#include "nested_ept.h"

#define FUZZ_VCPUS	2
#define FUZZ_L2S	5	/* of a vCPU */
#define FUZZ_PLAIN	3	/* those on ordinary VMCSs come first */
#define FUZZ_TABLES	3	/* page tables that L2s may run with */
#define FUZZ_L1_TABLES	FUZZ_TABLES
#define FUZZ_EPTS	2

/* Pages of each set of tables.  One is seen through an EPT of L1's. */
#define FUZZ_CHANGED	2	/* those that are backed by another page now and then */
#define FUZZ_PAGES	4
#define FUZZ_EPT_PAGE	FUZZ_PAGES

/* Any of the others may be an L2's APIC-access page, if there are no enlightened VMCSs. */
#define FUZZ_APIC_PAGES	(FUZZ_PAGES - FUZZ_CHANGED)

enum fuzz_what {
	FUZZ_READ,		/* @pages must hold @expected, @accesses must exit to L1 */
	FUZZ_BACK,		/* page @page of tables @tables by page @by */
	FUZZ_BACK_EPT,		/* page of EPT @ept by page @by */
	FUZZ_FLUSH,		/* of the level itself: enum fuzz_flush */
	FUZZ_CALL,		/* a flush hypercall: enum fuzz_call */
	FUZZ_ROLE,		/* bits of control registers, and back */
	/* L1 */
	FUZZ_RUN,		/* an L2, until FUZZ_LEAVE; or only fail to */
	FUZZ_INVVPID,
	FUZZ_INVEPT,
	FUZZ_CLEAR,		/* VMCLEAR of an L2 */
	FUZZ_OFF,		/* VMXOFF and VMXON */
	/* L2 */
	FUZZ_LEAVE,		/* exit to L1 */
};

enum fuzz_flush {
	FUZZ_INVLPG, FUZZ_CR3, FUZZ_PGE, FUZZ_PCIDE, FUZZ_INVPCID_ADDRESS, FUZZ_INVPCID_ALL,
	NR_FUZZ_FLUSHES
};

enum fuzz_call {
	FUZZ_SPACE, FUZZ_SPACE_FAST, FUZZ_LIST, FUZZ_SPACE_EX, FUZZ_LIST_EX, NR_FUZZ_CALLS
};

enum fuzz_failure {
	FUZZ_SUCCEED, FUZZ_BAD_CONTROLS, FUZZ_BAD_HOST_STATE, FUZZ_BAD_LINK, FUZZ_BAD_CR3,
	FUZZ_BAD_MSR_LIST, NR_FUZZ_FAILURES
};

struct fuzz_order {
	enum fuzz_what what;
	u64 kind;		/* of a flush, a call, an INVVPID, a role */
	u64 l2, tables, vpid, ept;	/* @ept: 0, or 1 + its number */
	u64 apic;		/* 0, or which page of @tables is the APIC-access page */
	u64 page, by, pages, accesses;	/* @pages, @accesses: a bit for each */
	u64 expected[FUZZ_PAGES + 1];
	u64 vm_id, vp_id, processors;
	enum fuzz_failure failure;
	bool fail_only;
};

/* Where a guest stops. */
enum fuzz_stop { FUZZ_END, FUZZ_IN_L1, FUZZ_IN_L2 };

/* Made by the host, for the guests. */
struct fuzz {
	struct fuzz_order orders[FUZZ_VCPUS];
	struct l2_context *l2s[FUZZ_VCPUS][FUZZ_L2S];
	struct l2_context *tables[FUZZ_TABLES + 1];
	struct nested_ept *epts[FUZZ_EPTS];
	struct hv_input inputs[FUZZ_VCPUS];
	struct vmx_msr_entry *msr_list;
	u64 msr_list_gpa;
	u64 nr_accesses[FUZZ_VCPUS];	/* exits to L1 for the APIC-access page */
	bool has_evmcs, has_invpcid;
};

extern struct fuzz fuzz;

/* Guest */
void fuzz_l1_code(u64 vcpu, u64 hypercall_gpa);

#endif
