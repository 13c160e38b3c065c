// SPDX-License-Identifier: GPL-2.0
/*
 * Two vCPUs of one VM run nested guests without a stop, while the module is
 * loaded and unloaded again and again and some hooks are switched to C and
 * back.  The side that handles a hook must be seen to do it: with the module
 * absent KVM's own count of flushes rises, with it loaded the hook's count in
 * the mode that was set.  The L2s check each page that they read.  Now and then L1
 * exchanges two pages of each, and executes INVVPID: whichever side handles that, no L2
 * may see what was there before, not even one whose translations Rust had kept.
 *
 * Takes the path of rust_kvm_nvmx.ko, which must not be loaded, and the number
 * of cycles (default 200).
 */
#include <pthread.h>
#include <sys/mman.h>

#include "contexts.h"
#include "hooks.h"
#include "invalidate.h"
#include "modules.h"

#define VCPUS		2
#define CONTEXTS	3	/* of each vCPU */
#define PAGES		8
#define SMEP_EVERY	8	/* rounds between two flushes of the current context */
#define SWAP_EVERY	4	/* rounds between two exchanges of pages */
#define PATIENCE_MS	20000
#define MODULE		"rust_kvm_nvmx"

/* Of these hooks a running nested guest makes use; the rest only by chance. */
static const char *const busy_hooks[] = {
	"enter_tlb_flush", "exit_tlb_flush", "flush_tlb_guest", "flush_tlb_current",
	"flush_tlb_all",
};

static const char *const idle_hooks[] = { "flush_tlb_gva", "flush_tlb_reset" };

static bool stop;
static u64 expected[VCPUS];		/* the context that runs on each vCPU */
static u64 rounds[VCPUS];		/* how far each has come */
static u64 swapped[VCPUS];		/* 1 while the first two pages are exchanged */
static u64 *page_that_comes_and_goes;

static void l2_loop(int vcpu)
{
	u64 page, by, value;

	sti();
	for (;;) {
		for (page = 0; page < PAGES; page++) {
			value = READ_ONCE(*(u64 *)(L2_DATA_GVA + page * PAGE_SIZE));
			by = page < 2 ? page ^ READ_ONCE(swapped[vcpu]) : page;
			GUEST_ASSERT_EQ(value, l2_page_value(READ_ONCE(expected[vcpu]), by));
		}
		vmcall();
	}
}

static void l2_code_of_vcpu0(void)
{
	l2_loop(0);
}

static void l2_code_of_vcpu1(void)
{
	l2_loop(1);
}

/* Of all contexts, most of which do not run. */
static void l1_swap_pages(struct l2_context *contexts[CONTEXTS], int vcpu)
{
	u64 first;
	int i;

	for (i = 0; i < CONTEXTS; i++) {
		first = contexts[i]->pt[0];
		contexts[i]->pt[0] = contexts[i]->pt[1];
		contexts[i]->pt[1] = first;
		l1_invvpid(INVVPID_SINGLE, contexts[i]->vpid, 0);
	}
	WRITE_ONCE(swapped[vcpu], !swapped[vcpu]);
}

static void l1_code(struct l2_context *contexts[CONTEXTS], int vcpu)
{
	void *l2_code = vcpu ? l2_code_of_vcpu1 : l2_code_of_vcpu0;
	u64 round;
	int i;

	sti();
	l1_vmxon(contexts[0]);
	for (round = 0; !READ_ONCE(stop); round++) {
		for (i = 0; i < CONTEXTS; i++) {
			l1_load(contexts[i], l2_code);
			WRITE_ONCE(expected[vcpu], contexts[i]->number);
			l1_run_to_vmcall(contexts[i]);
		}
		if (round % SWAP_EVERY == 0)
			l1_swap_pages(contexts, vcpu);
		if (round % SMEP_EVERY == 0) {
			guest_cr4(X86_CR4_SMEP, false);
			guest_cr4(X86_CR4_SMEP, true);
			READ_ONCE(*page_that_comes_and_goes);
		}
		WRITE_ONCE(rounds[vcpu], round);
	}
	GUEST_DONE();
}

static void *run_vcpu(void *vcpu)
{
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	return NULL;
}

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpus[VCPUS];

/* Take a page away from the guests: a flush of all contexts. */
static void flush_all(void)
{
	void *page = addr_gva2hva(vm, (gva_t)page_that_comes_and_goes);

	TEST_ASSERT(!madvise(page, PAGE_SIZE, MADV_DONTNEED), "madvise() failed");
	*(u64 *)page = 1;
}

static u64 flushes_by_kvm(const char *unused, enum hook_mode unused_too)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < VCPUS; i++)
		sum += vcpu_get_stat(vcpus[i], tlb_flush);
	return sum;
}

