// SPDX-License-Identifier: GPL-2.0
/*
 * Two vCPUs of one VM, each with an L1 and some L2s, do what a string of bytes says: L1
 * runs L2s under vpid12s that it gives them as it likes, all levels change page tables,
 * EPTs and control registers, and flush by all means that they have; the host moves the
 * vCPUs to other CPUs, saves and restores them, replaces memory, switches hooks between C
 * and Rust, loads and unloads the module.
 *
 * Before a guest reads its pages, it does what the SDM or the TLFS asks for after the
 * changes so far (fuzz_debts.h), and no more than the bytes say.  So it must read the
 * newest values, and the emulator's oracle must find nothing stale.
 *
 *   nested_fuzz [MODULE.ko] --seed N [--runs N] [--length N]
 *   nested_fuzz [MODULE.ko] --bytes HEX
 *
 * With the path of rust_kvm_nvmx.ko, which must not be loaded, each run begins with the
 * module loaded.  With --others, others load it and switch hooks meanwhile (soak).
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "fuzz_host.h"
#include "fuzz_modules.h"
#include "fuzz_ops.h"
#include "split_mix.h"
#include "witness.h"

#define USAGE		"[--verbose] [--others] {--seed N [--runs N] [--length N] | --bytes HEX}"

#define OP_BYTES	4
#define MAX_BYTES	16384
#define RUN_SECONDS	10	/* it takes two */

static bool verbose;

static void too_long(int signal)
{
	int vcpu = fuzz_host.ordered;
	struct kvm_regs regs;

	vcpu_regs_get(fuzz_host.vcpus[vcpu], &regs);
	TEST_FAIL("After %d s, vCPU %d is at %llx, order %u", RUN_SECONDS, vcpu, regs.rip,
		  fuzz_host.guest->orders[vcpu].what);
}

static void run_bytes(const u8 *bytes, size_t nr, const char *name)
{
	size_t at;
	int i;

	signal(SIGALRM, too_long);
	alarm(RUN_SECONDS);
	pin_self_to_cpu(0);
	fuzz_modules_begin();
	witness_mark_part("fuzz.", name);
	/* One VM in four is without enlightened VMCSs. */
	fuzz_vm_create(!nr || bytes[0] & 3);
	for (i = 0; i < FUZZ_VCPUS; i++)
		TEST_ASSERT_EQ(run_to_sync(fuzz_host.vcpus[i]), FUZZ_IN_L1);
	for (at = 0; at + OP_BYTES <= nr; at += OP_BYTES) {
		struct fuzz_op op = { bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3] };

		fuzz_carry_out(&op, verbose);
	}
	kvm_vm_free(fuzz_host.vm);
	witness_mark(UNJUDGED);
}

/* scripts/machine/fuzz_run.py makes the same string of a seed. */
static void fill(u8 *bytes, size_t nr, u64 seed)
{
	size_t i;

	for (i = 0; i < nr; i++)
		bytes[i] = split_mix(&seed);
}

/* In a process of its own: what fails ends it. */
static bool run_alone(const u8 *bytes, size_t nr, const char *name)
{
	int status;
	pid_t pid;

	printf("# fuzz run %s\n", name);
	fflush(stdout);
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork() failed");
	if (!pid) {
		run_bytes(bytes, nr, name);
		exit(0);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid() failed");
	if (!status)
		return true;
	printf("# fuzz failed %s\n", name);
	return false;
}

static size_t from_hex(u8 *bytes, const char *hex)
{
	size_t nr = strlen(hex) / 2, i;
	unsigned int byte;

	TEST_ASSERT(nr <= MAX_BYTES, "%zu bytes, %d at most", nr, MAX_BYTES);
	for (i = 0; i < nr; i++) {
		TEST_ASSERT(sscanf(hex + 2 * i, "%2x", &byte) == 1, "'%s' is no hex", hex);
		bytes[i] = byte;
	}
	return nr;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "length", required_argument, NULL, 'l' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "others", no_argument, NULL, 'o' },
		{}
	};
	u64 seed = 0, runs = 1, length = 300, failed = 0, i;
	static u8 bytes[MAX_BYTES];
	const char *hex = NULL;
	char name[32];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			runs = atoi_positive("runs", optarg);
			break;
		case 'l':
			length = atoi_positive("length", optarg);
			break;
		case 'b':
			hex = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		case 'o':
			fuzz_modules_of_others();
			break;
		default:
			TEST_FAIL("Usage: %s [MODULE.ko] " USAGE, argv[0]);
		}
	}
	TEST_ASSERT(length * OP_BYTES <= MAX_BYTES, "%lu operations are too many", length);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	fuzz_host_init();
	fuzz_modules_use(optind < argc ? argv[optind] : NULL);

	if (hex)
		return !run_alone(bytes, from_hex(bytes, hex), "bytes");
	for (i = 0; i < runs; i++) {
		fill(bytes, length * OP_BYTES, seed + i);
		snprintf(name, sizeof(name), "%lu", seed + i);
		failed += !run_alone(bytes, length * OP_BYTES, name);
	}
	printf("# fuzz runs %lu failed %lu\n", runs, failed);
	return failed ? 1 : 0;
}
