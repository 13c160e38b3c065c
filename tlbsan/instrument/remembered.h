/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one CPU may have cached: every entry that a page walk of a guest read, with its
 * tags and when.  A real TLB evicts at random.  Here an entry stays until an operation
 * came that must invalidate it.
 */
#ifndef TLBSAN_REMEMBERED_H
#define TLBSAN_REMEMBERED_H

#include <cstdint>
#include <unordered_map>

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
	Time read = 0;		/* the newest walk that found this */
	Time write = 0;		/* the newest that allowed a write; 0: none did */
	Time execute = 0;	/* the newest that allowed an execute; 0: none did */
	bool user = false;
	Origin origin;
};

/* The 4 KiB frame's place in a page of this size. */
inline uint64_t offset_in(uint64_t address, unsigned shift)
{
	return address & ((uint64_t(1) << shift) - 1) & ~uint64_t(0xfff);
}

/* Would hardware have allowed the access by this entry? */
inline bool allows(const Entry &entry, const Rights &wanted)
{
	return (!wanted.write || entry.write) && (!wanted.execute || entry.execute);
}

class Remembered {
public:
	/* The entry, if nothing covered it since; an invalidated one is dropped. */
	Entry *find(const Name &name, const Invalidations &invalidations);
	Entry &at(const Name &name);
	void forget(const Name &name);
	size_t size() const;
	/* Drop every entry that an invalidation covers. */
	void sweep(const Invalidations &invalidations);
	void clear();

private:
	std::unordered_map<Name, Entry, NameHash> entries;
};

} /* namespace tlbsan */

#endif
