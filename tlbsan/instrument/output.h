/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TLBSAN_OUTPUT_H
#define TLBSAN_OUTPUT_H

#include <cstdio>
#include <string>

namespace tlbsan {

/* What an environment variable says; nothing if it is unset. */
std::string setting(const char *variable);

/* The file that an environment variable names, made empty; nullptr if it is unset. */
FILE *open_output(const char *variable);

/*
 * Write a line and flush it; nothing if file is nullptr.  A write that fails
 * ends the emulator: counts with a gap are worse than none.
 */
void write_line(FILE *file, const char *variable, const std::string &line);

} /* namespace tlbsan */

#endif
