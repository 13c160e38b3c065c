// SPDX-License-Identifier: GPL-2.0
/*
 * L1 runs several L2s in turn, each with a vpid12 of its own, and all back one linear
 * address by pages of their own.  rust_kvm_nvmx keeps the translations of an L2 that
 * does not run: each part is a reason for it to drop them.
 *
 *   turns    nothing changes: no flush at all, if there are as many VPIDs as L2s
 *   evicted  more L2s than VPIDs
 *   resting  L1 changes a page of an L2 that does not run, and INVVPID flushes, of
 *            each type, whatever VMCS is current, or none
 *   others   INVVPID of other L2s, which must not cost this one its translations
 *   moved    an L2 changes a page itself, on another CPU, and comes back
 *
 * With the path of rust_kvm_nvmx.ko, which must not be loaded, and --slots, it loads the
 * module for that number of VPIDs.
 */
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "backing.h"
#include "invalidate.h"
#include "modules.h"
#include "options.h"
#include "witness.h"

#define NR_L2S		4
#define NR_CONTEXTS	18	/* more than there are VPIDs for */
#define NR_PAGES	3
#define ROUNDS		8

/* Which page backs pages 0 and 1 of an L2: its own, or that of page 2. */
enum { OTHER_PAGE = 2 };
enum { DONE, CPU_0, CPU_1 };

static struct l2_context *contexts[NR_CONTEXTS], *plain;
static int backed_by[NR_CONTEXTS + 1];
static struct l2_context *current;
static bool change_yourself, two_cpus;

static void l2_code(void)
{
	struct l2_context *self;
	int by;

	for (;;) {
		self = READ_ONCE(current);
		by = READ_ONCE(backed_by[self->number]);
		check_page(self, 0, by);
		check_page(self, 1, 1);
		if (READ_ONCE(change_yourself)) {
			back_page(self, 0, OTHER_PAGE);
			invlpg((u64)backing_gva(0));
			check_page(self, 0, OTHER_PAGE);
			WRITE_ONCE(backed_by[self->number], OTHER_PAGE);
		}
		vmcall();
	}
}

