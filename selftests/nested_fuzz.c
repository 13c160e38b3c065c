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
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "fuzz_debts.h"
#include "fuzz_host.h"
#include "invalidate.h"
#include "split_mix.h"
#include "witness.h"

#define USAGE		"[--verbose] [--others] {--seed N [--runs N] [--length N] | --bytes HEX}"

#define OP_BYTES	4
#define MAX_BYTES	16384
#define RUN_SECONDS	10	/* it takes two */

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpus[FUZZ_VCPUS];
static struct fuzz *guest;	/* the guests' copy */
static bool verbose, has_ept, has_vpid, two_cpus;

/* What backs each page now. */
static u64 backed_by[FUZZ_TABLES + 1][FUZZ_PAGES], ept_backed_by[FUZZ_EPTS];

/* Of each vCPU: the L2 that is active, if one is. */
static struct {
	bool active;
	u64 l2, tables, tag;
	struct fuzz_identity identity;
} running[FUZZ_VCPUS];

/* One operation of the string. */
struct op {
	u8 what, a, b, c;
};

static int ordered;	/* the vCPU that was ordered last */
static bool restored[FUZZ_VCPUS];	/* and has not run since */

static void order(int vcpu, const struct fuzz_order *what, enum fuzz_stop stop)
{
	u64 stopped;

	guest->orders[vcpu] = *what;
	ordered = vcpu;
	restored[vcpu] = false;
	stopped = run_to_sync(vcpus[vcpu]);
	TEST_ASSERT(stopped == stop, "vCPU %d stopped in %lu, not %u", vcpu, stopped, stop);
}

static enum fuzz_stop level(int vcpu)
{
	return running[vcpu].active ? FUZZ_IN_L2 : FUZZ_IN_L1;
}

static u64 tag(int vcpu)
{
	return running[vcpu].active ? running[vcpu].tag : FUZZ_L1_VPID;
}

static u64 tables(int vcpu)
{
	return running[vcpu].active ? running[vcpu].tables : FUZZ_L1_TABLES;
}

static void flushed(int vcpu, u64 of)
{
	fuzz_flushed(vcpu, of);
	if (running[vcpu].active && running[vcpu].tag == of)
		fuzz_used(vcpu, of, running[vcpu].tables, &running[vcpu].identity);
}

/* All pages for which nothing is owed must be the newest. */
static void read_pages(int vcpu)
{
	struct fuzz_order what = { .what = FUZZ_READ };
	u64 page, ept = running[vcpu].active ? running[vcpu].identity.ept : 0;

	what.pages = (BIT_ULL(FUZZ_PAGES) - 1) & ~fuzz_owed_pages(vcpu, tag(vcpu));
	for (page = 0; page < FUZZ_PAGES; page++)
		what.expected[page] = l2_page_value(tables(vcpu), backed_by[tables(vcpu)][page]);
	if (ept && !fuzz_owes_ept(vcpu, ept)) {
		what.pages |= BIT_ULL(FUZZ_EPT_PAGE);
		what.expected[FUZZ_EPT_PAGE] =
			l2_page_value(FUZZ_TABLES + ept, ept_backed_by[ept - 1]);
	}
	order(vcpu, &what, level(vcpu));
}

static void leave(int vcpu)
{
	struct fuzz_order what = { .what = FUZZ_LEAVE };

	if (!running[vcpu].active)
		return;
	order(vcpu, &what, FUZZ_IN_L1);
	running[vcpu].active = false;
	if (running[vcpu].tag != FUZZ_NO_VPID)
		return;
	fuzz_flushed(vcpu, FUZZ_NO_VPID);
	fuzz_flushed(vcpu, FUZZ_L1_VPID);
}

static void invvpid(int vcpu, enum invvpid_type type, u64 vpid, u64 page)
{
	struct fuzz_order what = {
		.what = FUZZ_INVVPID, .kind = type, .vpid = vpid, .page = page
	};
	u64 each;

	order(vcpu, &what, FUZZ_IN_L1);
	if (type == INVVPID_ADDRESS)
		fuzz_pages_flushed(vcpu, vpid, BIT_ULL(page));
	else if (type != INVVPID_ALL)
		fuzz_flushed(vcpu, vpid);
	else
		for (each = 1; each <= FUZZ_VPIDS; each++)
			fuzz_flushed(vcpu, each);
}

