/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A simulated TLB of one CPU: what a TLB of a real CPU's size would have hit and
 * missed.  The oracle caches everything that hardware may hold.  This one evicts, as
 * hardware must.
 *
 *  - Level 1 has arrays of its own for data and for instructions, and in each for
 *    pages of 4 KiB and of 2 MiB, as the parts it is sized after: a loop's
 *    instructions are not driven out by the data it reads.  Level 2 is one array.
 *  - A level 1 miss that hits level 2 fills level 1, a miss in both is a walk and fills
 *    both.  An entry that level 2 replaces stays in level 1.
 *  - Entries are tagged as SDM 29.4.1 says (names.h), larger pages are cached in
 *    pieces of 2 MiB, and a page of a guest that EPT maps in smaller ones in these.
 *  - Not simulated: paging-structure caches, what a walk itself looks up, rights and
 *    dirty flags, prefetching, a second thread on the core.
 */
#ifndef TLBSAN_SIMULATED_TLB_H
#define TLBSAN_SIMULATED_TLB_H

#include <array>
#include <cstdint>

#include "events.h"
#include "invalidations.h"
#include "simulated_array.h"
#include "simulated_counts.h"
#include "simulated_sizes.h"
#include "walk_events.h"

namespace tlbsan {

/* How an address is mapped, as a walk finds it. */
struct Mapping {
	uint8_t shift = 12;	/* by the guest's own tables; EPT's where it has none */
	uint8_t ept_shift = 63;	/* by EPT; 63: there is none */
	bool global = false;
};

class SimulatedTlb {
public:
	explicit SimulatedTlb(const TlbSizes &sizes);

	enum class Found { l1, l2, nowhere };

	/* After nowhere, fill() has to follow. */
	Found access(const Access &access);
	void fill(const Access &access, const Mapping &mapping);
	/* A page fault or EPT violation invalidates what would be used: SDM 4.10.4.1, 29.4.3.1 */
	void refused(const Access &access);

	/* Operations that succeeded. */
	void invvpid(const Invvpid &inv);
	void invept(const Invept &inv);
	void executed(uint16_t vpid, const GuestOperation &operation);
	/* VM entry or exit while "enable VPID" is off: SDM 29.4.3.1 */
	void transition_without_vpid();

	/* What was counted since the last call. */
	TlbCounts take();

private:
	/* Where the entry of a page was last; most accesses end their search there. */
	struct Guess {
		uint32_t index = 0;
		bool large = false;
	};

	Guess &guess(const Access &access);
	void expect(const Access &access, const Cached &entry);
	Time tick();
	Past past() const { return { invalidations, time }; }

	TlbArray l1[2][2];	/* data, instructions; 4 KiB, 2 MiB */
	TlbArray l2;
	Invalidations invalidations;
	Time time = 1;
	TlbCounts counts;
	std::array<Guess, 256> guesses[2];	/* by page; data, instructions */
};

} /* namespace tlbsan */

#endif
