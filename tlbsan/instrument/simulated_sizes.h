/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How large the simulated TLB is, and how TLBSAN_SIM says so.
 *
 * "default", or a list such as "l1d=64x4,l2=1536x12": entries x ways of each part
 * that shall differ from the default.  Without ways a part is fully associative.
 */
#ifndef TLBSAN_SIMULATED_SIZES_H
#define TLBSAN_SIMULATED_SIZES_H

#include <string>

namespace tlbsan {

struct TlbSize {
	unsigned entries;
	unsigned ways;

	unsigned sets() const { return entries / ways; }
	bool operator==(const TlbSize &) const = default;
};

/*
 * The default is Intel's Skylake client core with one thread: Intel 64 and IA-32
 * Architectures Optimization Reference Manual (248966-045), table 2-15.  The manual
 * leaves the ways of l1i2m open; CPUID leaf 2 calls them full (descriptor 0x76).
 */
struct TlbSizes {
	TlbSize l1d { 64, 4 };		/* data, 4 KiB pages */
	TlbSize l1d2m { 32, 4 };	/* data, 2 MiB pages */
	TlbSize l1i { 128, 8 };		/* instructions, 4 KiB pages */
	TlbSize l1i2m { 8, 8 };		/* instructions, 2 MiB pages */
	TlbSize l2 { 1536, 12 };	/* data and instructions, pages of both sizes */

	bool operator==(const TlbSizes &) const = default;
};

/* Read such a text.  Returns what is wrong with it, nothing if all is well. */
std::string read_sizes(const std::string &text, TlbSizes &sizes);

} /* namespace tlbsan */

#endif
