/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arguments of a test that has options without values.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>

/* Which of the @nr @options are given, a bit for each.  Any other argument fails the test. */
unsigned int options_given(int argc, char *argv[], const char *const options[], int nr);

/* The same, for the only option that there is. */
bool option_given(int argc, char *argv[], const char *option);

#endif
