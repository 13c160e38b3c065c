/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Host: a thread that moves others from CPU to CPU all the while.
 */
#ifndef MOVES_H
#define MOVES_H

#include <pthread.h>

/* Move the @nr @threads until moves_end(), which comes before they end. */
void moves_begin(const pthread_t *threads, int nr);

/* How often they were moved. */
unsigned long moves_end(void);

/* They must have been moved often by now. */
#define MANY_MOVES	20
void moves_end_after_many(void);

#endif
