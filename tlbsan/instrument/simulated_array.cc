/* SPDX-License-Identifier: GPL-2.0 */
#include "simulated_array.h"

namespace tlbsan {

bool Past::left(Cached &entry) const
{
	if (!entry.valid)
		return false;
	if (entry.checked == now)
		return true;
	entry.valid = invalidations.newest(entry.name) <= entry.filled;
	entry.checked = now;
	return entry.valid;
}

static bool translates(const Cached &entry, const Access &access, unsigned shift)
{
	const Tag &has = entry.name.tag, &wants = access.tag;

	return entry.valid && entry.page == access.address >> shift && entry.shift == shift &&
	       entry.name.kind == access.kind && has.vpid == wants.vpid &&
	       has.ep4ta == wants.ep4ta && (has.pcid == wants.pcid || has.pcid == GLOBAL);
}

Cached *TlbArray::find(const Access &access, unsigned shift, const Past &past)
{
	Cached *set = set_of(access.address >> shift);

	for (Cached *entry = set; entry < set + size.ways; entry++)
		if (translates(*entry, access, shift) && past.left(*entry))
			return entry;
	return nullptr;
}

void TlbArray::insert(const Cached &entry, const Past &past)
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
}

void TlbArray::sweep(const Past &past)
{
	for (Cached &entry : entries)
		past.left(entry);
}

} /* namespace tlbsan */
