// SPDX-License-Identifier: GPL-2.0
/*
 * nested_fuzz: its operations, of the guests and of the host, and how often each comes.
 */
#include "fuzz_host.h"
#include "fuzz_modules.h"
#include "fuzz_ops.h"
#include "memory.h"

static u64 choose_vpid(u64 l2, u8 by)
{
	if (!fuzz_host.has_vpid)
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

/*
 * KVM's vCPUs share an EPT, and what a CPU caches by it.  Without APIC-access pages, they
 * use the same tables.  With them, what is such a page to one of them must not be memory
 * to the other (docs/rules.md, X12).
 */
static u64 choose_tables(int vcpu, u64 l2, u8 by)
{
	u64 tables = (by & 3) < FUZZ_TABLES ? l2 % FUZZ_TABLES : by / 4 % FUZZ_TABLES;

	if (fuzz_host.guest->has_evmcs)
		return tables;
	return vcpu ? FUZZ_TABLES - 1 : tables % (FUZZ_TABLES - 1);
}

/* C's VM entries have a bug that is known: X12. */
static u64 choose_apic_page(const struct fuzz_op *op)
{
	u64 chosen = (op->a ^ op->b ^ op->c) % 8;

	if (fuzz_host.guest->has_evmcs || !fuzz_is_rust("enter_tlb_flush"))
		return 0;
	return chosen < FUZZ_APIC_PAGES ? FUZZ_CHANGED + chosen : 0;
}

/* a: vCPU, L2, whether it reads; b: vpid12; c: tables, EPT, how L1 pays. */
static void op_run_or_fail(const struct fuzz_op *op, enum fuzz_failure failure)
{
	int vcpu = op->a & 1, nr = fuzz_host.guest->has_evmcs ? FUZZ_L2S : FUZZ_PLAIN;
	struct fuzz_order what = { .what = FUZZ_RUN, .failure = failure };
	struct fuzz_identity identity = {};
	u64 space;

	what.l2 = (op->a >> 1) % nr;
	what.vpid = choose_vpid(what.l2, op->b);
	what.tables = choose_tables(vcpu, what.l2, op->c);
	what.ept = fuzz_host.has_ept ? (op->c >> 2 & 3) % (FUZZ_EPTS + 1) : 0;
	what.apic = choose_apic_page(op);
	space = fuzz_space(what.tables, what.apic);
	what.vm_id = 7 + (op->b == 255);
	what.vp_id = vcpu * FUZZ_L2S + what.l2;
	what.fail_only = failure != FUZZ_SUCCEED && op->a & 0x80;
	fuzz_order_leave(vcpu);
	fuzz_order_to_pay(vcpu, what.vpid, space, what.ept, op->c >> 4);
	if (what.fail_only) {
		fuzz_order(vcpu, &what, FUZZ_IN_L1);
		return;
	}
	fuzz_order(vcpu, &what, FUZZ_IN_L2);

	identity.ept = what.ept;
	identity.named = what.l2 >= FUZZ_PLAIN;
	if (identity.named) {
		identity.vm_id = what.vm_id;
		identity.vp_id = what.vp_id;
	}
	fuzz_host.running[vcpu] = (struct fuzz_running){
		.active = true, .l2 = what.l2, .tables = what.tables, .apic = what.apic,
		.tag = what.vpid, .identity = identity
	};
	fuzz_crossed(vcpu, what.vpid);
	fuzz_used(vcpu, what.vpid, space, &identity);
	fuzz_ept_used(vcpu, what.ept, space);
	if (!(op->a & 0x40))
		fuzz_order_read(vcpu);
}

static void op_run(const struct fuzz_op *op)
{
	op_run_or_fail(op, FUZZ_SUCCEED);
}

static void op_fail(const struct fuzz_op *op)
{
	op_run_or_fail(op, 1 + (op->a >> 4 & 7) % (NR_FUZZ_FAILURES - 1));
}

static void op_leave(const struct fuzz_op *op)
{
	fuzz_order_leave(op->a & 1);
}

static void op_read(const struct fuzz_op *op)
{
	fuzz_order_read(op->a & 1);
}

/* a: who; b: tables, page; c: by which page. */
static void op_back(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_BACK };
	int vcpu = op->a & 1;

	/* Mostly those of the L2 that runs. */
	what.tables = op->b & 8 ? op->b % (FUZZ_TABLES + 1) : fuzz_tables(vcpu);
	what.page = (op->b >> 4) % FUZZ_CHANGED;
	what.by = op->c % FUZZ_PAGES;
	fuzz_order(vcpu, &what, fuzz_level(vcpu));
	if (fuzz_host.backed_by[what.tables][what.page] == what.by)
		return;
	fuzz_host.backed_by[what.tables][what.page] = what.by;
	fuzz_page_changed(what.tables, what.page);
}