static void invept(int vcpu, enum invept_type type, u64 ept)
{
	struct fuzz_order what = { .what = FUZZ_INVEPT, .kind = type, .ept = ept };

	order(vcpu, &what, FUZZ_IN_L1);
	if (type == INVEPT_SINGLE)
		fuzz_ept_flushed(vcpu, ept);
	else
		fuzz_all_epts_flushed(vcpu);
}

/* L1 pays what is owed for @tables under @tag: how, if it may choose, says @kind. */
static void pay(int vcpu, u64 of, u64 with_tables, u64 ept, u8 kind)
{
	u64 owed = fuzz_owed_pages(vcpu, of), page;
	static const enum invvpid_type types[] = {
		INVVPID_SINGLE, INVVPID_ALL, INVVPID_SINGLE_BUT_GLOBALS, INVVPID_SINGLE
	};

	if (of != FUZZ_NO_VPID && fuzz_owes_all(vcpu, of, with_tables)) {
		invvpid(vcpu, types[kind & 3], of, 0);
	} else if (of != FUZZ_NO_VPID && owed && kind & 4) {
		for (page = 0; page < FUZZ_PAGES; page++)
			if (owed & BIT_ULL(page))
				invvpid(vcpu, INVVPID_ADDRESS, of, page);
	} else if (of != FUZZ_NO_VPID && owed) {
		invvpid(vcpu, types[kind & 3], of, 0);
	}
	if (fuzz_owes_ept(vcpu, ept))
		invept(vcpu, kind & 8 ? INVEPT_ALL : INVEPT_SINGLE, ept);
}

static u64 choose_vpid(u64 l2, u8 by)
{
	if (!has_vpid)
		return FUZZ_NO_VPID;
	switch (by % 8) {
	case 0:
		return FUZZ_NO_VPID;
	case 1:
		return 1 + by / 8 % FUZZ_VPIDS;
	case 2:
		return 1 + by / 8 % 2;
	default:
		return 1 + l2;
	}
}

/* a: vCPU, L2, whether it reads; b: vpid12; c: tables, EPT, how L1 pays. */
static void op_run_or_fail(const struct op *op, enum fuzz_failure failure)
{
	int vcpu = op->a & 1, nr = guest->has_evmcs ? FUZZ_L2S : FUZZ_PLAIN;
	struct fuzz_order what = { .what = FUZZ_RUN, .failure = failure };
	struct fuzz_identity identity = {};

	what.l2 = (op->a >> 1) % nr;
	what.vpid = choose_vpid(what.l2, op->b);
	what.tables = (op->c & 3) < FUZZ_TABLES ? what.l2 % FUZZ_TABLES : op->c / 4 % FUZZ_TABLES;
	what.ept = has_ept ? (op->c >> 2 & 3) % (FUZZ_EPTS + 1) : 0;
	what.vm_id = 7 + (op->b == 255);
	what.vp_id = vcpu * FUZZ_L2S + what.l2;
	what.fail_only = failure != FUZZ_SUCCEED && op->a & 0x80;
	leave(vcpu);
	pay(vcpu, what.vpid, what.tables, what.ept, op->c >> 4);
	if (what.fail_only) {
		order(vcpu, &what, FUZZ_IN_L1);
		return;
	}
	order(vcpu, &what, FUZZ_IN_L2);

	identity.ept = what.ept;
	identity.named = what.l2 >= FUZZ_PLAIN;
	if (identity.named) {
		identity.vm_id = what.vm_id;
		identity.vp_id = what.vp_id;
	}
	running[vcpu].active = true;
	running[vcpu].l2 = what.l2;
	running[vcpu].tables = what.tables;
	running[vcpu].tag = what.vpid;
	running[vcpu].identity = identity;
	if (what.vpid == FUZZ_NO_VPID) {
		fuzz_flushed(vcpu, FUZZ_NO_VPID);
		fuzz_flushed(vcpu, FUZZ_L1_VPID);
	}
	fuzz_used(vcpu, what.vpid, what.tables, &identity);
	if (!(op->a & 0x40))
		read_pages(vcpu);
}

static void op_run(const struct op *op)
{
	op_run_or_fail(op, FUZZ_SUCCEED);
}

static void op_fail(const struct op *op)
{
	op_run_or_fail(op, 1 + (op->a >> 4 & 7) % (NR_FUZZ_FAILURES - 1));
}

