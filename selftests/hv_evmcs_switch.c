// SPDX-License-Identifier: GPL-2.0
/*
 * One vCPU whose L1 runs several L2s in turn: two on enlightened VMCSs, one on an
 * ordinary one.  After each change L2's flush hypercall goes to L0 or to L1 as the
 * VMCS in use says, ends as the partition assist page of that VMCS says, and the
 * calls of another vCPU reach this one exactly if they are for the L2 that is active.
 * An L2 that has missed calls at rest is flushed when it runs again.
 *
 * L1 gives L2s their own vpid12, or the same one and INVVPID between them; with
 * --plain-without-vpid the one on the ordinary VMCS has none.
 */
#include "arguments.h"
#include "hv_pair.h"
#include "invalidate.h"
#include "witness.h"

#define OTHER_VM_ID	8
#define NO_VM_ID	99
#define ALL_VPS		(BIT(1) | BIT(2) | BIT(3))	/* of the steps */

enum l2 { A, B, PLAIN, NR_L2S };

/* How L1 leaves enlightened VMCSs for the ordinary one. */
enum leave { BY_VMCLEAR, BY_FLAG, BY_MSR, BY_POINTER, BY_VMXOFF };

enum { DONE, ARRIVED, AFTER_OTHERS, AFTER_OWN };

struct step {
	enum l2 l2;
	u16 vpid12;
	u64 vm;
	u32 vp;
	enum l2 assist;		/* its partition assist page is used */
	bool to_l1;		/* L1 takes the calls itself */
	bool off_in_assist;	/* ... since the VP assist page says so */
	enum leave leave;
	bool relaunch;
};

static const struct step steps[] = {
	{ A, 1, VM_ID, 1, A },
	{ B, 2, VM_ID, 2, B },
	{ A, 1, VM_ID, 1, A },
	/* Another virtual machine, the same processor in it. */
	{ B, 2, OTHER_VM_ID, 1, B },
	{ A, 1, VM_ID, 1, A },
	{ B, 2, OTHER_VM_ID, 1, B, .relaunch = true },
	/* The two trade places. */
	{ A, 1, OTHER_VM_ID, 3, B },
	{ B, 2, VM_ID, 1, A },
	/* All alike. */
	{ A, 1, VM_ID, 1, A },
	{ B, 1, VM_ID, 1, A },
	{ A, 1, VM_ID, 1, A, .relaunch = true },
	/* Only one of the two lets KVM handle its calls, or none. */
	{ B, 2, VM_ID, 2, B, .to_l1 = true },
	{ A, 1, VM_ID, 1, A },
	{ B, 2, VM_ID, 2, B, .to_l1 = true, .off_in_assist = true },
	{ A, 1, VM_ID, 1, A },
	/* An ordinary VMCS, and back to either. */
	{ PLAIN, 3, .to_l1 = true, .leave = BY_VMCLEAR },
	{ A, 1, VM_ID, 1, A, .relaunch = true },
	{ PLAIN, 3, .to_l1 = true, .leave = BY_FLAG },
	{ B, 2, VM_ID, 2, B, .relaunch = true },
	{ PLAIN, 3, .to_l1 = true, .leave = BY_MSR },
	{ A, 1, VM_ID, 1, A },
	{ PLAIN, 1, .to_l1 = true, .leave = BY_POINTER },
	{ A, 1, VM_ID, 1, A, .relaunch = true },
	{ PLAIN, 3, .to_l1 = true, .leave = BY_VMXOFF },
	{ A, 1, VM_ID, 1, A, .relaunch = true },
	{ B, 2, VM_ID, 2, B },
};

static struct l2_context *l2s[NR_L2S];
static struct step now;
static enum { READ, CALL, WAIT } order;
static bool called;
static const char region[] = "switch.return";
/* L1 must flush before this L2 runs again. */
static bool owed[NR_L2S];

