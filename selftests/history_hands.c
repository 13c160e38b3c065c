// SPDX-License-Identifier: GPL-2.0
/*
 * L1's INVVPID becomes C's while rust_kvm_nvmx keeps the translations of L2s that do
 * not run.  C knows only the VPID in use, so from then on nothing that is kept may be
 * used, and after that nothing that was kept before.  The same when the module is
 * unloaded and loaded again.
 *
 * In each round L1 changes a page of the L2s that do not run, and executes INVVPID for
 * them, while C handles it.  Or an L2 runs while there is but one VPID for all, which it
 * then has besides the one that was kept for it.  L2s change their own pages after that, and
 * execute INVLPG, which reaches only the VPID that they run on.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "hooks.h"
#include "invalidate.h"
#include "modules.h"
#include "options.h"

#define MODULE		"rust_kvm_nvmx"
#define HOOK		"handle_invvpid"
#define NR_L2S		3
#define NR_PAGES	2
#define ROUNDS		4

enum { DONE, TAKE, GIVE };

static struct l2_context *contexts[NR_L2S], *current;
static int backed_by;
static int own_by[NR_L2S];

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, READ_ONCE(backed_by));
		vmcall();
	}
}

static void run_all(void)
{
	int i;

	for (i = 0; i < NR_L2S; i++) {
		WRITE_ONCE(current, contexts[i]);
		l1_load(contexts[i], l2_code);
		l1_run_to_vmcall(contexts[i]);
	}
}

static void change_all(void)
{
	int i;

	WRITE_ONCE(backed_by, !backed_by);
	for (i = 0; i < NR_L2S; i++) {
		back_page(contexts[i], 0, backed_by);
		l1_invvpid(INVVPID_SINGLE, contexts[i]->vpid, 0);
	}
}

/* The L2 changes its page by itself each time. */
static void l2_own_code(void)
{
	int *by;

	for (;;) {
		by = &own_by[READ_ONCE(current)->number];
		check_page(current, 0, *by);
		*by = !*by;
		back_page(current, 0, *by);
		invlpg((u64)backing_gva(0));
		check_page(current, 0, *by);
		vmcall();
	}
}

static void run_own(int i)
{
	WRITE_ONCE(current, contexts[i]);
	l1_load(contexts[i], l2_own_code);
	l1_run_to_vmcall(contexts[i]);
}

static void l1_own_code(void)
{
	/* So that the first one's other VPID would come to be found before the one it ran on. */
	static const int order[] = { 0, 1, 0, 2, 0, 1, 0 };
	int round, entry, i;

	l1_vmxon(contexts[0]);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NR_L2S; i++)
			run_own(i);
		GUEST_SYNC(TAKE);
		run_own(round % NR_L2S);
		GUEST_SYNC(GIVE);
		for (entry = 0; entry < ARRAY_SIZE(order); entry++)
			run_own((order[entry] + round) % NR_L2S);
	}
	GUEST_DONE();
}

static void l1_code(void)
{
	int round;

	l1_vmxon(contexts[0]);
	for (round = 0; round < ROUNDS; round++) {
		run_all();
		run_all();
		GUEST_SYNC(TAKE);
		change_all();
		/* While C still handles INVVPID, and later. */
		if (round & 1) {
			run_all();
			change_all();
			run_all();
		}
		change_all();
		GUEST_SYNC(GIVE);
		run_all();
	}
	GUEST_DONE();
}

static const char *path;

static void load(void)
{
	module_must_load(path, "");
	TEST_ASSERT(nvmx_vpid_slots() >= NR_L2S, "vpid_slots is too small by default");
}

static void take(bool whole)
{
	if (whole) {
		module_must_unload(MODULE);
		return;
	}
	hook_set_mode(HOOK, HOOK_C);
	TEST_ASSERT_EQ(nvmx_vpid_slots(), 1);
	TEST_ASSERT(!nvmx_keeps_roots() && !nvmx_skips_needless(), "C's hook, and not C's rules");
}

static void give(bool whole)
{
	if (whole)
		load();
	else
		hook_set_mode(HOOK, HOOK_RUST);
	TEST_ASSERT(nvmx_vpid_slots() >= NR_L2S, "The options are not back");
}

static void try_hands(enum l2_ept ept, bool whole, void (*code)(void))
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 stage;
	int i;

	backed_by = 0;
	memset(own_by, 0, sizeof(own_by));
	vm = contexts_vm_create(1, NR_L2S, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	for (i = 0; i < NR_L2S; i++)
		contexts[i] = context_for_guest(vm, i, NR_PAGES, ept, 1 + i);
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, backed_by);
	sync_global_to_guest(vm, own_by);

	while ((stage = run_to_sync(vcpu)) != DONE) {
		if (stage == TAKE)
			take(whole);
		else
			give(whole);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	int whole;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	__TEST_REQUIRE(kvm_has_ept(), "kvm_intel has ept=0: all L2s run on one VPID");
	TEST_ASSERT(argc == 2, "Usage: %s .../" MODULE ".ko", argv[0]);
	TEST_ASSERT(access("/sys/module/" MODULE, F_OK), "Unload " MODULE " first");

	pin_self_to_any_cpu();
	path = argv[1];
	module_unload_at_exit(MODULE);
	load();
	for (whole = 0; whole <= 1; whole++) {
		try_hands(L2_EPT_OFF, whole, l1_code);
		try_hands(L2_EPT_OFF, whole, l1_own_code);
		if (kvm_cpu_has_ept())
			try_hands(L2_EPT_SHARED, whole, l1_code);
	}
	return 0;
}