static void op_leave(const struct op *op)
{
	leave(op->a & 1);
}

static void op_read(const struct op *op)
{
	read_pages(op->a & 1);
}

/* a: who; b: tables, page; c: by which page. */
static void op_back(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_BACK };
	int vcpu = op->a & 1;

	/* Mostly those of the L2 that runs. */
	what.tables = op->b & 8 ? op->b % (FUZZ_TABLES + 1) : tables(vcpu);
	what.page = (op->b >> 4) % FUZZ_CHANGED;
	what.by = op->c % FUZZ_PAGES;
	order(vcpu, &what, level(vcpu));
	if (backed_by[what.tables][what.page] == what.by)
		return;
	backed_by[what.tables][what.page] = what.by;
	fuzz_page_changed(what.tables, what.page);
}

static void op_back_ept(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_BACK_EPT };
	int vcpu = op->a & 1;

	if (!has_ept)
		return;
	what.ept = 1 + op->b % FUZZ_EPTS;
	what.by = op->c % 2;
	order(vcpu, &what, level(vcpu));
	if (ept_backed_by[what.ept - 1] == what.by)
		return;
	ept_backed_by[what.ept - 1] = what.by;
	fuzz_ept_changed(what.ept);
}

/* The level that runs flushes its own. */
static void op_flush(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_FLUSH };
	int vcpu = op->a & 1;

	what.kind = op->b % (running[vcpu].active || !guest->has_invpcid ?
			     FUZZ_INVPCID_ADDRESS : NR_FUZZ_FLUSHES);
	what.page = op->c % FUZZ_CHANGED;
	order(vcpu, &what, level(vcpu));
	if (what.kind == FUZZ_INVLPG || what.kind == FUZZ_INVPCID_ADDRESS)
		fuzz_pages_flushed(vcpu, tag(vcpu), BIT_ULL(what.page));
	else
		flushed(vcpu, tag(vcpu));
	if (!(op->a & 2))
		read_pages(vcpu);
}

/* Which vpid12, if INVVPID needs one: one that is in use more often than not. */
static void op_invvpid(const struct op *op)
{
	int vcpu = op->a & 1;

	if (!has_vpid)
		return;
	leave(vcpu);
	invvpid(vcpu, op->a >> 1 & 3, 1 + (op->b & 0x80 ? op->b % FUZZ_VPIDS : op->b % FUZZ_L2S),
		op->c % FUZZ_CHANGED);
}

static void op_invept(const struct op *op)
{
	int vcpu = op->a & 1;

	if (!has_ept)
		return;
	leave(vcpu);
	invept(vcpu, op->b & 1 ? INVEPT_SINGLE : INVEPT_ALL, 1 + op->c % FUZZ_EPTS);
}

static void call_flushed(int vcpu, u64 of, const struct fuzz_order *call)
{
	bool list = call->kind == FUZZ_LIST || call->kind == FUZZ_LIST_EX;

	if (list)
		fuzz_pages_flushed(vcpu, of, call->pages);
	else
		flushed(vcpu, of);
}

/* A flush call, of L1 for L1s, or of an L2 on an enlightened VMCS for L2s. */
static void op_call(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_CALL };
	int vcpu = op->a & 1, target, of;

	if (!guest->has_evmcs || (running[vcpu].active && !running[vcpu].identity.named))
		return;
	/* C's have bugs that are known: X4, X6, X8, X9. */
	if (running[vcpu].active && !fuzz_all_rust())
		return;
	what.kind = (op->a >> 1) % NR_FUZZ_CALLS;
	what.pages = 1 + op->b % 3;
	if (!running[vcpu].active) {
		what.processors = 1 + op->c % 3;
		order(vcpu, &what, FUZZ_IN_L1);
		for (target = 0; target < FUZZ_VCPUS; target++)
			if (what.processors & BIT_ULL(target))
				call_flushed(target, FUZZ_L1_VPID, &what);
		return;
	}
	/* For all enlightened L2s of both vCPUs, or for some. */
	what.processors = op->c & 0x80 ? (1ull << FUZZ_VCPUS * FUZZ_L2S) - 1 :
		(u64)(op->c & 3) << FUZZ_PLAIN | (u64)(op->c >> 2 & 3) << (FUZZ_L2S + FUZZ_PLAIN);
	if (!what.processors)
		what.processors = BIT_ULL(running[vcpu].identity.vp_id);
	order(vcpu, &what, FUZZ_IN_L2);
	for (target = 0; target < FUZZ_VCPUS; target++)
		for (of = 0; of <= FUZZ_VPIDS; of++)
			if (fuzz_is_called(target, of, running[vcpu].identity.vm_id,
					   what.processors))
				call_flushed(target, of, &what);
	if (!(op->b & 0x80))
		read_pages(vcpu);
}

