// SPDX-License-Identifier: GPL-2.0
/*
 * What rust_kvm_nvmx does where it cannot work: a fitting errno, one line in the
 * kernel log that says what to do, and nothing that stays.
 *
 *   refusals MODULES/rust_kvm_nvmx.ko     KVM's modules, hooks_client.ko and those
 *                                         for other kernels are next to it; none
 *                                         of ours is loaded
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "modules.h"
#include "processor.h"
#include "test_util.h"

#define HOOK	"/sys/kernel/debug/rust_kvm_nvmx/hooks/flush_tlb_all"

static const char *modules;

static int load(const char *name, const char *parameters)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.ko", modules, name);
	return module_load(path, parameters);
}

static void must_load(const char *name, const char *parameters)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.ko", modules, name);
	module_must_load(path, parameters);
}

/* @what fails with @error and makes the log say @line. */
static void refused(const char *name, const char *parameters, int error, const char *line)
{
	char record[1024], path[PATH_MAX];
	int said = 0, ret, log;
	ssize_t len;

	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	TEST_ASSERT(log >= 0, "/dev/kmsg: %m");
	lseek(log, 0, SEEK_END);

	ret = load(name, parameters);
	TEST_ASSERT(ret == -error, "%s %s: \"%s\", not \"%s\"", name, parameters,
		    strerror(-ret), strerror(error));

	while ((len = read(log, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		said += !!strstr(record, line);
	}
	close(log);
	TEST_ASSERT(said == 1, "\"%s\" is in the log %d times, not once", line, said);

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	TEST_ASSERT(access(path, F_OK), "%s is there", path);
	printf("ok: %s %s: %s: %s\n", name, parameters, strerror(error), line);
}

static int write_mode(const char *mode)
{
	int fd = open(HOOK, O_WRONLY), ret;

	TEST_ASSERT(fd >= 0, "%s: %m", HOOK);
	ret = write(fd, mode, strlen(mode)) < 0 ? errno : 0;
	close(fd);
	return ret;
}

static void mode_is(const char *expected)
{
	char mode[16] = "";
	int fd = open(HOOK, O_RDONLY);

	TEST_ASSERT(fd >= 0, "%s: %m", HOOK);
	TEST_ASSERT(read(fd, mode, sizeof(mode) - 1) > 0, "%s: %m", HOOK);
	close(fd);
	TEST_ASSERT(!strcmp(mode, expected), "the mode is %s, not %s", mode, expected);
}

static void test_table(void)
{
	refused("hooks_client", "how=version", ENOEXEC, "the module is for version 6");
	refused("hooks_client", "how=layout", ENOEXEC,
		"vcpu_vmx.vpid is not 1 bytes at offset 1");

	refused("hooks_client", "how=number", ENOEXEC, "KVM_REQ_HV_TLB_FLUSH is not");
	/* What a module has that was built for a kernel with these two fields swapped. */
	refused("hooks_client", "how=requests", ENOEXEC, "kvm_vcpu.requests is not 8 bytes at");
	refused("rust_kvm_nvmx_swapped", "", ENOEXEC, "kvm_vcpu.requests is not 8 bytes at");
	/* ... and for one in which this function takes an argument more. */
	refused("hooks_client", "how=prototype", ENOEXEC, "this is gpa_t kvm_translate_gpa(");
	refused("rust_kvm_nvmx_argument", "", ENOEXEC, "this is gpa_t kvm_translate_gpa(");
	/* What it sees of a kernel that lacks the patches, or was built without their exports. */
	refused("rust_kvm_nvmx_unpatched", "", EOPNOTSUPP, "KVM has no hook table: apply");
	refused("rust_kvm_nvmx_trimmed", "", EOPNOTSUPP, "TRIM_UNUSED_KSYMS removed");
	TEST_ASSERT(access("/sys/module/rust_kvm_nvmx", F_OK), "one of them has stayed");

	must_load("hooks_client", "how=evmcs");
	refused("rust_kvm_nvmx", "", EPERM, "reload kvm_intel with enlightened_vmcs=0");
	module_must_unload("hooks_client");

	must_load("hooks_client", "how=occupy");
	refused("rust_kvm_nvmx", "", EBUSY, "another module serves KVM's nVMX hooks");
	module_must_unload("hooks_client");

	must_load("rust_kvm_nvmx", "");
	TEST_ASSERT(load("hooks_client", "how=occupy") == -EBUSY, "a second client was accepted");
	TEST_ASSERT(module_unload("kvm_intel"), "kvm_intel went under a registered module");
}

static void test_modes(void)
{
	int fd;

	mode_is("rust\n");
	TEST_ASSERT(write_mode("banana") == EINVAL, "a mode of no meaning was taken");
	TEST_ASSERT(write_mode("a mode that is much too long") == EINVAL, "a long mode was taken");
	TEST_ASSERT(write_mode("") == EINVAL, "an empty mode was taken");
	mode_is("rust\n");
	TEST_ASSERT(!write_mode("c"), "mode c was refused");
	mode_is("c\n");
	TEST_ASSERT(!write_mode("rust\n"), "mode rust was refused");
	mode_is("rust\n");

	/* An open file calls into the module when it is closed. */
	fd = open(HOOK, O_RDONLY);
	TEST_ASSERT(fd >= 0, "%s: %m", HOOK);
	TEST_ASSERT(module_unload("rust_kvm_nvmx"), "the module went under an open file");
	close(fd);
	module_must_unload("rust_kvm_nvmx");

	TEST_ASSERT(load("rust_kvm_nvmx", "start_in_c=banana") == -EINVAL, "a bad parameter");
	refused("rust_kvm_nvmx", "vpid_slots=0", EINVAL, "vpid_slots=0: it must be 1 to 16");
	refused("rust_kvm_nvmx", "vpid_slots=17", EINVAL, "vpid_slots=17: it must be 1 to 16");
	refused("rust_kvm_nvmx", "keep_roots=2", EINVAL, "keep_roots=2: it must be 0 or 1");
	refused("rust_kvm_nvmx", "skip_needless=2", EINVAL, "skip_needless=2: it must be 0 or 1");
	refused("rust_kvm_nvmx", "start_in_c=2", EINVAL, "start_in_c=2: it must be 0 or 1");
	must_load("rust_kvm_nvmx", "start_in_c=1");
	mode_is("c\n");
	module_must_unload("rust_kvm_nvmx");
	TEST_ASSERT(access(HOOK, F_OK), "%s outlives the module", HOOK);
	printf("ok: modes and parameters\n");
}

static void test_without_kvm(void)
{
	module_must_unload("kvm_intel");
	refused("rust_kvm_nvmx", "", ENODEV, "kvm_intel is not loaded: load it first");

	must_load("kvm-intel", "nested=0");
	refused("rust_kvm_nvmx", "", EOPNOTSUPP, "kvm_intel runs with nested=0");
	module_must_unload("kvm_intel");

	module_must_unload("kvm");
	refused("rust_kvm_nvmx", "", ENODEV, "KVM is not loaded: load kvm_intel first");

	must_load("kvm", "");
	must_load("kvm-intel", "");
	must_load("rust_kvm_nvmx", "");
	module_must_unload("rust_kvm_nvmx");
}

int main(int argc, char **argv)
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_ASSERT(argc == 2, "usage: refusals MODULES/rust_kvm_nvmx.ko");
	modules = dirname(argv[1]);

	test_table();
	test_modes();
	test_without_kvm();
	return 0;
}