/* Wait until @count rises; returns by how much it did. */
static u64 wait_for_rise(u64 (*count)(const char *, enum hook_mode), const char *hook,
			 enum hook_mode mode)
{
	u64 before = count(hook, mode), now;
	int i;

	for (i = 0; i < PATIENCE_MS; i++) {
		flush_all();
		now = count(hook, mode);
		if (now != before)
			return now - before;
		usleep(1000);
	}
	TEST_FAIL("%s: nothing counted in %d ms", hook, PATIENCE_MS);
	return 0;
}

static void switch_idle_hooks(enum hook_mode mode)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(idle_hooks); i++) {
		hook_set_mode(idle_hooks[i], mode);
		TEST_ASSERT_EQ(hook_mode(idle_hooks[i]), mode);
	}
}

#define NR_MODES 3

/* The order of a cycle, in which Rust comes last. */
static const enum hook_mode modes[NR_MODES] = { HOOK_C, HOOK_CHECK, HOOK_RUST };

struct totals {
	u64 absent;				/* flushes while the module was absent */
	u64 hooks[ARRAY_SIZE(busy_hooks)][NR_MODES];	/* runs in each mode */
};

/* One hook in each cycle is watched in each mode; the idle ones are switched with it. */
static void cycle(const char *path, int number, struct totals *totals)
{
	int watched = number % ARRAY_SIZE(busy_hooks);
	const char *hook = busy_hooks[watched];
	int i;

	totals->absent += wait_for_rise(flushes_by_kvm, "module absent", HOOK_C);

	module_must_load(path, "");
	TEST_ASSERT_EQ(hook_mode(hook), HOOK_RUST);

	totals->hooks[watched][HOOK_RUST] += wait_for_rise(hook_count, hook, HOOK_RUST);
	for (i = 0; i < NR_MODES; i++) {
		enum hook_mode mode = modes[i];

		hook_set_mode(hook, mode);
		TEST_ASSERT_EQ(hook_mode(hook), mode);
		switch_idle_hooks(mode);
		totals->hooks[watched][mode] += wait_for_rise(hook_count, hook, mode);
	}

	TEST_ASSERT_EQ(hook_differences(), 0);
	module_must_unload(MODULE);
}

static void create_vm(void)
{
	struct l2_context *context;
	gva_t list, *gvas;
	int i, j;

	vm = contexts_vm_create(VCPUS, VCPUS * CONTEXTS, PAGES);
	for (i = 0; i < VCPUS; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, l1_code);
		list = vm_alloc_page(vm);
		gvas = addr_gva2hva(vm, list);
		for (j = 0; j < CONTEXTS; j++) {
			context = context_create(vm, i * CONTEXTS + j, PAGES, L2_EPT_OFF,
						 &gvas[j]);
			context->vpid = 1 + j;
		}
		vcpu_args_set(vcpus[i], 2, list, i);
	}
	page_that_comes_and_goes = (u64 *)vm_alloc_page(vm);
	sync_global_to_guest(vm, page_that_comes_and_goes);
	contexts_finish(vm);
}

int main(int argc, char *argv[])
{
	int cycles = argc > 2 ? atoi_positive("cycles", argv[2]) : 200;
	struct totals totals = {};
	pthread_t threads[VCPUS];
	u64 begun[VCPUS];
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_vpid());
	TEST_ASSERT(argc > 1, "Usage: %s .../" MODULE ".ko [CYCLES]", argv[0]);
	TEST_ASSERT(access("/sys/module/" MODULE, F_OK), "Unload " MODULE " first");

	create_vm();
	for (i = 0; i < VCPUS; i++)
		pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]);

	wait_for_rise(flushes_by_kvm, "before the first cycle", HOOK_C);
	sync_global_from_guest(vm, rounds);
	memcpy(begun, rounds, sizeof(begun));

	for (i = 0; i < cycles; i++)
		cycle(argv[1], i, &totals);

	stop = true;
	sync_global_to_guest(vm, stop);
	for (i = 0; i < VCPUS; i++)
		pthread_join(threads[i], NULL);

	sync_global_from_guest(vm, rounds);
	for (i = 0; i < VCPUS; i++) {
		printf("load_cycle: vCPU %d: %lu rounds\n", i, rounds[i] - begun[i]);
		TEST_ASSERT(rounds[i] - begun[i] >= cycles,
			    "vCPU %d came only from round %lu to %lu", i, begun[i], rounds[i]);
	}
	printf("load_cycle: %d cycles, %lu flushes with the module absent\n",
	       cycles, totals.absent);
	for (i = 0; i < ARRAY_SIZE(busy_hooks); i++)
		printf("load_cycle: %s: %lu in Rust, %lu in C, %lu compared\n", busy_hooks[i],
		       totals.hooks[i][HOOK_RUST], totals.hooks[i][HOOK_C],
		       totals.hooks[i][HOOK_CHECK]);

	kvm_vm_free(vm);
	return 0;
}
