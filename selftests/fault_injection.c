// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each copy from or to user space that an operation on the module
 * makes fails once: the first, the second, and so on, until none is left.  After each,
 * the module is there whole or not at all, and the same works without a fault.
 *
 *   fault_injection MODULES/rust_kvm_nvmx.ko     it must not be loaded
 *
 * Needs a kernel with FAILSLAB, FAIL_PAGE_ALLOC and FAULT_INJECTION_USERCOPY.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "modules.h"
#include "test_util.h"

#define MODULE		"rust_kvm_nvmx"
#define DEBUG		"/sys/kernel/debug/"
#define HOOKS		DEBUG MODULE "/hooks/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define MOST		20000

static const char *file;
static int fail_nth;

static void set_attribute(const char *name, const char *value)
{
	int fd = open(name, O_WRONLY);

	TEST_ASSERT(fd >= 0, "%s: %m", name);
	TEST_ASSERT(write(fd, value, strlen(value)) > 0, "%s: %m", name);
	close(fd);
}

/* Allocations that may sleep fail as well, and single pages. */
static void set_up(void)
{
	TEST_REQUIRE(!access(FAIL_NTH, W_OK));
	TEST_REQUIRE(!access(DEBUG "failslab", F_OK));
	TEST_REQUIRE(!access(DEBUG "fail_page_alloc", F_OK));
	TEST_REQUIRE(!access(DEBUG "fail_usercopy", F_OK));

	set_attribute(DEBUG "failslab/ignore-gfp-wait", "N");
	set_attribute(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	set_attribute(DEBUG "fail_page_alloc/min-order", "0");
	/* A stack for each would be all that is in the log. */
	set_attribute(DEBUG "failslab/verbose", "0");
	set_attribute(DEBUG "fail_page_alloc/verbose", "0");
	set_attribute(DEBUG "fail_usercopy/verbose", "0");

	fail_nth = open(FAIL_NTH, O_RDWR);
	TEST_ASSERT(fail_nth >= 0, FAIL_NTH ": %m");
}

/* Let @nth fail in @operation.  Returns false if there were not that many. */
static bool inject(int (*operation)(void), int nth, int *ret)
{
	char text[16];
	ssize_t len;

	snprintf(text, sizeof(text), "%d", nth);
	TEST_ASSERT(write(fail_nth, text, strlen(text)) > 0, FAIL_NTH ": %m");
	*ret = operation();

	/* If what is left is one, it is this read that fails. */
	len = pread(fail_nth, text, sizeof(text) - 1, 0);
	if (len < 0)
		return false;
	text[len] = '\0';
	if (!atoi(text))
		return true;
	/* ... or this write. */
	if (pwrite(fail_nth, "0", 1, 0) < 0)
		pwrite(fail_nth, "0", 1, 0);
	return false;
}

static int load(void)
{
	return module_load(file, "");
}

static bool is_loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

static int unload(void)
{
	return module_unload(MODULE);
}

/* Returns the number of bytes, or -errno. */
static int write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static char shown[4096];

static int read_file(const char *name)
{
	int fd = open(name, O_RDONLY), ret;

	if (fd < 0)
		return -errno;
	ret = read(fd, shown, sizeof(shown) - 1);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	if (ret >= 0)
		shown[ret] = '\0';
	return ret < 0 ? ret : 0;
}

static int write_c(void)
{
	return write_file(HOOKS "flush_tlb_all", "c\n");
}

static int write_rust(void)
{
	return write_file(HOOKS "flush_tlb_all", "rust\n");
}

static int write_reset(void)
{
	return write_file(DEBUG MODULE "/reset", "1");
}

static int read_mode(void)
{
	return read_file(HOOKS "flush_tlb_all");
}

static int read_counters(void)
{
	return read_file(DEBUG MODULE "/counters");
}

static void works(const char *name, int ret)
{
	TEST_ASSERT(!ret, "%s, without a fault: %s", name, strerror(-ret));
}

static void fails_well(const char *name, int nth, int ret)
{
	TEST_ASSERT(ret == 0 || ret == -ENOMEM || ret == -EFAULT,
		    "%s, fault %d: %s", name, nth, strerror(-ret));
}

static void report(const char *name, int faults, int failures)
{
	TEST_ASSERT(failures, "%s: none of %d faults had it fail", name, faults);
	TEST_ASSERT(faults < MOST, "%s: no end of faults", name);
	printf("ok: %s: %d faults, of which %d had it fail\n", name, faults, failures);
}

/* It is there whole, or not at all: in both cases the next one can be loaded. */
static void test_load(void)
{
	int nth, ret, failures = 0;

	for (nth = 1; nth < MOST && inject(load, nth, &ret); nth++) {
		fails_well("load", nth, ret);
		TEST_ASSERT(is_loaded() == !ret, "load, fault %d: %s, and it is %s", nth,
			    strerror(-ret), is_loaded() ? "there" : "not there");
		failures += !!ret;
		if (!ret) {
			works("unload", unload());
		} else if (nth % 16 == 0) {
			works("load", load());
			works("read", read_mode());
			TEST_ASSERT(!strcmp(shown, "rust\n"), "the mode is %s", shown);
			works("unload", unload());
		}
	}
	if (is_loaded())
		works("unload", unload());
	works("load", load());
	report("load", nth - 1, failures);
}

/* A failure leaves the hook as it was; @after is what the mode must be without one. */
static void test_file(const char *name, int (*operation)(void), const char *after)
{
	int nth, ret, failures = 0;
	char before[sizeof(shown)];

	for (nth = 1; nth < MOST; nth++) {
		works("read", read_mode());
		memcpy(before, shown, sizeof(before));
		if (!inject(operation, nth, &ret))
			break;
		fails_well(name, nth, ret);
		failures += !!ret;
		works("read", read_mode());
		TEST_ASSERT(!strcmp(shown, ret ? before : after ?: before),
			    "%s, fault %d: the mode is %s", name, nth, shown);
		/* So that the next one has something to do. */
		if (after && !ret)
			works("write", strcmp(after, "c\n") ? write_c() : write_rust());
	}
	works(name, operation());
	report(name, nth - 1, failures);
}

int main(int argc, char **argv)
{
	TEST_ASSERT(argc == 2, "usage: fault_injection MODULES/" MODULE ".ko");
	file = argv[1];
	TEST_ASSERT(!is_loaded(), "unload " MODULE " first");
	set_up();

	test_load();
	test_file("write c", write_c, "c\n");
	test_file("write rust", write_rust, "rust\n");
	test_file("write reset", write_reset, NULL);
	test_file("read a mode", read_mode, NULL);
	test_file("read the counters", read_counters, NULL);
	works("unload", unload());
	return 0;
}
