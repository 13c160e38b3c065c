/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counting part: takes events, finds their level and VPID, counts, and ends a
 * region at each mark.
 */
#ifndef TLBSAN_COUNTING_H
#define TLBSAN_COUNTING_H

#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

#include "counters.h"
#include "events.h"
#include "regions.h"
#include "vmcs_levels.h"

namespace tlbsan {

class Counting {
public:
	/* executed(cpu): instructions that CPU has executed so far */
	using Executed = uint64_t (*)(unsigned cpu);

	Counting(unsigned cpus, FILE *out, Executed executed);

	void entered(const VmEntry &entry);
	void exited(const VmExit &exit);
	void cleared(const VmClear &clear);
	void loaded(const VmPtrld &load);
	void invvpid(const Invvpid &inv);
	void invept(const Invept &inv);
	void failed(const VmFail &fail);
	void reset(unsigned cpu);
	/* Of this CPU since its last change of level. */
	void simulated(unsigned cpu, uint16_t vpid, const TlbCounts &counts);
	void reported(const Report &report);
	void accounts(const Account &more);
	/*
	 * True when this ended a region; before_end is called first, with the
	 * label of the next one.
	 */
	bool prefetched(uint64_t address,
			const std::function<void(const std::string &)> &before_end = nullptr);
	void finish();

	const VmcsLevels &vmcs_levels() const { return levels; }
	const std::string &region() const { return log.region(); }

private:
	void settle(unsigned cpu, uint64_t executed_now);
	void settle_all();

	Executed executed;
	VmcsLevels levels;
	Counters counters;
	LabelReader labels;
	RegionLog log;
	/* instructions that are in the counters already, by CPU */
	std::vector<uint64_t> settled;
};

} /* namespace tlbsan */

#endif
