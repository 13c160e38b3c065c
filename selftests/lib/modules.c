// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading of kernel modules from a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "modules.h"
#include "test_util.h"

int module_load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return ret;
}

int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

void module_must_load(const char *path, const char *parameters)
{
	int error = module_load(path, parameters);

	TEST_ASSERT(!error, "Loading %s %s: %s", path, parameters, strerror(-error));
}

void module_must_unload(const char *name)
{
	int error = module_unload(name);

	TEST_ASSERT(!error, "Unloading %s: %s", name, strerror(-error));
}

static const char *last_module;

static void unload_last_module(void)
{
	module_unload(last_module);
}

void module_unload_at_exit(const char *name)
{
	last_module = name;
	atexit(unload_last_module);
}
