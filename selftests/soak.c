// SPDX-License-Identifier: GPL-2.0
/*
 * Nested guests run again and again, while the module is loaded and unloaded, its hooks are
 * switched, a CPU goes and comes back, and memory gets scarce.  Now and then all is quiet,
 * and nothing may have been lost: `make soak`.
 *
 *   soak MODULE.ko RUNS --seed N --seconds N [--plant WHAT]
 *
 * RUNS is a file with the programs that run, with their arguments, one a line; "SEED" is
 * replaced by a number.  The seed says in which order they start, and the order of what
 * disturbs them.  --plant does on purpose what must be noticed.
 *
 * Lines that begin with "# soak" are for the runner: it prints them, and judges the memory.
 */
#include <getopt.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"
#include "split_mix.h"
#include "test_util.h"

#define SLOTS		2	/* programs at a time */
#define LOOK_EVERY	10	/* seconds */
#define SAY_EVERY	10
#define PATIENCE	90	/* seconds for a program */
#define MAX_RUNS	128
#define MAX_WORDS	16
#define SEEDS		50	/* of nested_fuzz: all pass in C and in Rust */
#define SKIPPED		4
#define TAIL		4096

struct slot {
	pid_t pid;
	const char *run;
	u64 since;
	char log[32];
};

static struct slot slots[SLOTS];
static char *runs[MAX_RUNS];
static int nr_runs;
static u64 state, nr_started, nr_passed, nr_failed, nr_wrong;

static u64 seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static u64 below(u64 limit)
{
	return split_mix(&state) % limit;
}

static void read_runs(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];

	TEST_ASSERT(file, "Cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		TEST_ASSERT(nr_runs < MAX_RUNS, "More than %d runs", MAX_RUNS);
		if (*line)
			runs[nr_runs++] = strdup(line);
	}
	fclose(file);
	TEST_ASSERT(nr_runs, "%s is empty", path);
}

/* Some begin where the CPU will go. */
static void choose_cpus(u64 choice)
{
	int goes = soak_cpu_that_goes();
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (goes >= 0 && choice == 0)
		CPU_SET(goes, &cpus);
	else
		for (int i = 0; i < 2 + (choice == 1 && goes >= 0); i++)
			CPU_SET(i < 2 ? i : goes, &cpus);
	/* One that has just gone is no error. */
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void execute(const char *run, u64 seed, u64 cpus)
{
	char *words[MAX_WORDS + 1], number[24], path[128], *text = strdup(run);
	int nr = 0;

	snprintf(number, sizeof(number), "%lu", (unsigned long)seed);
	for (char *word = strtok(text, " "); word && nr < MAX_WORDS; word = strtok(NULL, " "))
		words[nr++] = strcmp(word, "SEED") ? word : number;
	words[nr] = NULL;
	/* The library loads the guest's code from the file that argv[0] names. */
	snprintf(path, sizeof(path), "/tests/%s", words[0]);
	words[0] = path;
	choose_cpus(cpus);
	execv(path, words);
	printf("cannot run %s\n", path);
	exit(1);
}

static void start(struct slot *slot)
{
	u64 run = below(nr_runs), seed = 1 + below(SEEDS), cpus = below(3);
	int fd;

	slot->run = runs[run];
	slot->since = seconds();
	snprintf(slot->log, sizeof(slot->log), "/tmp/soak.%d", (int)(slot - slots));
	fflush(stdout);
	slot->pid = fork();
	TEST_ASSERT(slot->pid >= 0, "fork() failed");
	nr_started++;
	if (slot->pid)
		return;
	setpgid(0, 0);
	fd = open(slot->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execute(slot->run, seed, cpus);
}

static void show_tail(const char *path)
{
	FILE *file = fopen(path, "r");
	char text[TAIL];
	size_t nr;

	if (!file)
		return;
	if (fseek(file, -TAIL, SEEK_END))
		rewind(file);
	nr = fread(text, 1, sizeof(text), file);
	fclose(file);
	fwrite(text, 1, nr, stdout);
}

static void finish(struct slot *slot, int status)
{
	slot->pid = 0;
	if (!status) {
		nr_passed++;
		return;
	}
	/* One that skips is in the wrong list. */
	nr_failed++;
	show_tail(slot->log);
	printf("\n# soak failed %s: %s 0x%x after %lu s\n", slot->run,
	       status == SKIPPED << 8 ? "it skips, status" : "status", status,
	       (unsigned long)(seconds() - slot->since));
}

/* Returns how many still run. */
static int look_after_programs(void)
{
	int status, running = 0;

	for (int i = 0; i < SLOTS; i++) {
		if (!slots[i].pid)
			continue;
		if (seconds() - slots[i].since > PATIENCE)
			kill(-slots[i].pid, SIGKILL);
		if (waitpid(slots[i].pid, &status, WNOHANG) == slots[i].pid)
			finish(&slots[i], status);
		else
			running++;
	}
	return running;
}

static void start_programs(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (!slots[i].pid)
			start(&slots[i]);
}

static void say(const char *what, u64 begin)
{
	const struct soak_done *done = soak_done();
	const struct { const char *name; u64 number; } numbers[] = {
		{ "seconds", seconds() - begin }, { "cycles", done->cycles },
		{ "switches", done->switches }, { "offline", done->offline },
		{ "zaps", done->zaps }, { "compactions", done->compactions },
		{ "drops", done->drops }, { "squeezes", done->squeezes },
		{ "differences", done->differences }, { "programs", nr_started },
		{ "passed", nr_passed }, { "failed", nr_failed }, { "wrong", nr_wrong },
	};

	printf("# soak %s", what);
	for (int i = 0; i < ARRAY_SIZE(numbers); i++)
		printf(" %s=%lu", numbers[i].name, (unsigned long)numbers[i].number);
	printf("\n");
	fflush(stdout);
}

static void become_quiet(void)
{
	while (look_after_programs())
		usleep(10000);
	soak_disturb_pause();
}

static void soak(u64 length)
{
	u64 begin = seconds(), look = begin, said = begin;

	nr_wrong += soak_look();
	while (seconds() - begin < length) {
		start_programs();
		soak_disturb();
		look_after_programs();
		if (seconds() - look >= LOOK_EVERY) {
			become_quiet();
			nr_wrong += soak_look();
			look = seconds();
		}
		if (seconds() - said >= SAY_EVERY) {
			say("now", begin);
			said = seconds();
		}
	}
	become_quiet();
	nr_wrong += soak_look();
	say("end", begin);
}

static enum soak_plant plant_of(const char *word)
{
	static const char *const words[] = {
		"nothing", "vpid", "page", "slab", "object", "warn", "reference", "vm",
	};

	for (int i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			return i;
	TEST_FAIL("--plant %s: there is no such", word);
	return PLANT_NOTHING;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "plant", required_argument, NULL, 'p' },
		{}
	};
	enum soak_plant plant = PLANT_NOTHING;
	u64 seed = 1, length = 60;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			length = atoi_positive("seconds", optarg);
			break;
		case 'p':
			plant = plant_of(optarg);
			break;
		default:
			exit(2);
		}
	}
	TEST_ASSERT(argc - optind == 2,
		    "Usage: %s MODULE.ko RUNS --seed N --seconds N [--plant WHAT]", argv[0]);
	read_runs(argv[optind + 1]);
	state = seed;
	soak_disturb_begin(argv[optind], ~seed, plant);
	soak(length);
	return nr_failed || nr_wrong || soak_done()->differences ? 1 : 0;
}
