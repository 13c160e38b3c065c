/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The invalidations that are guaranteed to one virtual CPU: by its own operations,
 * which invalidate as those of a CPU do, under the tags that it knows; and by flushes
 * that others asked for it.
 */
#ifndef TLBSAN_PROMISES_H
#define TLBSAN_PROMISES_H

#include <cstdint>
#include <deque>
#include <optional>

#include "flush_hypercalls.h"
#include "invalidations.h"
#include "operations.h"
#include "walk_events.h"

namespace tlbsan {

/* Carry an operation out on the invalidations of a CPU, virtual or not. */
void apply(Invalidations &invalidations, Time time, uint16_t vpid, const GuestOperation &operation);

class Promises {
public:
	/* None: an L1, or an L2 that no call can name. */
	using Processor = std::optional<VirtualProcessor>;

	/* A guest's operation under this virtual VPID. */
	void operation(const Operation &what, uint16_t vpid, const GuestOperation &operation);
	/* Everything of a virtual VPID. */
	void vpid(const Operation &what, uint16_t vpid);
	/* Everything of all virtual VPIDs, 0 too. */
	void every_vpid(const Operation &what);
	/* L1's for its L2s; a virtual EP4TA of 0 is never named. */
	void invvpid(const Operation &what, unsigned type, uint16_t vpid, uint64_t address);
	void invept(const Operation &what, unsigned type, uint64_t ep4ta);
	/*
	 * A flush that others asked for, as of what.time, which may be past: of
	 * the address space of this virtual VPID and EP4TA alone.  An L2's call is
	 * for the L2 with these ids: another under the same VPID is not its target.
	 */
	void flush(const Operation &what, uint16_t vpid, uint64_t ep4ta, const FlushCall &call,
		   const Processor &processor = {});

	/*
	 * The newest for an entry with this name (virtual tags) that was made under
	 * cr3, if the L2 with these ids uses it.
	 */
	Time newest(const Name &name, uint64_t cr3, const Processor &user = {}) const;
	/* How many were too many to keep, since this was last asked. */
	uint64_t take_forgotten();
	/* What was guaranteed since a time, newest first. */
	std::vector<Operation> since(Time time) const { return log.since(time); }
	/* What was guaranteed at a time, if that is still known. */
	Action at(Time time) const { return log.at(time); }

private:
	struct Flush {
		Time time;
		uint16_t vpid;
		uint64_t ep4ta;
		uint64_t address_space;
		bool but_globals;
		Span span;
		Processor processor;
	};

	static bool includes(const Flush &newer, const Flush &older);
	bool covers(const Flush &flush, const Name &name, uint64_t cr3,
		    const Processor &user) const;

	Invalidations invalidations;
	std::deque<Flush> flushes;	/* oldest first */
	Operations log;
	uint64_t forgotten = 0;
};

} /* namespace tlbsan */

#endif
