/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TLBSAN_SIMULATED_COUNTS_H
#define TLBSAN_SIMULATED_COUNTS_H

#include <cstdint>

namespace tlbsan {

/* What went to the simulated TLB. */
struct TlbCounts {
	uint64_t accesses = 0;
	uint64_t l1_misses = 0;
	uint64_t l2_misses = 0;		/* of these: walks */

	void add(const TlbCounts &more)
	{
		accesses += more.accesses;
		l1_misses += more.l1_misses;
		l2_misses += more.l2_misses;
	}
};

} /* namespace tlbsan */

#endif
