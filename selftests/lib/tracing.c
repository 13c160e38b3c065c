// SPDX-License-Identifier: GPL-2.0
/*
 * The module's tracepoints, and what the kernel says of them in tracefs.
 */
#include <fcntl.h>

#include "kvm_util.h"
#include "tracing.h"

static void write_file(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | flags);

	TEST_ASSERT(fd >= 0, "%s: %s", path, strerror(errno));
	TEST_ASSERT(write(fd, text, strlen(text)) == strlen(text), "%s: \"%s\": %s", path, text,
		    strerror(errno));
	close(fd);
}

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "r");

	TEST_ASSERT(file, "%s: %s", path, strerror(errno));
	return file;
}

void tracing_start(void)
{
	write_file(TRACING "trace", O_TRUNC, "\n");
	write_file(EVENTS "enable", 0, "1");
}

void tracing_add(const char *path, const char *text)
{
	write_file(path, O_APPEND, text);
}

void tracing_expect_lines(const char *const *lines, int nr)
{
	FILE *trace = open_file(TRACING "trace");
	char line[512];
	int next = 0;

	while (next < nr && fgets(line, sizeof(line), trace))
		if (strstr(line, lines[next]))
			next++;
	fclose(trace);
	if (next < nr)
		TEST_FAIL("no line \"%s\" after the %d before it", lines[next], next);
}

void tracing_expect_text(const char *path, const char *text)
{
	FILE *file = open_file(path);
	bool found = false;
	char line[512];

	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, text);
	fclose(file);
	TEST_ASSERT(found, "%s has no line with \"%s\"", path, text);
}
