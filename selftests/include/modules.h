/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading and unloading of kernel modules from a test.
 */
#ifndef MODULES_H
#define MODULES_H

/* Load the file @path with @parameters; returns 0 or -errno. */
int module_load(const char *path, const char *parameters);

/* Unload the module @name; returns 0 or -errno. */
int module_unload(const char *name);

/* The same; an error fails the test. */
void module_must_load(const char *path, const char *parameters);
void module_must_unload(const char *name);

/* Unload the module @name when the process ends, if it is loaded then.  One is enough. */
void module_unload_at_exit(const char *name);

#endif
