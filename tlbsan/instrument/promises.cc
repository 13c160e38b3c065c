/* SPDX-License-Identifier: GPL-2.0 */
#include "promises.h"

#include <algorithm>
#include <utility>

namespace tlbsan {

/*
 * Guarantees that name addresses, less those that newer ones include.  If there are more,
 * the oldest go: a miss, no false report.
 */
static const size_t most_addresses = 1 << 18, most_flushes = 4096;

void apply(Invalidations &invalidations, Time time, uint16_t vpid, const GuestOperation &operation)
{
	Tag tag = { vpid, operation.pcid, 0 };

	switch (operation.scope) {
	case Scope::address:
		return invalidations.invlpg(time, tag, operation.address);
	case Scope::pcid_address:
		return invalidations.pcid_address(time, tag, operation.address);
	case Scope::pcid:
		return invalidations.pcid(time, tag);
	case Scope::pcid_and_globals:
		return invalidations.pcid_and_globals(time, tag);
	case Scope::all:
		return invalidations.vpid(time, vpid);
	case Scope::all_but_globals:
		return invalidations.vpid_but_globals(time, vpid);
	}
}

void Promises::operation(const Operation &what, uint16_t vpid, const GuestOperation &operation)
{
	if (invalidations.addresses() > most_addresses)
		invalidations.drop_covered_addresses();
	if (invalidations.addresses() > most_addresses) {
		forgotten += invalidations.addresses();
		invalidations.forget_addresses();
	}
	apply(invalidations, what.time, vpid, operation);
	log.add(what);
}

void Promises::vpid(const Operation &what, uint16_t vpid)
{
	invalidations.vpid(what.time, vpid);
	log.add(what);
}

void Promises::every_vpid(const Operation &what)
{
	invalidations.all_vpids(what.time);
	invalidations.vpid(what.time, 0);
	log.add(what);
}

void Promises::invvpid(const Operation &what, unsigned type, uint16_t vpid, uint64_t address)
{
	switch (type) {
	case 0:
		invalidations.vpid_address(what.time, vpid, address);
		break;
	case 1:
		invalidations.vpid(what.time, vpid);
		break;
	case 2:
		invalidations.all_vpids(what.time);
		break;
	case 3:
		invalidations.vpid_but_globals(what.time, vpid);
		break;
	default:
		return;
	}
	log.add(what);
}

void Promises::invept(const Operation &what, unsigned type, uint64_t ep4ta)
{
	if (type == 1)
		invalidations.ep4ta(what.time, ep4ta);
	else if (type == 2)
		invalidations.all_ep4tas(what.time);
	else
		return;
	log.add(what);
}

/* Whatever the older one covers, the newer one does too. */
bool Promises::includes(const Flush &newer, const Flush &older)
{
	return newer.time >= older.time && newer.vpid == older.vpid && newer.ep4ta == older.ep4ta &&
	       (!newer.processor || newer.processor == older.processor) &&
	       (!newer.address_space || newer.address_space == older.address_space) &&
	       (!newer.but_globals || older.but_globals) &&
	       newer.span.first <= older.span.first && older.span.last <= newer.span.last;
}

void Promises::flush(const Operation &what, uint16_t vpid, uint64_t ep4ta, const FlushCall &call,
		     const Processor &processor)
{
	for (const Span &span : call.spans) {
		Flush newer = { what.time, vpid, ep4ta, call.address_space, call.but_globals,
				span, processor };

		std::erase_if(flushes, [&](const Flush &older) { return includes(newer, older); });
		flushes.push_back(newer);
	}
	for (; flushes.size() > most_flushes; forgotten++)
		flushes.pop_front();
	log.add(what);
}

bool Promises::covers(const Flush &flush, const Name &name, uint64_t cr3,
		      const Processor &user) const
{
	uint64_t first = name.page << name.shift, last = first + ((uint64_t(1) << name.shift) - 1);
	bool linear = name.kind == Kind::translation || name.kind == Kind::tables;

	return linear && (!flush.processor || flush.processor == user) &&
	       flush.vpid == name.tag.vpid && flush.ep4ta == name.tag.ep4ta &&
	       !(flush.but_globals && name.tag.pcid == GLOBAL) &&
	       (!flush.address_space || ((flush.address_space ^ cr3) & FRAME) == 0) &&
	       first <= flush.span.last && flush.span.first <= last;
}

uint64_t Promises::take_forgotten()
{
	return std::exchange(forgotten, 0);
}

Time Promises::newest(const Name &name, uint64_t cr3, const Processor &user) const
{
	Time time = invalidations.newest(name);

	for (const Flush &flush : flushes) {
		if (flush.time > time && covers(flush, name, cr3, user))
			time = flush.time;
	}
	return time;
}

} /* namespace tlbsan */
