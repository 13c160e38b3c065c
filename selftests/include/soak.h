/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of soak: what disturbs the machine, and what is looked at when it is quiet.
 */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

/* How often each was done. */
struct soak_done {
	u64 cycles;		/* the module was loaded and unloaded again */
	u64 switches;		/* of one hook, or of all at once */
	u64 offline;		/* a CPU went, and came back */
	u64 zaps;		/* of the shadow pages of all VMs */
	u64 compactions, drops, squeezes;
	u64 differences;	/* between C and Rust, where the module compares */
};

/* What is done wrong on purpose, to see that it is noticed. */
enum soak_plant {
	PLANT_NOTHING, PLANT_VPID, PLANT_PAGE, PLANT_SLAB, PLANT_OBJECT, PLANT_WARN,
	PLANT_REFERENCE, PLANT_VM,
};

/* The file of the module that is loaded and unloaded; the order is @seed's. */
void soak_disturb_begin(const char *module, u64 seed, enum soak_plant plant);

/* Do the next one. */
void soak_disturb(void);

/* The module is gone, all CPUs are there. */
void soak_disturb_pause(void);

const struct soak_done *soak_done(void);

/* Is there a CPU that may go, and is it there now?  Its number, or -1. */
int soak_cpu_that_goes(void);

/* Look at everything and print it; returns how much is not as it was the first time. */
int soak_look(void);

/* In the directory of kernel modules of the machine. */
#define SOAK_MODULES	"/modules/"

/* What /proc/zoneinfo says of free pages under the name @what, for all zones together. */
u64 soak_zones_kib(const char *what);

/* Write @text to a file of the kernel's; returns whether that was accepted. */
bool soak_write(const char *path, const char *text);

#endif
