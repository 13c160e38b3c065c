/* SPDX-License-Identifier: GPL-2.0 */
/* A simulated TLB and a short way to use it, for the tests. */
#ifndef TLBSAN_TESTS_SIMULATED_GUEST_H
#define TLBSAN_TESTS_SIMULATED_GUEST_H

#include "simulated_tlb.h"

using tlbsan::Access;
using tlbsan::Mapping;
using tlbsan::SimulatedTlb;
using tlbsan::Tag;
using Found = tlbsan::SimulatedTlb::Found;

inline const Tag guest = { 1, 2, 0x5000 };
inline const Mapping small_page {}, large_page { .shift = 21 }, global_page { .global = true };

/* One set of two ways in each part of level 1, four in level 2. */
inline const tlbsan::TlbSizes tiny = { { 2, 2 }, { 2, 2 }, { 2, 2 }, { 2, 2 }, { 4, 4 } };

inline Access data(uint64_t address, const Tag &tag = guest)
{
	return { .tag = tag, .address = address };
}

inline Access fetch(uint64_t address, const Tag &tag = guest)
{
	return { .fetch = true, .tag = tag, .address = address };
}

/* The n-th page from the first. */
inline Access page(unsigned n)
{
	return data(uint64_t(n) << 12);
}

/* An access, with its walk if there is one: where was it found? */
inline Found use(SimulatedTlb &tlb, const Access &access, const Mapping &mapping = small_page)
{
	Found found = tlb.access(access);

	if (found == Found::nowhere)
		tlb.fill(access, mapping);
	return found;
}

/* Looked up without a walk: the TLB stays as it is but for the order of use. */
inline bool held(SimulatedTlb &tlb, const Access &access)
{
	return tlb.access(access) != Found::nowhere;
}

#endif
