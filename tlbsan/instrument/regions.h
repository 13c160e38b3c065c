/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Regions: the stretches of a run between two marks, each with its own counts.
 *
 * A program in the emulated machine, at any level, marks by prefetching from one magic
 * address for each character of a label and one for '\n' (tsmark.c).  Output
 * is one JSON object a line, flushed as soon as its region ends.
 */
#ifndef TLBSAN_REGIONS_H
#define TLBSAN_REGIONS_H

#include <cstdint>
#include <cstdio>
#include <string>

#include "counters.h"

namespace tlbsan {

/* Puts labels together from prefetched addresses. */
class LabelReader {
public:
	static constexpr uint64_t magic = 0x5453414e00000000;	/* "TSAN" << 32 */
	static constexpr size_t max_length = 80;

	/* Is this the address of a character of a mark? */
	static bool marks(uint64_t address) { return address >> 8 == magic >> 8; }
	/* True when this address ended a label, which is then in label. */
	bool read(uint64_t address, std::string &label);

private:
	std::string pending;
};

/* Does a region of this name begin or end a step of the runner? */
bool is_step(const std::string &label);

/* The line of one region, without a line end. */
std::string region_json(const std::string &region, unsigned seq, const Counters &counters);

/* Writes the regions of a run.  */
class RegionLog {
public:
	/* file: nullptr writes nothing */
	explicit RegionLog(FILE *file) : file(file) {}

	/* End the current region with these counts and begin the next. */
	void next(const std::string &label, Counters &counters);
	/* End the last region and write the sums of all. */
	void finish(Counters &counters);

	const std::string &region() const { return current; }

private:
	FILE *file;
	std::string current = "boot";
	unsigned seq = 0;
	Counters total;
};

} /* namespace tlbsan */

#endif
