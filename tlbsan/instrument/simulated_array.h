/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One array of the simulated TLB: sets of a few ways each, the least recently used
 * entry of a full set makes room for the next.
 *
 * An invalidation empties nothing.  An entry is asked whether one covered it since
 * it was filled (invalidations.h) when it would be used or replaced, so what an
 * operation invalidates is decided in one place only.
 */
#ifndef TLBSAN_SIMULATED_ARRAY_H
#define TLBSAN_SIMULATED_ARRAY_H

#include <cstdint>
#include <vector>

#include "invalidations.h"
#include "names.h"
#include "simulated_sizes.h"

namespace tlbsan {

/* An address that must be translated, and its tags. */
struct Access {
	bool fetch = false;	/* of an instruction; else of data */
	/* guest_physical: the guest has paging off, address is guest-physical */
	Kind kind = Kind::translation;
	Tag tag {};
	uint64_t address = 0;
};

struct Cached {
	bool valid = false;
	uint8_t shift = 12;	/* size of this entry: 12 or 21 */
	uint64_t page = 0;	/* address >> shift */
	/*
	 * Size and page as the guest's tables map them, which may be larger: what
	 * invalidates any address of that page invalidates this entry.
	 */
	Name name {};
	Time filled = 0;
	Time checked = 0;	/* nothing had covered it until then */
	uint64_t used = 0;	/* when, in accesses of the array */
};

/* What was invalidated until now. */
struct Past {
	const Invalidations &invalidations;
	Time now;

	/* Is the entry there still?  Empties it if not. */
	bool left(Cached &entry) const
	{
		return entry.valid && (entry.checked == now || not_covered(entry));
	}

private:
	bool not_covered(Cached &entry) const;
};

/* Is this a translation of the address, whether or not it was invalidated? */
inline bool translates(const Cached &entry, const Access &access, unsigned shift)
{
	const Tag &has = entry.name.tag, &wants = access.tag;

	return entry.valid && entry.page == access.address >> shift && entry.shift == shift &&
	       entry.name.kind == access.kind && has.vpid == wants.vpid &&
	       has.ep4ta == wants.ep4ta && (has.pcid == wants.pcid || has.pcid == GLOBAL);
}

class TlbArray {
public:
	explicit TlbArray(const TlbSize &size) : size(size), entries(size.entries) {}

	Cached &operator[](size_t index) { return entries[index]; }
	size_t index(const Cached &entry) const { return &entry - entries.data(); }
	/* The entry of this size that translates the address; nullptr if there is none. */
	Cached *find(const Access &access, unsigned shift, const Past &past);
	/* It was used: the last to make room. */
	void touch(Cached &entry) { entry.used = ++uses; }
	Cached &insert(const Cached &entry, const Past &past);
	/* Ask every entry. */
	void sweep(const Past &past);

private:
	Cached *set_of(uint64_t page) { return &entries[page % size.sets() * size.ways]; }

	TlbSize size;
	std::vector<Cached> entries;
	uint64_t uses = 0;
};

} /* namespace tlbsan */

#endif
