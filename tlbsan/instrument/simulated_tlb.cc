/* SPDX-License-Identifier: GPL-2.0 */
#include "simulated_tlb.h"

#include <algorithm>
#include <utility>

#include "effects.h"
#include "promises.h"

namespace tlbsan {

static const unsigned shifts[] = { 12, 21 };

/* Single addresses before the entries are asked and the addresses dropped. */
static const size_t most_addresses = 1 << 14;

SimulatedTlb::SimulatedTlb(const TlbSizes &sizes)
	: l1 { { TlbArray(sizes.l1d), TlbArray(sizes.l1d2m) },
	       { TlbArray(sizes.l1i), TlbArray(sizes.l1i2m) } },
	  l2(sizes.l2)
{
}

SimulatedTlb::Guess &SimulatedTlb::guess(const Access &access)
{
	return guesses[access.fetch][access.address >> 12 & (guesses[0].size() - 1)];
}

/* Level 1 has this entry now. */
void SimulatedTlb::expect(const Access &access, const Cached &entry)
{
	bool large = entry.shift == shifts[1];

	guess(access) = { uint32_t(l1[access.fetch][large].index(entry)), large };
}

SimulatedTlb::Found SimulatedTlb::access(const Access &access)
{
	TlbArray *first = l1[access.fetch];
	Guess where = guess(access);
	Cached &guessed = first[where.large][where.index];

	counts.accesses++;
	if (translates(guessed, access, guessed.shift) && past().left(guessed)) {
		first[where.large].touch(guessed);
		return Found::l1;
	}
	for (unsigned large = 0; large < 2; large++) {
		Cached *entry = first[large].find(access, shifts[large], past());

		if (entry) {
			first[large].touch(*entry);
			expect(access, *entry);
			return Found::l1;
		}
	}

	counts.l1_misses++;
	for (unsigned large = 0; large < 2; large++) {
		Cached *entry = l2.find(access, shifts[large], past());

		if (entry) {
			l2.touch(*entry);
			expect(access, first[large].insert(*entry, past()));
			return Found::l2;
		}
	}

	counts.l2_misses++;
	return Found::nowhere;
}

void SimulatedTlb::fill(const Access &access, const Mapping &mapping)
{
	bool large = std::min(mapping.shift, mapping.ept_shift) >= shifts[1];
	Tag tag = access.tag;

	if (mapping.global)
		tag.pcid = GLOBAL;

	Cached entry = {
		.valid = true,
		.shift = uint8_t(shifts[large]),
		.page = access.address >> shifts[large],
		.name = name_of(access.kind, mapping.shift, tag, access.address),
		.filled = time,
		.checked = time,
	};

	expect(access, l1[access.fetch][large].insert(entry, past()));
	l2.insert(entry, past());
}

void SimulatedTlb::refused(const Access &access)
{
	for (unsigned large = 0; large < 2; large++)
		for (TlbArray *array : { &l1[0][large], &l1[1][large], &l2 })
			while (Cached *entry = array->find(access, shifts[large], past()))
				entry->valid = false;
}

Time SimulatedTlb::tick()
{
	/* Each entry that is left after being asked has nothing to fear of old addresses. */
	if (invalidations.addresses() > most_addresses) {
		for (unsigned large = 0; large < 2; large++)
			for (TlbArray *array : { &l1[0][large], &l1[1][large], &l2 })
				array->sweep(past());
		invalidations.forget_addresses();
	}
	return ++time;
}

void SimulatedTlb::invvpid(const Invvpid &inv)
{
	apply(invalidations, tick(), inv);
}

void SimulatedTlb::invept(const Invept &inv)
{
	apply(invalidations, tick(), inv);
}

void SimulatedTlb::executed(uint16_t vpid, const GuestOperation &operation)
{
	apply(invalidations, tick(), vpid, operation);
}

void SimulatedTlb::transition_without_vpid()
{
	invalidations.vpid(tick(), 0);
}

TlbCounts SimulatedTlb::take()
{
	return std::exchange(counts, {});
}

} /* namespace tlbsan */