static void run(struct l2_context *context)
{
	WRITE_ONCE(current, context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
}

static void run_all(int nr, int rounds)
{
	int i;

	while (rounds--)
		for (i = 0; i < nr; i++)
			run(contexts[i]);
}

static void back(struct l2_context *context, int by)
{
	backed_by[context->number] = by;
	back_page(context, 0, by);
}

/* What is current while L1 executes INVVPID. */
static void make_current(int what, int i)
{
	switch (what) {
	case 0:		/* that L2's VMCS */
		l1_load(contexts[i], l2_code);
		break;
	case 1:		/* another one's */
		l1_load(contexts[(i + 1) % NR_L2S], l2_code);
		break;
	case 2:		/* one without a VPID, which runs */
		run(plain);
		break;
	case 3:		/* none */
		l1_load(plain, l2_code);
		GUEST_ASSERT(!vmclear(plain->vmx->vmcs_gpa));
		plain->launched = false;
		break;
	}
}

static void resting(enum invvpid_type type, int what)
{
	int i, by;

	run_all(NR_L2S, 1);
	for (by = OTHER_PAGE; by >= 0; by -= OTHER_PAGE) {
		for (i = 0; i < NR_L2S; i++) {
			make_current(what, i);
			back(contexts[i], by);
			l1_invvpid(type, contexts[i]->vpid, L2_DATA_GVA);
			if (i & 1)
				run(contexts[(i + 2) % NR_L2S]);
			run(contexts[i]);
		}
		run_all(NR_L2S, 1);
	}
}

/* Each INVVPID names an L2 that does not run: the others need no flush. */
static void invalidate_others(void)
{
	int i;

	run_all(NR_L2S, 2);
	witness_mark("history.others");
	for (i = 0; i < ROUNDS; i++) {
		run(contexts[0]);
		l1_invvpid(INVVPID_SINGLE, contexts[2]->vpid, 0);
		run(contexts[1]);
		l1_invvpid(INVVPID_SINGLE, contexts[3]->vpid, 0);
	}
	witness_mark("history.returns");
	run(contexts[2]);
	run(contexts[3]);
	witness_mark(UNJUDGED);
}

static void moved(void)
{
	int i;

	for (i = 0; i < NR_L2S; i++) {
		run_all(NR_L2S, 1);
		GUEST_SYNC(CPU_1);
		WRITE_ONCE(change_yourself, true);
		run(contexts[i]);
		WRITE_ONCE(change_yourself, false);
		GUEST_SYNC(CPU_0);
		run_all(NR_L2S, 1);
		back(contexts[i], 0);
		l1_invvpid(INVVPID_SINGLE, contexts[i]->vpid, 0);
	}
}

static void l1_code(void)
{
	enum invvpid_type type;
	int what;

	l1_vmxon(contexts[0]);
	run_all(NR_L2S, 2);
	witness_mark("history.turns");
	run_all(NR_L2S, ROUNDS);
	witness_mark(UNJUDGED);

	for (type = INVVPID_ADDRESS; type <= INVVPID_SINGLE_BUT_GLOBALS; type++)
		for (what = 0; what < 4; what++)
			resting(type, what);
	invalidate_others();
	if (two_cpus)
		moved();
	run_all(NR_CONTEXTS, 3);
	GUEST_DONE();
}

/* One VPID: each entry of another vpid12 flushes. */
static void expect_flushes(bool ept)
{
	u64 slots = nvmx_vpid_slots();
	bool kept = slots >= NR_L2S;

	witness_expect("history.turns", "vmentry.L2", ">=", NR_L2S * ROUNDS);
	witness_expect("history.turns", "invvpid.addr", "==", 0);
	witness_expect("history.turns", "invept.all", "==", 0);
	if (slots == 1)
		witness_expect("history.turns", "invvpid.single", "==", NR_L2S * ROUNDS);
	else if (kept)
		witness_expect("history.turns", "invvpid.single", "==", 0);
	/* Each VMPTRLD frees the roots, and each entry loads one. */
	witness_expect("history.turns", "invept.single", "==",
		       ept && !nvmx_keeps_roots() ? NR_L2S * ROUNDS : 0);

	if (!kept)
		return;
	witness_expect("history.others", "vmentry.L2", ">=", 2 * ROUNDS);
	witness_expect("history.others", "invvpid.single", "==", 0);
	witness_expect("history.others", "invvpid.addr", "==", 0);
	witness_expect("history.returns", "vmentry.L2", ">=", 2);
	witness_expect("history.returns", "invvpid.single", "==", 2);
}

/* Without EPT, all L2s run on vpid02: KVM's own flushes reach no other VPID. */
static void expect_one_vpid(void)
{
	witness_expect("history.turns", "vmentry.L2", ">=", NR_L2S * ROUNDS);
	witness_expect("history.turns", "invvpid.single.vpid02", ">=", NR_L2S * ROUNDS);
	witness_expect("history.turns", "invvpid.single.other", "==", 0);
}

static void try_ept(bool ept)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 stage;
	int i;

	pin_self_to_cpu(0);
	memset(backed_by, 0, sizeof(backed_by));
	vm = contexts_vm_create(1, NR_CONTEXTS + 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept)
		vm_enable_ept(vm);
	for (i = 0; i < NR_CONTEXTS; i++)
		contexts[i] = context_for_guest(vm, i, NR_PAGES,
						ept ? L2_EPT_SHARED : L2_EPT_OFF, 1 + i);
	plain = context_for_guest(vm, i, NR_PAGES, ept ? L2_EPT_SHARED : L2_EPT_OFF, 0);
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, plain);
	sync_global_to_guest(vm, backed_by);
	sync_global_to_guest(vm, two_cpus);

	while ((stage = run_to_sync(vcpu)) != DONE)
		pin_self_to_cpu(stage == CPU_1);
	kvm_vm_free(vm);
}

static void load(const char *path, const char *slots)
{
	char options[64];

	snprintf(options, sizeof(options), "vpid_slots=%s", slots);
	module_must_load(path, options);
	module_unload_at_exit("rust_kvm_nvmx");
	TEST_ASSERT_EQ(nvmx_vpid_slots(), (u64)atoi_positive("slots", slots));
}

int main(int argc, char *argv[])
{
	bool ept = argc == 2 && !strcmp(argv[1], "--ept");
	bool slots = argc == 4 && !strcmp(argv[2], "--slots");

	TEST_ASSERT(argc == 1 || ept || slots, "Usage: %s [--ept | MODULE.ko --slots NUMBER]",
		    argv[0]);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	__TEST_REQUIRE(!slots || kvm_has_ept(), "kvm_intel has ept=0: all L2s run on one VPID");
	if (slots)
		load(argv[1], argv[3]);
	TEST_REQUIRE(!ept || kvm_cpu_has_ept());
	two_cpus = get_nprocs() > 1;

	try_ept(ept);
	if (kvm_has_ept())
		expect_flushes(ept);
	else
		expect_one_vpid();
	return 0;
}