static void op_back_ept(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_BACK_EPT };
	int vcpu = op->a & 1;

	if (!fuzz_host.has_ept)
		return;
	what.ept = 1 + op->b % FUZZ_EPTS;
	what.by = op->c % 2;
	fuzz_order(vcpu, &what, fuzz_level(vcpu));
	if (fuzz_host.ept_backed_by[what.ept - 1] == what.by)
		return;
	fuzz_host.ept_backed_by[what.ept - 1] = what.by;
	fuzz_ept_changed(what.ept);
}

/* The level that runs goes on using it. */
static void flushed(int vcpu, u64 of)
{
	const struct fuzz_running *running = &fuzz_host.running[vcpu];

	fuzz_flushed(vcpu, of);
	if (running->active && running->tag == of)
		fuzz_used(vcpu, of, fuzz_space_of(vcpu), &running->identity);
}

/* The level that runs flushes its own. */
static void op_flush(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_FLUSH };
	int vcpu = op->a & 1;

	what.kind = op->b % (fuzz_host.running[vcpu].active || !fuzz_host.guest->has_invpcid ?
			     FUZZ_INVPCID_ADDRESS : NR_FUZZ_FLUSHES);
	what.page = op->c % FUZZ_CHANGED;
	fuzz_order(vcpu, &what, fuzz_level(vcpu));
	if (what.kind == FUZZ_INVLPG || what.kind == FUZZ_INVPCID_ADDRESS)
		fuzz_pages_flushed(vcpu, fuzz_tag(vcpu), BIT_ULL(what.page));
	else
		flushed(vcpu, fuzz_tag(vcpu));
	if (!(op->a & 2))
		fuzz_order_read(vcpu);
}

/* Which vpid12, if INVVPID needs one: one that is in use more often than not. */
static void op_invvpid(const struct fuzz_op *op)
{
	int vcpu = op->a & 1;

	if (!fuzz_host.has_vpid)
		return;
	fuzz_order_leave(vcpu);
	fuzz_order_invvpid(vcpu, op->a >> 1 & 3,
			   1 + op->b % (op->b & 0x80 ? FUZZ_VPIDS : FUZZ_L2S),
			   op->c % FUZZ_CHANGED);
}

static void op_invept(const struct fuzz_op *op)
{
	int vcpu = op->a & 1;

	if (!fuzz_host.has_ept)
		return;
	fuzz_order_leave(vcpu);
	fuzz_order_invept(vcpu, op->b & 1 ? INVEPT_SINGLE : INVEPT_ALL, 1 + op->c % FUZZ_EPTS);
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
static void op_call(const struct fuzz_op *op)
{
	int vcpu = op->a & 1, target, of;
	const struct fuzz_running *running = &fuzz_host.running[vcpu];
	struct fuzz_order what = { .what = FUZZ_CALL };

	if (!fuzz_host.guest->has_evmcs || (running->active && !running->identity.named))
		return;
	/* C's have bugs that are known: X4, X6, X8, X9. */
	if (running->active && !fuzz_all_rust())
		return;
	what.kind = (op->a >> 1) % NR_FUZZ_CALLS;
	what.pages = 1 + op->b % 3;
	if (!running->active) {
		what.processors = 1 + op->c % 3;
		fuzz_order(vcpu, &what, FUZZ_IN_L1);
		for (target = 0; target < FUZZ_VCPUS; target++)
			if (what.processors & BIT_ULL(target))
				call_flushed(target, FUZZ_L1_VPID, &what);
		return;
	}
	/* For all enlightened L2s of both vCPUs, or for some. */
	what.processors = op->c & 0x80 ? (1ull << FUZZ_VCPUS * FUZZ_L2S) - 1 :
		(u64)(op->c & 3) << FUZZ_PLAIN | (u64)(op->c >> 2 & 3) << (FUZZ_L2S + FUZZ_PLAIN);
	if (!what.processors)
		what.processors = BIT_ULL(running->identity.vp_id);
	fuzz_order(vcpu, &what, FUZZ_IN_L2);
	for (target = 0; target < FUZZ_VCPUS; target++)
		for (of = 0; of <= FUZZ_VPIDS; of++)
			if (fuzz_is_called(target, of, running->identity.vm_id, what.processors))
				call_flushed(target, of, &what);
	if (!(op->b & 0x80))
		fuzz_order_read(vcpu);
}

static void op_role(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_ROLE };
	int vcpu = op->a & 1;

	/* L1 intercepts MSRs. */
	what.kind = op->b % (fuzz_host.running[vcpu].active ? 2 : 3);
	fuzz_order(vcpu, &what, fuzz_level(vcpu));
}

