// SPDX-License-Identifier: GPL-2.0
/*
 * What nested_fuzz's guests owe before they may rely on what they read.
 */
#include <string.h>

#include "fuzz_debts.h"

struct tag {
	u64 used;		/* spaces, since all of it was flushed */
	u64 owed;		/* pages */
	struct fuzz_identity identity;
	bool shared;		/* by L2s that are named in other ways */
};

static struct {
	struct tag tags[NR_FUZZ_TAGS];
	u64 epts;
	u64 ept_used[FUZZ_EPTS + 1];	/* APIC-access pages, since it was flushed */
} debts[FUZZ_VCPUS];

void fuzz_debts_reset(void)
{
	int vcpu;

	memset(debts, 0, sizeof(debts));
	for (vcpu = 0; vcpu < FUZZ_VCPUS; vcpu++)
		debts[vcpu].tags[FUZZ_L1_VPID].used = BIT_ULL(FUZZ_L1_TABLES);
}

void fuzz_page_changed(u64 tables, u64 page)
{
	u64 spaces = BIT_ULL(tables);
	int vcpu, tag, apic;

	for (apic = FUZZ_CHANGED; apic < FUZZ_PAGES; apic++)
		spaces |= BIT_ULL(fuzz_space(tables, apic));

	for (vcpu = 0; vcpu < FUZZ_VCPUS; vcpu++)
		for (tag = 0; tag < NR_FUZZ_TAGS; tag++)
			if (debts[vcpu].tags[tag].used & spaces)
				debts[vcpu].tags[tag].owed |= BIT_ULL(page);
}

void fuzz_ept_changed(u64 ept)
{
	int vcpu;

	for (vcpu = 0; vcpu < FUZZ_VCPUS; vcpu++)
		debts[vcpu].epts |= BIT_ULL(ept);
}

static bool same(const struct fuzz_identity *a, const struct fuzz_identity *b)
{
	return a->vm_id == b->vm_id && a->vp_id == b->vp_id && a->ept == b->ept &&
	       a->named == b->named;
}

void fuzz_used(int vcpu, u64 tag, u64 space, const struct fuzz_identity *identity)
{
	struct tag *of = &debts[vcpu].tags[tag];

	if (!of->used) {
		of->identity = *identity;
		of->shared = false;
	} else if (!same(&of->identity, identity)) {
		of->shared = true;
	}
	of->used |= BIT_ULL(space);
}

/* All page tables are the same to an EPT. */
static u64 apic_page_of(u64 space)
{
	return space < fuzz_space(0, FUZZ_CHANGED) ? 0 : space;
}

void fuzz_ept_used(int vcpu, u64 ept, u64 space)
{
	debts[vcpu].ept_used[ept] |= BIT_ULL(apic_page_of(space));
}

void fuzz_flushed(int vcpu, u64 tag)
{
	struct tag *of = &debts[vcpu].tags[tag];

	of->owed = 0;
	/* L1 goes on using its tables. */
	if (tag != FUZZ_L1_VPID)
		of->used = 0;
}

void fuzz_pages_flushed(int vcpu, u64 tag, u64 pages)
{
	debts[vcpu].tags[tag].owed &= ~pages;
}

void fuzz_ept_flushed(int vcpu, u64 ept)
{
	debts[vcpu].epts &= ~BIT_ULL(ept);
	debts[vcpu].ept_used[ept] = 0;
}

void fuzz_all_epts_flushed(int vcpu)
{
	debts[vcpu].epts = 0;
	memset(debts[vcpu].ept_used, 0, sizeof(debts[vcpu].ept_used));
}

bool fuzz_is_called(int vcpu, u64 tag, u64 vm_id, u64 processors)
{
	struct tag *of = &debts[vcpu].tags[tag];

	return of->used && !of->shared && of->identity.named && of->identity.vm_id == vm_id &&
	       processors & BIT_ULL(of->identity.vp_id);
}

bool fuzz_owes_all(int vcpu, u64 tag, u64 space)
{
	return debts[vcpu].tags[tag].used & ~BIT_ULL(space);
}

u64 fuzz_owed_pages(int vcpu, u64 tag)
{
	return debts[vcpu].tags[tag].owed;
}

bool fuzz_owes_ept(int vcpu, u64 ept, u64 space)
{
	return ept && (debts[vcpu].epts & BIT_ULL(ept) ||
		       debts[vcpu].ept_used[ept] & ~BIT_ULL(apic_page_of(space)));
}
