// SPDX-License-Identifier: GPL-2.0
/*
 * Moving threads from CPU to CPU while they run vCPUs.
 */
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "moves.h"
#include "kvm_util.h"

#define MAX_THREADS	8
#define PAUSE_US	300

static pthread_t mover, moved[MAX_THREADS];
static int nr_moved;
static bool stop;
static unsigned long nr_moves;

static void set_cpus(pthread_t thread, int cpu)
{
	cpu_set_t cpus;
	int i;

	CPU_ZERO(&cpus);
	for (i = 0; i < get_nprocs(); i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &cpus);
	TEST_ASSERT(!pthread_setaffinity_np(thread, sizeof(cpus), &cpus),
		    "pthread_setaffinity_np() failed");
}

static void *keep_moving(void *unused)
{
	int i;

	/* Not where it was born, next to one of those that it moves. */
	set_cpus(pthread_self(), -1);
	while (!READ_ONCE(stop)) {
		for (i = 0; i < nr_moved; i++)
			set_cpus(moved[i], (nr_moves + i) % get_nprocs());
		nr_moves++;
		usleep(PAUSE_US);
	}
	return NULL;
}

void moves_begin(const pthread_t *threads, int nr)
{
	TEST_ASSERT(nr <= MAX_THREADS, "%d threads, %d at most", nr, MAX_THREADS);
	memcpy(moved, threads, nr * sizeof(*threads));
	nr_moved = nr;
	nr_moves = 0;
	stop = false;
	pthread_create(&mover, NULL, keep_moving, NULL);
}

unsigned long moves_end(void)
{
	WRITE_ONCE(stop, true);
	pthread_join(mover, NULL);
	pr_info("# moved %lu times\n", nr_moves);
	return nr_moves;
}

void moves_end_after_many(void)
{
	unsigned long nr = moves_end();

	TEST_ASSERT(nr >= MANY_MOVES, "Moved %lu times, %d wanted", nr, MANY_MOVES);
}
