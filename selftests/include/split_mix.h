/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SplitMix64: pseudo-random numbers that are the same for the same seed.
 */
#ifndef SPLIT_MIX_H
#define SPLIT_MIX_H

#include <linux/types.h>

static inline u64 split_mix(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

#endif