static void l2_code(void)
{
	for (;;) {
		switch (READ_ONCE(order)) {
		case READ:
			witness_mark(UNJUDGED);
			hv_pair_check(READ_ONCE(hv_pair_by));
			break;
		case CALL:
			hv_pair_exchange(0);
			l2_hv_flush_space_and_exit(&hv_pair.input, BIT(now.vp));
			WRITE_ONCE(called, true);
			break;
		case WAIT:
			GUEST_SYNC(ARRIVED);
			hv_pair_check(READ_ONCE(hv_pair_by));
			GUEST_SYNC(AFTER_OTHERS);
			/* Nobody tells an L2 on an ordinary VMCS. */
			if (now.l2 != PLAIN)
				hv_pair_check(READ_ONCE(hv_pair_by));
			GUEST_SYNC(AFTER_OWN);
			break;
		}
		vmcall();
	}
}

static void l1_skip(u64 length)
{
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + length);
}

static void l1_order(struct l2_context *context, int what)
{
	WRITE_ONCE(order, what);
	l1_run_to_vmcall(context);
}

/* L2's call, with one of the partition assist pages locked. */
static void l1_call(struct l2_context *context, enum l2 lock)
{
	u64 reason;
	int i;

	for (i = A; i <= B; i++)
		*(u32 *)l2s[i]->hv->partition_assist = i == lock;
	WRITE_ONCE(called, false);
	WRITE_ONCE(order, CALL);
	reason = l1_enter(context);
	if (now.to_l1) {
		GUEST_ASSERT_EQ(reason, EXIT_REASON_VMCALL);
		GUEST_ASSERT(!READ_ONCE(called));
		l1_skip(VMCALL_LENGTH);
		if (context->vpid)
			l1_invvpid(INVVPID_SINGLE, context->vpid, 0);
		reason = l1_enter(context);
	} else if (now.assist == lock) {
		GUEST_ASSERT_EQ(reason, TRAP_AFTER_FLUSH);
		GUEST_ASSERT(!READ_ONCE(called));
		reason = l1_enter(context);
	}
	GUEST_ASSERT_EQ(reason, EXIT_REASON_VMCALL);
	GUEST_ASSERT(READ_ONCE(called));
	l1_skip(VMCALL_LENGTH);
	l1_order(context, READ);
}

/* Without a VMCS of either kind: it fails, and KVM looks for what there is. */
static void l1_enter_nothing(void)
{
	bool invalid;

	asm volatile("vmlaunch\n\tsetc %0" : "=qm"(invalid) : : "cc", "memory");
	GUEST_ASSERT(invalid);
}

static void l1_leave_evmcs(struct l2_context *last)
{
	switch (now.leave) {
	case BY_VMCLEAR:
		GUEST_ASSERT(!vmclear(last->hv->enlightened_vmcs_gpa));
		current_vp_assist->enlighten_vmentry = 0;
		break;
	case BY_FLAG:
		current_vp_assist->enlighten_vmentry = 0;
		l1_enter_nothing();
		break;
	case BY_MSR:
		wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
		l1_enter_nothing();
		break;
	case BY_POINTER:
		current_vp_assist->current_nested_vmcs = ~0ul;
		l1_enter_nothing();
		current_vp_assist->enlighten_vmentry = 0;
		break;
	case BY_VMXOFF:
		current_vp_assist->enlighten_vmentry = 0;
		asm volatile("vmxoff" : : : "cc", "memory");
		l1_vmxon(last);
		break;
	}
}

/* Of an ordinary VMCS KVM keeps what L1 has not cleared only as long as it is the current one. */
static void l1_leave_plain(void)
{
	GUEST_ASSERT(!vmclear(l2s[PLAIN]->vmx->vmcs_gpa));
	enable_vp_assist(l2s[A]->hv->vp_assist_gpa, l2s[A]->hv->vp_assist);
}

/*
 * All L2s use the same page table, which changes with each call.  A call pays for the L2s
 * that it names.  L1 pays for the others before they run again.
 */
static void l1_note_owed(const struct step *step)
{
	static u64 vm[NR_L2S];
	static u32 vp[NR_L2S];
	bool named;
	int i;

	vm[step->l2] = step->vm;
	vp[step->l2] = step->vp;
	owed[step->l2] = false;
	for (i = 0; i < NR_L2S; i++) {
		if (i == step->l2)
			continue;
		named = i != PLAIN && (step->l2 == PLAIN ? vm[i] == VM_ID :
					vm[i] == step->vm && vp[i] == step->vp);
		if (!named)
			owed[i] = true;
		else if (step->l2 == PLAIN)
			owed[i] = false;
	}
}

