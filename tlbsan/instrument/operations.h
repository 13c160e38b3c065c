/* SPDX-License-Identifier: GPL-2.0 */
/* The newest operations that invalidated something, kept for reports. */
#ifndef TLBSAN_OPERATIONS_H
#define TLBSAN_OPERATIONS_H

#include <cstdint>
#include <deque>
#include <vector>

#include "invalidations.h"
#include "vmcs_levels.h"
#include "words.h"

namespace tlbsan {

struct Operation {
	Time time = 0;
	Action action = Action::other;
	uint64_t a = 0;		/* what it names: VPID, EPT pointer, PCID ... */
	uint64_t b = 0;		/* ... and address */
	uint64_t rip = 0;	/* of the instruction */
	Level level = Level::root;
};

class Operations {
public:
	void add(const Operation &operation)
	{
		all.push_back(operation);
		if (all.size() > most)
			all.pop_front();
	}

	/* What was done at a time, if that is still known. */
	Action at(Time time) const
	{
		for (const Operation &operation : all) {
			if (operation.time == time)
				return operation.action;
		}
		return Action::other;
	}

	/* Those after a time, the newest first; not more than a person reads. */
	std::vector<Operation> since(Time time) const
	{
		std::vector<Operation> found;

		for (auto op = all.rbegin(); op != all.rend() && op->time > time; ++op) {
			if (found.size() == most_shown)
				break;
			found.push_back(*op);
		}
		return found;
	}

private:
	static constexpr size_t most = 64, most_shown = 8;

	std::deque<Operation> all;
};

} /* namespace tlbsan */

#endif
