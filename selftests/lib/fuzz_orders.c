// SPDX-License-Identifier: GPL-2.0
/*
 * nested_fuzz: orders to a vCPU, and what of its debts they pay.
 */
#include "backing.h"
#include "fuzz_host.h"

void fuzz_order(int vcpu, const struct fuzz_order *what, enum fuzz_stop stop)
{
	u64 stopped;

	fuzz_host.guest->orders[vcpu] = *what;
	fuzz_host.ordered = vcpu;
	fuzz_host.restored[vcpu] = false;
	stopped = run_to_sync(fuzz_host.vcpus[vcpu]);
	TEST_ASSERT(stopped == stop, "vCPU %d stopped in %lu, not %u", vcpu, stopped, stop);
}

enum fuzz_stop fuzz_level(int vcpu)
{
	return fuzz_host.running[vcpu].active ? FUZZ_IN_L2 : FUZZ_IN_L1;
}

u64 fuzz_tag(int vcpu)
{
	return fuzz_host.running[vcpu].active ? fuzz_host.running[vcpu].tag : FUZZ_L1_VPID;
}

u64 fuzz_tables(int vcpu)
{
	return fuzz_host.running[vcpu].active ? fuzz_host.running[vcpu].tables : FUZZ_L1_TABLES;
}

u64 fuzz_space_of(int vcpu)
{
	const struct fuzz_running *running = &fuzz_host.running[vcpu];

	return fuzz_space(fuzz_tables(vcpu), running->active ? running->apic : 0);
}

void fuzz_order_read(int vcpu)
{
	const struct fuzz_running *running = &fuzz_host.running[vcpu];
	u64 page, ept = running->active ? running->identity.ept : 0;
	u64 apic = running->active ? running->apic : 0;
	struct fuzz_order what = { .what = FUZZ_READ };
	u64 tables = fuzz_tables(vcpu), by;

	what.pages = (BIT_ULL(FUZZ_PAGES) - 1) & ~fuzz_owed_pages(vcpu, fuzz_tag(vcpu));
	for (page = 0; page < FUZZ_PAGES; page++) {
		by = fuzz_host.backed_by[tables][page];
		what.expected[page] = l2_page_value(tables, by);
		if (apic && by == apic)
			what.accesses |= what.pages & BIT_ULL(page);
	}
	what.pages &= ~what.accesses;
	if (ept && !fuzz_owes_ept(vcpu, ept, fuzz_space_of(vcpu))) {
		what.pages |= BIT_ULL(FUZZ_EPT_PAGE);
		what.expected[FUZZ_EPT_PAGE] =
			l2_page_value(FUZZ_TABLES + ept, fuzz_host.ept_backed_by[ept - 1]);
	}
	fuzz_order(vcpu, &what, fuzz_level(vcpu));
}

void fuzz_crossed(int vcpu, u64 tag)
{
	if (tag != FUZZ_NO_VPID)
		return;
	fuzz_flushed(vcpu, FUZZ_NO_VPID);
	fuzz_flushed(vcpu, FUZZ_L1_VPID);
}

void fuzz_order_leave(int vcpu)
{
	struct fuzz_running *running = &fuzz_host.running[vcpu];
	struct fuzz_order what = { .what = FUZZ_LEAVE };

	if (!running->active)
		return;
	fuzz_order(vcpu, &what, FUZZ_IN_L1);
	running->active = false;
	fuzz_crossed(vcpu, running->tag);
}

void fuzz_order_invvpid(int vcpu, enum invvpid_type type, u64 vpid, u64 page)
{
	struct fuzz_order what = {
		.what = FUZZ_INVVPID, .kind = type, .vpid = vpid, .page = page
	};
	u64 each;

	fuzz_order(vcpu, &what, FUZZ_IN_L1);
	if (type == INVVPID_ADDRESS)
		fuzz_pages_flushed(vcpu, vpid, BIT_ULL(page));
	else if (type != INVVPID_ALL)
		fuzz_flushed(vcpu, vpid);
	else
		for (each = 1; each <= FUZZ_VPIDS; each++)
			fuzz_flushed(vcpu, each);
}

void fuzz_order_invept(int vcpu, enum invept_type type, u64 ept)
{
	struct fuzz_order what = { .what = FUZZ_INVEPT, .kind = type, .ept = ept };

	fuzz_order(vcpu, &what, FUZZ_IN_L1);
	if (type == INVEPT_SINGLE)
		fuzz_ept_flushed(vcpu, ept);
	else
		fuzz_all_epts_flushed(vcpu);
}

void fuzz_order_to_pay(int vcpu, u64 tag, u64 space, u64 ept, u8 kind)
{
	u64 owed = fuzz_owed_pages(vcpu, tag), page;
	static const enum invvpid_type types[] = {
		INVVPID_SINGLE, INVVPID_ALL, INVVPID_SINGLE_BUT_GLOBALS, INVVPID_SINGLE
	};

	if (tag != FUZZ_NO_VPID && fuzz_owes_all(vcpu, tag, space)) {
		fuzz_order_invvpid(vcpu, types[kind & 3], tag, 0);
	} else if (tag != FUZZ_NO_VPID && owed && kind & 4) {
		for (page = 0; page < FUZZ_PAGES; page++)
			if (owed & BIT_ULL(page))
				fuzz_order_invvpid(vcpu, INVVPID_ADDRESS, tag, page);
	} else if (tag != FUZZ_NO_VPID && owed) {
		fuzz_order_invvpid(vcpu, types[kind & 3], tag, 0);
	}
	if (fuzz_owes_ept(vcpu, ept, space))
		fuzz_order_invept(vcpu, kind & 8 ? INVEPT_ALL : INVEPT_SINGLE, ept);
}