static void l1_change(struct l2_context *last, struct l2_context *context)
{
	bool was_launched = context->launched;

	if (last == l2s[PLAIN])
		l1_leave_plain();
	else if (last && now.l2 == PLAIN)
		l1_leave_evmcs(last);
	l1_load(context, l2_code);
	if (!was_launched)
		vmwrite(GUEST_CR3, hv_pair.tables->cr3);
	if ((last && context != last && now.vpid12 == last->vpid) ||
	    (owed[now.l2] && now.vpid12))
		l1_invvpid(INVVPID_SINGLE, now.vpid12, 0);
	l1_set_vpid(context, now.vpid12);
	/* A cleared VMCS is launched; KVM takes an enlightened one either way. */
	if (now.relaunch || now.l2 == PLAIN)
		context->launched = false;
	if (now.l2 == PLAIN)
		return;

	/* No clean bit is touched: with another eVMCS none counts. */
	current_evmcs->hv_vm_id = now.vm;
	current_evmcs->hv_vp_id = now.vp;
	current_evmcs->partition_assist_page = l2s[now.assist]->hv->partition_assist_gpa;
	current_evmcs->hv_enlightenments_control.nested_flush_hypercall =
		!now.to_l1 || now.off_in_assist;
	current_vp_assist->nested_control.features.directhypercall = !now.off_in_assist;
}

static void l1_code(struct l2_context *first, u64 hypercall_gpa, u64 id)
{
	struct l2_context *last = NULL, *context;
	struct step step;

	if (id == SENDER)
		l1_hv_pair_send(first, hypercall_gpa);

	l1_hyperv_on(first, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(first);
	for (;;) {
		step = now;
		context = l2s[now.l2];
		l1_change(last, context);
		l1_order(context, READ);
		l1_call(context, A);
		l1_call(context, B);
		l1_order(context, WAIT);
		l1_note_owed(&step);
		last = context;
		/* The next step is known already. */
		if (last == l2s[PLAIN])
			witness_mark(region);
	}
}

/* Without EPT the change of a page table that KVM shadows is flushed by itself. */
static void check_count(int step, bool changed, u64 flushes, u64 want)
{
	bool right = changed && !kvm_has_ept() ? flushes >= want : flushes == want;

	TEST_ASSERT(right, "step %d, calls for %s: %lu flushes, expected %lu", step,
		    changed ? "its own" : "another virtual machine", flushes, want);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	bool plain_without_vpid = option_given(argc, argv, "--plain-without-vpid");
	struct kvm_vm *vm;
	u64 flushes, returns = 0;
	int i;

	require_direct_flush();
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	vm = hv_pair_create(l1_code, NR_L2S - 1, vcpus);
	l2s[A] = hv_pair_context(TARGET);
	l2s[B] = hv_pair_add(vm, l2s[A], true);
	l2s[PLAIN] = hv_pair_add(vm, l2s[A], false);
	sync_global_to_guest(vm, l2s);

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		now = steps[i];
		if (now.l2 == PLAIN && plain_without_vpid)
			now.vpid12 = 0;
		sync_global_to_guest(vm, now);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), ARRIVED);
		flushes = hv_pair_send(vcpus, NO_VM_ID, ALL_VPS, false);
		check_count(i, false, flushes, 0);
		/* Changed for the L2s at rest, if the one that runs is not A or B. */
		flushes = hv_pair_send(vcpus, now.l2 == PLAIN ? VM_ID : now.vm,
				       now.l2 == PLAIN ? ALL_VPS : BIT(now.vp), true);
		check_count(i, true, flushes, now.l2 != PLAIN);
		returns += now.l2 == PLAIN;
	}
	kvm_vm_free(vm);

	witness_expect(region, "vmentry.L2", ">=", returns);
	/*
	 * An L2 without a VPID runs with vpid01: for the emulator vpid02 is another's then.  So
	 * it is with rust_kvm_nvmx, for which L2s have VPIDs of their own.
	 */
	if (plain_without_vpid) {
		witness_expect(region, "invvpid.single.other", ">=", returns);
		return 0;
	}
	witness_expect(region, "invvpid.single", ">=", returns);
	witness_expect(region, "invvpid.single.vpid01", "==", 0);
	return 0;
}
