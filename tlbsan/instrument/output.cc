/* SPDX-License-Identifier: GPL-2.0 */
#include "output.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace tlbsan {

std::string setting(const char *variable)
{
	const char *text = getenv(variable);

	return text ? text : "";
}

FILE *open_output(const char *variable)
{
	const char *path = getenv(variable);

	if (!path || !*path)
		return nullptr;

	FILE *file = fopen(path, "w");

	if (!file) {
		fprintf(stderr, "tlbsan: cannot open %s=%s: %s; name a file that can be written\n",
			variable, path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	return file;
}

void write_line(FILE *file, const char *variable, const std::string &line)
{
	if (!file)
		return;
	if (fprintf(file, "%s\n", line.c_str()) >= 0 && fflush(file) == 0)
		return;

	fprintf(stderr, "tlbsan: cannot write to %s: %s; make room and run again\n", variable,
		strerror(errno));
	/* not exit(): its handlers may be what runs now */
	std::_Exit(EXIT_FAILURE);
}

} /* namespace tlbsan */