static void op_role(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_ROLE };
	int vcpu = op->a & 1;

	/* L1 intercepts MSRs. */
	what.kind = op->b % (running[vcpu].active ? 2 : 3);
	order(vcpu, &what, level(vcpu));
}

static void op_clear(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_CLEAR };
	int vcpu = op->a & 1;

	what.l2 = op->b % (guest->has_evmcs ? FUZZ_L2S : FUZZ_PLAIN);
	leave(vcpu);
	order(vcpu, &what, FUZZ_IN_L1);
}

static void op_off(const struct op *op)
{
	struct fuzz_order what = { .what = FUZZ_OFF };

	leave(op->a & 1);
	order(op->a & 1, &what, FUZZ_IN_L1);
}

static void op_move(const struct op *op)
{
	if (two_cpus)
		pin_self_to_cpu(op->a & 1);
}

/*
 * After VMRESUME of an enlightened VMCS that KVM did not have when the state was saved, it
 * refuses the next state.
 */
static void launch_again(int vcpu)
{
	struct l2_context *of;
	u64 l2;

	for (l2 = FUZZ_PLAIN; guest->has_evmcs && l2 < FUZZ_L2S; l2++) {
		of = addr_gva2hva(vm, (gva_t)guest->l2s[vcpu][l2]);
		if (!running[vcpu].active || running[vcpu].l2 != l2)
			of->launched = false;
	}
}

/*
 * Not twice in a row: KVM would save a shadow VMCS of no meaning in the place of an
 * enlightened VMCS that it has not mapped again.
 */
static void op_save(const struct op *op)
{
	struct fuzz_order nothing = { .what = FUZZ_READ };
	int vcpu = op->a & 1;

	if (restored[vcpu])
		order(vcpu, &nothing, level(vcpu));
	vcpu_save_and_go_back(vcpus[vcpu]);
	restored[vcpu] = true;
	launch_again(vcpu);
}

/* Other memory with the same contents under a page that guests read. */
static void op_replace(const struct op *op)
{
	struct l2_context *of = addr_gva2hva(vm, (gva_t)guest->tables[op->b % FUZZ_TABLES]);
	void *page = addr_gpa2hva(vm, of->page_gpa[op->c % FUZZ_PAGES]), *other;

	other = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(other != MAP_FAILED, "mmap() failed");
	memcpy(other, page, PAGE_SIZE);
	TEST_ASSERT(mremap(other, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page) ==
		    page, "mremap() failed");
}

static void op_hook(const struct op *op)
{
	fuzz_switch_hook(op->b, op->c);
}

static void op_module(const struct op *op)
{
	fuzz_load_or_unload(op->b);
}

/* By how often: a byte names an operation, if the sum is 256 at most. */
static const struct {
	const char *name;
	void (*carry_out)(const struct op *op);
	int weight;
} ops[] = {
	{ "run", op_run, 72 },
	{ "back", op_back, 44 },
	{ "read", op_read, 12 },
	{ "leave", op_leave, 12 },
	{ "flush", op_flush, 16 },
	{ "invvpid", op_invvpid, 16 },
	{ "back_ept", op_back_ept, 12 },
	{ "invept", op_invept, 6 },
	{ "call", op_call, 20 },
	{ "move", op_move, 8 },
	{ "fail", op_fail, 8 },
	{ "role", op_role, 4 },
	{ "clear", op_clear, 4 },
	{ "off", op_off, 2 },
	{ "save", op_save, 6 },
	{ "replace", op_replace, 4 },
	{ "hook", op_hook, 8 },
	{ "module", op_module, 2 },
};

static void carry_out(const struct op *op)
{
	int i, at = op->what;

	for (i = 0; i < ARRAY_SIZE(ops) - 1 && at >= ops[i].weight; i++)
		at -= ops[i].weight;
	if (verbose)
		printf("# %s %02x %02x %02x\n", ops[i].name, op->a, op->b, op->c);
	ops[i].carry_out(op);
}

