/* SPDX-License-Identifier: GPL-2.0 */
#include "remembered.h"

namespace tlbsan {

/* Entries of one name besides the newest.  If there are more, the oldest goes: a miss. */
static const size_t most_older = 8;

/* Whatever the old entry could be found by, the newer one is found by too. */
static bool supersedes(const Entry &newer, const Entry &old, unsigned shift)
{
	bool has_apic = (newer.host ^ newer.origin.apic_page) >> shift == 0;

	return newer.host == old.host && newer.guest == old.guest && newer.user == old.user &&
	       (!has_apic || old.origin.apic_page == newer.origin.apic_page) &&
	       newer.guest_shift <= old.guest_shift && allows(newer, old.allowed);
}

bool Remembered::add(const Name &name, const Entry &entry)
{
	Kept &kept = entries[name];
	bool full = false;
	auto is_superseded = [&](const Entry &old) { return supersedes(entry, old, name.shift); };

	if (!kept.older.empty())
		std::erase_if(kept.older, is_superseded);
	if (kept.newest.read && !is_superseded(kept.newest)) {
		full = kept.older.size() == most_older;
		if (full)
			kept.older.erase(kept.older.begin());
		kept.older.push_back(kept.newest);
	}
	kept.newest = entry;
	return full;
}

size_t Remembered::size() const
{
	return entries.size();
}

void Remembered::sweep(const Invalidations &invalidations)
{
	for (auto item = entries.begin(); item != entries.end();) {
		Time newest = invalidations.newest(item->first);
		bool none_left = drop(item->second, [&](const Entry &entry) {
			return covered(item->first, entry, newest, invalidations);
		});

		item = none_left ? entries.erase(item) : std::next(item);
	}
}

void Remembered::clear()
{
	entries.clear();
}

} /* namespace tlbsan */
