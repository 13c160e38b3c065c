// SPDX-License-Identifier: GPL-2.0
/*
 * tsmark LABEL: end the current tlbsan region and begin one named LABEL.
 *
 * It prefetches from an address that no program uses, once for each character.
 * The emulator sees that at any privilege and in guests; everything else,
 * real CPUs included, ignores it.
 *
 * Built with: gcc -static -O2
 */
#include <stdio.h>

#define TLBSAN_MAGIC 0x5453414e00000000ul

static void mark(unsigned char c)
{
	__asm__ volatile("prefetcht0 (%0)" : : "r"(TLBSAN_MAGIC | c) : "memory");
}

int main(int argc, char **argv)
{
	const char *c;

	if (argc != 2 || !argv[1][0]) {
		fprintf(stderr, "usage: tsmark LABEL\n");
		return 2;
	}

	for (c = argv[1]; *c; c++)
		mark(*c);
	mark('\n');
	return 0;
}