static void create_l2s(int vcpu)
{
	struct l2_context *l2, *first = NULL;
	gva_t gva;
	int i;

	for (i = 0; i < (fuzz.has_evmcs ? FUZZ_L2S : FUZZ_PLAIN); i++) {
		l2 = context_create(vm, 100 + i, 0, L2_EPT_OFF, &gva);
		fuzz.l2s[vcpu][i] = (struct l2_context *)gva;
		if (i < FUZZ_PLAIN)
			continue;
		context_use_evmcs(vm, l2, first);
		if (!first)
			first = l2;
	}
}

/* What they share. */
static void create_tables(void)
{
	gva_t gva;
	int i;

	for (i = 0; i <= FUZZ_TABLES; i++)
		fuzz.tables[i] = context_for_guest(vm, i, FUZZ_PAGES, L2_EPT_OFF, 0);
	for (i = 0; has_ept && i < FUZZ_EPTS; i++) {
		nested_ept_create(vm, FUZZ_TABLES + 1 + i, &gva);
		fuzz.epts[i] = (struct nested_ept *)gva;
	}
	for (i = 0; i < FUZZ_VCPUS; i++)
		fuzz.inputs[i] = hv_input_create(vm);
	fuzz.msr_list = (struct vmx_msr_entry *)vm_alloc_page(vm);
	fuzz.msr_list_gpa = addr_gva2gpa(vm, (gva_t)fuzz.msr_list);
}

/* All sets of tables see the page of the EPT under one address. */
static void finish_tables(void)
{
	struct l2_context *of;
	u64 *pt;
	int i;

	contexts_finish(vm);
	for (i = 0; has_ept && i < FUZZ_EPTS; i++)
		nested_ept_finish(vm, addr_gva2hva(vm, (gva_t)fuzz.epts[i]));
	for (i = 0; i < FUZZ_TABLES; i++) {
		of = addr_gva2hva(vm, (gva_t)fuzz.tables[i]);
		pt = addr_gva2hva(vm, (gva_t)of->pt);
		pt[FUZZ_EPT_PAGE] = L2_DATA_GPA | BACKING_PRESENT;
	}
}

static void create_vm(void)
{
	int i, j;

	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.has_evmcs = kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS) &&
			 kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH);
	fuzz.has_invpcid = kvm_cpu_has(X86_FEATURE_INVPCID);
	vm = contexts_vm_create(FUZZ_VCPUS, FUZZ_VCPUS * FUZZ_L2S + FUZZ_TABLES + 1, FUZZ_PAGES);
	for (i = 0; i < FUZZ_VCPUS; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, fuzz_l1_code);
		if (!fuzz.has_evmcs)
			continue;
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
	}
	if (has_ept)
		vm_enable_ept(vm);
	create_tables();
	for (i = 0; i < FUZZ_VCPUS; i++) {
		create_l2s(i);
		vcpu_args_set(vcpus[i], 2, (u64)i, addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	finish_tables();
	sync_global_to_guest(vm, fuzz);
	guest = addr_gva2hva(vm, (gva_t)&fuzz);

	for (i = 0; i <= FUZZ_TABLES; i++)
		for (j = 0; j < FUZZ_PAGES; j++)
			backed_by[i][j] = j;
	memset(ept_backed_by, 0, sizeof(ept_backed_by));
	memset(running, 0, sizeof(running));
	memset(restored, 0, sizeof(restored));
	fuzz_debts_reset();
}

static void too_long(int signal)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpus[ordered], &regs);
	TEST_FAIL("After %d s, vCPU %d is at %llx, order %u", RUN_SECONDS, ordered, regs.rip,
		  guest->orders[ordered].what);
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
	create_vm();
	for (i = 0; i < FUZZ_VCPUS; i++)
		TEST_ASSERT_EQ(run_to_sync(vcpus[i]), FUZZ_IN_L1);
	for (at = 0; at + OP_BYTES <= nr; at += OP_BYTES)
		carry_out(&(struct op){ bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3] });
	kvm_vm_free(vm);
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
	has_ept = kvm_cpu_has_ept();
	has_vpid = kvm_has_vpid();
	two_cpus = get_nprocs() > 1;
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
