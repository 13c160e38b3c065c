/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one CPU may have cached: every entry that a page walk of a guest read, with its
 * tags and when.  A real TLB evicts at random.  Here an entry stays until an operation
 * came that must invalidate it.
 *
 * A name can have several.  A CPU that still has an old one does not walk, so a later
 * walk that finds another page or fewer rights does not replace it: hardware may have
 * the one or the other.  A later one of the same page with no fewer rights does.
 */
#ifndef TLBSAN_REMEMBERED_H
#define TLBSAN_REMEMBERED_H

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "invalidations.h"
#include "names.h"
#include "walk_events.h"

namespace tlbsan {

/* The context of a guest as its hypervisor's hypervisor, L1, defined it. */
struct VirtualTag {
	unsigned vcpu = 0;	/* number of the virtual CPU; 0: none */
	bool known = false;	/* vpid and ep4ta are */
	unsigned visit = 0;	/* of a context that is not known: its entry by L1 */
	uint16_t vpid = 0;	/* vpid12; 0: L1 itself, or VPID off in vmcs12 */
	uint64_t ep4ta = 0;	/* of eptp12; 0: L1 itself, or EPT off in vmcs12 */

	bool operator==(const VirtualTag &) const = default;
};

/* The origin of an entry. */
struct Origin {
	VirtualTag context;
	uint64_t vmcs = 0;
	uint64_t cr3 = 0;
	uint64_t rip = 0;
	uint64_t instructions = 0;
	uint64_t apic_page = 0;	/* see Place */
};

struct Entry {
	uint64_t host = 0;	/* page, or for tables the next table */
	uint64_t guest = 0;	/* guest-physical page; without EPT the same as host */
	uint8_t guest_shift = 0;	/* size by the guest's own tables, if it is a piece */
	Time read = 0;		/* when a walk found this */
	Rights allowed {};	/* without another walk */
	bool user = false;
	bool noted = false;	/* a report called it the guest's own */
	Origin origin {};
};

/* The 4 KiB frame's place in a page of this size. */
inline uint64_t offset_in(uint64_t address, unsigned shift)
{
	return address & ((uint64_t(1) << shift) - 1) & ~uint64_t(0xfff);
}

/* Would hardware have allowed the access by this entry? */
inline bool allows(const Entry &entry, const Rights &wanted)
{
	const Rights &allowed = entry.allowed;

	return (!wanted.read || allowed.read) && (!wanted.write || allowed.write) &&
	       (!wanted.execute || allowed.execute);
}

/*
 * What is named when this is invalidated: of a page that EPT maps in smaller ones, all
 * of the guest's page (SDM 4.10.4.1: all TLB entries for the page that is mapped there).
 */
inline Name whole(const Name &name, const Entry &entry)
{
	if (entry.guest_shift <= name.shift)
		return name;
	return { name.kind, entry.guest_shift, name.tag,
		 name.page >> (entry.guest_shift - name.shift) };
}

class Remembered {
public:
	/*
	 * Shows each entry that nothing covered since, the newest first, to keep(Entry &),
	 * which says whether it stays.  Those that are covered are dropped.
	 */
	template <class Keep>
	void each(const Name &name, const Invalidations &invalidations, Keep keep);
	/*
	 * A newer entry, after each() has shown those before it.  True when the oldest
	 * had to go for it.
	 */
	bool add(const Name &name, const Entry &entry);
	/* How many names have entries. */
	size_t size() const;
	/* Drop every entry that an invalidation covers. */
	void sweep(const Invalidations &invalidations);
	void clear();

private:
	struct Kept {
		Entry newest;
		std::vector<Entry> older;	/* the oldest first */
	};

	/* True when none is left. */
	template <class Gone> static bool drop(Kept &kept, Gone gone);

	/* Did an invalidation cover it?  newest: the newest of its name. */
	static bool covered(const Name &name, const Entry &entry, Time newest,
			    const Invalidations &invalidations)
	{
		if (entry.guest_shift > name.shift)
			newest = invalidations.newest(whole(name, entry));
		return newest > entry.read;
	}

	std::unordered_map<Name, Kept, NameHash> entries;
};

template <class Gone> bool Remembered::drop(Kept &kept, Gone gone)
{
	bool newest_gone = gone(kept.newest);

	if (!kept.older.empty())
		std::erase_if(kept.older, gone);
	if (!newest_gone)
		return false;
	if (kept.older.empty())
		return true;
	kept.newest = std::move(kept.older.back());
	kept.older.pop_back();
	return false;
}

template <class Keep>
void Remembered::each(const Name &name, const Invalidations &invalidations, Keep keep)
{
	auto found = entries.find(name);

	if (found == entries.end())
		return;

	Time newest = invalidations.newest(name);

	if (drop(found->second, [&](Entry &entry) {
		return covered(name, entry, newest, invalidations) || !keep(entry);
	}))
		entries.erase(found);
}

} /* namespace tlbsan */

#endif
