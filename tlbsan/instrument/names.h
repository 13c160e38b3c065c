/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tags of what a CPU may cache, as SDM 29.4.1 associates it:
 *
 *	translation	linear address -> page.  A linear mapping where EPT is
 *			not in use (ep4ta 0): VPID and PCID.  A combined mapping
 *			where it is: VPID, PCID and EP4TA.
 *	tables		the paging-structure entry above that: same tags
 *	guest_physical	guest-physical address -> page: EP4TA
 *	ept_tables	the EPT paging-structure entry above that: EP4TA
 */
#ifndef TLBSAN_NAMES_H
#define TLBSAN_NAMES_H

#include <cstddef>
#include <cstdint>

namespace tlbsan {

enum class Kind : uint8_t { translation, tables, guest_physical, ept_tables };

/* In the place of a PCID: a global translation, valid for all PCIDs (SDM 4.10.2.4). */
inline constexpr uint16_t GLOBAL = 0x1000;

/*
 * Sizes an entry can have, as the number of address bits below it: pages of
 * 4 KiB, 2 MiB, 4 MiB (no PAE) and 1 GiB; and what a level 4 or 5 entry spans.
 */
inline constexpr unsigned page_shifts[] = { 12, 21, 22, 30 };
inline constexpr unsigned all_shifts[] = { 12, 21, 22, 30, 39, 48 };

inline constexpr uint64_t FRAME = 0x000ffffffffff000;

/* The tags of an address: the hardware's, or a virtual CPU's. */
struct Tag {
	uint16_t vpid = 0;
	uint16_t pcid = 0;
	uint64_t ep4ta = 0;
};

struct Name {
	Kind kind;
	uint8_t shift;
	Tag tag;
	uint64_t page;		/* address >> shift */

	bool operator==(const Name &other) const
	{
		return kind == other.kind && shift == other.shift &&
		       tag.vpid == other.tag.vpid && tag.pcid == other.tag.pcid &&
		       tag.ep4ta == other.tag.ep4ta && page == other.page;
	}
};

inline Name name_of(Kind kind, unsigned shift, const Tag &tag, uint64_t address)
{
	bool ept = kind == Kind::guest_physical || kind == Kind::ept_tables;

	return { kind, static_cast<uint8_t>(shift), ept ? Tag { 0, 0, tag.ep4ta } : tag,
		 address >> shift };
}

struct NameHash {
	size_t operator()(const Name &name) const
	{
		uint64_t tags = static_cast<uint64_t>(name.kind) | name.shift << 8 |
				static_cast<uint64_t>(name.tag.vpid) << 16 |
				static_cast<uint64_t>(name.tag.pcid) << 32;
		uint64_t hash = tags * 0x9e3779b97f4a7c15;

		hash = (hash ^ hash >> 31 ^ name.tag.ep4ta) * 0xbf58476d1ce4e5b9;
		hash = (hash ^ hash >> 31 ^ name.page) * 0x94d049bb133111eb;
		return hash ^ hash >> 31;
	}
};

} /* namespace tlbsan */

#endif
