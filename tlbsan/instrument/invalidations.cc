/* SPDX-License-Identifier: GPL-2.0 */
#include "invalidations.h"

#include <algorithm>

namespace tlbsan {

static uint64_t vpid_and_pcid(const Tag &tag)
{
	return static_cast<uint64_t>(tag.vpid) << 16 | tag.pcid;
}

/* An address of a VPID and PCID, for all EP4TAs; kind says nothing here. */
static Name place(unsigned shift, const Tag &tag, uint64_t address)
{
	return name_of(Kind::translation, shift, { tag.vpid, tag.pcid, 0 }, address);
}

void Invalidations::address(Time time, const Tag &tag, uint64_t address)
{
	for (unsigned shift : all_shifts)
		one_by_one[place(shift, tag, address)] = time;
}

void Invalidations::invlpg(Time time, const Tag &tag, uint64_t linear)
{
	address(time, tag, linear);
	address(time, { tag.vpid, GLOBAL, 0 }, linear);
	/* all paging-structure caches of the PCID, whatever the address */
	pcid_tables[vpid_and_pcid(tag)] = time;
}

void Invalidations::pcid_address(Time time, const Tag &tag, uint64_t linear)
{
	address(time, tag, linear);
}

void Invalidations::pcid(Time time, const Tag &tag)
{
	pcids[vpid_and_pcid(tag)] = time;
}

void Invalidations::pcid_and_globals(Time time, const Tag &tag)
{
	pcids[vpid_and_pcid(tag)] = time;
	pcids_and_globals[tag.vpid] = time;
}

void Invalidations::vpid(Time time, uint16_t vpid)
{
	vpids[vpid] = time;
}

void Invalidations::vpid_but_globals(Time time, uint16_t vpid)
{
	vpids_but_globals[vpid] = time;
}

void Invalidations::vpid_address(Time time, uint16_t vpid, uint64_t linear)
{
	address(time, { vpid, ANY, 0 }, linear);
}

void Invalidations::all_vpids(Time time)
{
	every_vpid = time;
}

void Invalidations::ep4ta(Time time, uint64_t ep4ta)
{
	ep4tas[ep4ta] = time;
}

void Invalidations::all_ep4tas(Time time)
{
	every_ep4ta = time;
}

template <class Map, class Key>
static void later(Time &time, const Map &times, const Key &key)
{
	auto found = times.find(key);

	if (found != times.end())
		time = std::max(time, found->second);
}

Time Invalidations::newest_of_all_addresses(const Tag &tag) const
{
	Time time = tag.vpid ? every_vpid : 0;

	later(time, vpids, tag.vpid);
	/* Whatever the PCID: what spares some does not cover it. */
	if (tag.pcid == ANY)
		return time;
	if (tag.pcid == GLOBAL) {
		later(time, pcids_and_globals, tag.vpid);
	} else {
		later(time, vpids_but_globals, tag.vpid);
		later(time, pcids, vpid_and_pcid(tag));
	}
	return time;
}

Time Invalidations::newest(const Name &name) const
{
	const Tag &tag = name.tag;
	Time time = 0;

	if (tag.ep4ta) {
		time = every_ep4ta;
		later(time, ep4tas, tag.ep4ta);
	}
	if (name.kind == Kind::guest_physical || name.kind == Kind::ept_tables)
		return time;

	time = std::max(time, newest_of_all_addresses(tag));
	if (name.kind == Kind::tables)
		later(time, pcid_tables, vpid_and_pcid(tag));

	if (!one_by_one.empty()) {
		Name at = { Kind::translation, name.shift, { tag.vpid, tag.pcid, 0 }, name.page };

		later(time, one_by_one, at);
		at.tag.pcid = ANY;
		later(time, one_by_one, at);
	}
	return time;
}

size_t Invalidations::addresses() const
{
	return one_by_one.size();
}

void Invalidations::drop_covered_addresses()
{
	std::erase_if(one_by_one, [&](const auto &item) {
		return newest_of_all_addresses(item.first.tag) >= item.second;
	});
}

void Invalidations::forget_addresses()
{
	one_by_one.clear();
}

} /* namespace tlbsan */
