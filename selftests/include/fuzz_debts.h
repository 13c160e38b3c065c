/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What nested_fuzz's guests owe before they may rely on what they read: the flushes
 * that the SDM asks of a guest after it has changed its tables, and of an L1 before it
 * gives the vpid12 of one address space to another.  Everything else is KVM's affair.
 *
 * The debts are those of one virtual CPU under one virtual VPID.  They may be larger
 * than the SDM's, never smaller: who owes nothing here must see the newest tables.
 */
#ifndef FUZZ_DEBTS_H
#define FUZZ_DEBTS_H

#include "fuzz.h"

#define FUZZ_VPIDS	20	/* vpid12s 1 to 20; there are 16 hardware VPIDs */

/* Virtual VPIDs by number: an L2 without one; those of L1's choice; L1 itself. */
enum { FUZZ_NO_VPID, FUZZ_L1_VPID = FUZZ_VPIDS + 1, NR_FUZZ_TAGS };

/*
 * What an L2 translates by: page tables, and one of their pages as APIC-access page, if
 * @apic is not 0.
 */
static inline u64 fuzz_space(u64 tables, u64 apic)
{
	return tables + (FUZZ_TABLES + 1) * (apic ? apic - FUZZ_CHANGED + 1 : 0);
}

/* By what flush calls of L2s find an L2. */
struct fuzz_identity {
	u64 vm_id, vp_id;
	u64 ept;		/* 0, or 1 + its number */
	bool named;		/* on an enlightened VMCS */
};

void fuzz_debts_reset(void);

/* Page @page of @tables, or the page of @ept, is backed by another one now. */
void fuzz_page_changed(u64 tables, u64 page);
void fuzz_ept_changed(u64 ept);

/* @vcpu used @space under @tag, or with @ept. */
void fuzz_used(int vcpu, u64 tag, u64 space, const struct fuzz_identity *identity);
void fuzz_ept_used(int vcpu, u64 ept, u64 space);

/* Of @vcpu, everything under @tag was flushed, or these @pages alone. */
void fuzz_flushed(int vcpu, u64 tag);
void fuzz_pages_flushed(int vcpu, u64 tag, u64 pages);
void fuzz_ept_flushed(int vcpu, u64 ept);
void fuzz_all_epts_flushed(int vcpu);

/* Is @tag of @vcpu that of one L2, which the call of @vm_id to @processors names? */
bool fuzz_is_called(int vcpu, u64 tag, u64 vm_id, u64 processors);

/* Before @space may be used under @tag, all of it must be flushed. */
bool fuzz_owes_all(int vcpu, u64 tag, u64 space);

/* The pages under @tag that must be flushed before they may be read. */
u64 fuzz_owed_pages(int vcpu, u64 tag);

/* Before @space may be used with @ept, which may be 0, INVEPT must come. */
bool fuzz_owes_ept(int vcpu, u64 ept, u64 space);

#endif
