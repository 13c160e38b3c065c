/* SPDX-License-Identifier: GPL-2.0 */
#include "simulated_array.h"

namespace tlbsan {

bool Past::not_covered(Cached &entry) const
{
	entry.valid = invalidations.newest(entry.name) <= entry.filled;
	entry.checked = now;
	return entry.valid;
}

Cached *TlbArray::find(const Access &access, unsigned shift, const Past &past)
{
	Cached *set = set_of(access.address >> shift);

	for (Cached *entry = set; entry < set + size.ways; entry++)
		if (translates(*entry, access, shift) && past.left(*entry))
			return entry;
	return nullptr;
}

Cached &TlbArray::insert(const Cached &entry, const Past &past)
{
	Cached *set = set_of(entry.page), *oldest = set;

	for (Cached *place = set; place < set + size.ways; place++) {
		if (!past.left(*place)) {
			oldest = place;
			break;
		}
		if (place->used < oldest->used)
			oldest = place;
	}
	*oldest = entry;
	touch(*oldest);
	return *oldest;
}

void TlbArray::sweep(const Past &past)
{
	for (Cached &entry : entries)
		past.left(entry);
}

} /* namespace tlbsan */