static void op_clear(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_CLEAR };
	int vcpu = op->a & 1;

	what.l2 = op->b % (fuzz_host.guest->has_evmcs ? FUZZ_L2S : FUZZ_PLAIN);
	fuzz_order_leave(vcpu);
	fuzz_order(vcpu, &what, FUZZ_IN_L1);
}

static void op_off(const struct fuzz_op *op)
{
	struct fuzz_order what = { .what = FUZZ_OFF };

	fuzz_order_leave(op->a & 1);
	fuzz_order(op->a & 1, &what, FUZZ_IN_L1);
}

static void op_move(const struct fuzz_op *op)
{
	if (fuzz_host.two_cpus)
		pin_self_to_cpu(op->a & 1);
}

/*
 * After VMRESUME of an enlightened VMCS that KVM did not have when the state was saved, it
 * refuses the next state.
 */
static void launch_again(int vcpu)
{
	const struct fuzz_running *running = &fuzz_host.running[vcpu];
	struct l2_context *of;
	u64 l2;

	for (l2 = FUZZ_PLAIN; fuzz_host.guest->has_evmcs && l2 < FUZZ_L2S; l2++) {
		of = addr_gva2hva(fuzz_host.vm, (gva_t)fuzz_host.guest->l2s[vcpu][l2]);
		if (!running->active || running->l2 != l2)
			of->launched = false;
	}
}

/*
 * Not twice in a row: KVM would save a shadow VMCS of no meaning in the place of an
 * enlightened VMCS that it has not mapped again.
 */
static void op_save(const struct fuzz_op *op)
{
	struct fuzz_order nothing = { .what = FUZZ_READ };
	int vcpu = op->a & 1;

	if (fuzz_host.restored[vcpu])
		fuzz_order(vcpu, &nothing, fuzz_level(vcpu));
	vcpu_save_and_go_back(fuzz_host.vcpus[vcpu]);
	fuzz_host.restored[vcpu] = true;
	launch_again(vcpu);
}

/* KVM looks it up at the next VM entry: until then, it is memory to the L2 that is active. */
static bool is_apic_page(u64 tables, u64 page)
{
	const struct fuzz_running *running;
	int vcpu;

	for (vcpu = 0; vcpu < FUZZ_VCPUS; vcpu++) {
		running = &fuzz_host.running[vcpu];
		if (running->active && running->tables == tables && running->apic == page)
			return true;
	}
	return false;
}

/* Other memory with the same contents under a page that guests read. */
static void op_replace(const struct fuzz_op *op)
{
	u64 number = op->b % FUZZ_TABLES, nr = op->c % FUZZ_PAGES;
	gva_t tables = (gva_t)fuzz_host.guest->tables[number];
	struct l2_context *of = addr_gva2hva(fuzz_host.vm, tables);

	if (!nr || !is_apic_page(number, nr))
		memory_move_page(addr_gpa2hva(fuzz_host.vm, of->page_gpa[nr]));
}

static void op_hook(const struct fuzz_op *op)
{
	fuzz_switch_hook(op->b, op->c);
}

static void op_module(const struct fuzz_op *op)
{
	fuzz_load_or_unload(op->b);
}

/* By how often: a byte names an operation, if the sum is 256 at most. */
static const struct {
	const char *name;
	void (*carry_out)(const struct fuzz_op *op);
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

void fuzz_carry_out(const struct fuzz_op *op, bool verbose)
{
	int i, at = op->what;

	for (i = 0; i < ARRAY_SIZE(ops) - 1 && at >= ops[i].weight; i++)
		at -= ops[i].weight;
	if (verbose)
		printf("# %s %02x %02x %02x\n", ops[i].name, op->a, op->b, op->c);
	ops[i].carry_out(op);
}
