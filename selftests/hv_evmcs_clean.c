// SPDX-License-Identifier: GPL-2.0
/*
 * Fields of an enlightened VMCS that decide on flushes, changed while L1 calls their
 * part of it clean, and while it calls it dirty: KVM keeps what it has read before, or
 * reads it again.  Seen by which flush hypercalls reach the L2, by whether its own calls
 * end with an exit to L1, by how often an entry flushes, and by the page tables that L2
 * reads through.
 */
#include "hooks.h"
#include "hv_pair.h"
#include "invalidate.h"

#define OTHER_VM_ID	8
#define OTHER_VP	5
#define VPID12		1
#define OTHER_VPID12	2

enum { DONE, BEFORE, IN_L2, AFTER_OLD, AFTER_NEW };

/* What is changed, and the part of the VMCS that it is in. */
#define VM		BIT(0)
#define VP		BIT(1)
#define ASSIST_PAGE	BIT(2)
#define VPID		BIT(3)
#define VPID_OFF	BIT(4)
#define CR3		BIT(5)
#define EVERYTHING	(VM | VP | ASSIST_PAGE | VPID | CR3)

#define IDS		HV_VMX_ENLIGHTENED_CLEAN_FIELD_ENLIGHTENMENTSCONTROL
#define XLAT		HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_XLAT
#define GRP1		HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_GRP1
#define GRP2		HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_GRP2
#define CRDR		HV_VMX_ENLIGHTENED_CLEAN_FIELD_CRDR
#define ALL		HV_VMX_ENLIGHTENED_CLEAN_FIELD_ALL

struct step {
	u64 changed;
	u32 dirty;
};

static const struct step steps[] = {
	{ VM, 0 }, { VM, IDS }, { VM, ALL & ~IDS }, { VM, ALL },
	{ VP, 0 }, { VP, IDS }, { VP, ALL & ~IDS },
	{ ASSIST_PAGE, 0 }, { ASSIST_PAGE, IDS }, { ASSIST_PAGE, ALL & ~IDS },
	{ VPID, 0 }, { VPID, XLAT }, { VPID, ALL & ~XLAT },
	{ VPID_OFF, 0 }, { VPID_OFF, GRP1 }, { VPID_OFF, ALL & ~GRP1 },
	{ CR3, 0 }, { CR3, CRDR }, { CR3, ALL & ~CRDR },
	{ EVERYTHING, 0 }, { EVERYTHING, IDS }, { EVERYTHING, XLAT }, { EVERYTHING, GRP2 },
	{ EVERYTHING, IDS | XLAT }, { EVERYTHING, ALL & ~IDS }, { EVERYTHING, ALL & ~XLAT },
	{ EVERYTHING, ALL }, { EVERYTHING | VPID_OFF, ALL & ~GRP1 },
	{ EVERYTHING | VPID_OFF, ALL },
};

static struct l2_context *second;	/* for its partition assist page alone */
static struct step now;
static u64 taken;			/* what KVM must have taken of it */
static bool called;

static u64 part_of(u64 field)
{
	switch (field) {
	case VPID:
		return XLAT;
	case VPID_OFF:
		return GRP1;
	case CR3:
		return CRDR;
	default:
		return IDS;
	}
}

static u64 what_is_taken(const struct step *step)
{
	u64 field, fields = 0;

	for (field = VM; field <= CR3; field <<= 1)
		if (step->changed & field && step->dirty & part_of(field))
			fields |= field;
	return fields;
}

static struct l2_context *own;

static void l2_read(void)
{
	if (READ_ONCE(taken) & CR3)
		check_page(own, 0, 0);
	else
		hv_pair_check(READ_ONCE(hv_pair_by));
}

static void l2_code(void)
{
	for (;;) {
		GUEST_SYNC(IN_L2);
		l2_read();
		GUEST_SYNC(AFTER_OLD);
		l2_read();
		/* From here on the host says what comes next. */
		GUEST_SYNC(AFTER_NEW);
		l2_hv_flush_space_and_exit(&hv_pair.input, BIT(63));
		WRITE_ONCE(called, true);
		vmcall();
	}
}

static void l1_change(struct l2_context *context)
{
	u64 changed = now.changed;

	current_evmcs->hv_vm_id = changed & VM ? OTHER_VM_ID : VM_ID;
	current_evmcs->hv_vp_id = changed & VP ? OTHER_VP : TARGET;
	current_evmcs->partition_assist_page =
		(changed & ASSIST_PAGE ? second : context)->hv->partition_assist_gpa;
	current_evmcs->virtual_processor_id = changed & VPID ? OTHER_VPID12 : VPID12;
	if (changed & VPID_OFF)
		current_evmcs->secondary_vm_exec_control &= ~SECONDARY_EXEC_ENABLE_VPID;
	else
		current_evmcs->secondary_vm_exec_control |= SECONDARY_EXEC_ENABLE_VPID;
	current_evmcs->guest_cr3 = changed & CR3 ? context->cr3 : hv_pair.tables->cr3;
	current_evmcs->hv_clean_fields = ALL & ~now.dirty;
	/* For another CR3. */
	l1_invvpid(INVVPID_ALL, 0, 0);
}

/* L2 to the end of its round; its call ends with an exit if its own page is locked. */
static void l1_round(struct l2_context *context)
{
	bool exits = READ_ONCE(taken) & ASSIST_PAGE;
	u64 reason;

	WRITE_ONCE(called, false);
	*(u32 *)context->hv->partition_assist = 0;
	*(u32 *)second->hv->partition_assist = 1;
	reason = l1_enter(context);
	if (exits) {
		GUEST_ASSERT_EQ(reason, TRAP_AFTER_FLUSH);
		GUEST_ASSERT(!READ_ONCE(called));
		reason = l1_enter(context);
	}
	GUEST_ASSERT_EQ(reason, EXIT_REASON_VMCALL);
	GUEST_ASSERT(READ_ONCE(called));
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + VMCALL_LENGTH);
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	if (id == SENDER)
		l1_hv_pair_send(context, hypercall_gpa);

	l1_hv_pair_start(context, hypercall_gpa, id, l2_code);
	/* As far as l1_load() is concerned: nothing more to set up. */
	context->launched = true;
	for (;;) {
		l1_change(context);
		GUEST_SYNC(BEFORE);
		/* The sender has used the library's globals. */
		l1_load(context, l2_code);
		l1_round(context);
	}
}

static u16 last_vpid12;
static u64 last_ids;

static u64 entry_flushes(void)
{
	u16 vpid12 = taken & VPID ? OTHER_VPID12 : VPID12;
	u64 ids = taken & (VM | VP);

	/* X6: the L2 that had the last ids has missed what others asked of it. */
	if (ids != last_ids && hook_is_rust("evmcs_ids_changed"))
		last_vpid12 = 0;
	last_ids = ids;
	if (taken & VPID_OFF) {
		/* X6: what others ask of it meanwhile is missed by the VPID that is off. */
		if (hook_is_rust("hv_vcpu_flush_tlb"))
			last_vpid12 = 0;
		return 1;
	}
	if (vpid12 == last_vpid12)
		return 0;
	last_vpid12 = vpid12;
	return 1;
}

static void check(int number, const char *what, u64 flushes, u64 want)
{
	TEST_ASSERT(flushes == want, "step %d, changed %lx, dirty %x, %s: %lu flushes, not %lu",
		    number, now.changed, now.dirty, what, flushes, want);
}

static void try_step(struct kvm_vcpu *vcpus[2], const struct step *step, int number)
{
	struct kvm_vm *vm = vcpus[TARGET]->vm;
	u64 flushes, ids;
	bool tables;

	now = *step;
	taken = what_is_taken(step);
	sync_global_to_guest(vm, now);
	sync_global_to_guest(vm, taken);
	/* Up to where L1 has made the change. */
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), BEFORE);
	flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush);
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), IN_L2);
	flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush) - flushes;
	/* The first one is the first of vmcs02 too. */
	check(number, "at the entry", flushes, entry_flushes() + (number < 0));

	ids = taken & (VM | VP);
	tables = !(taken & CR3);
	flushes = hv_pair_send(vcpus, VM_ID, BIT(TARGET), tables && !ids);
	check(number, "a call for the old ids", flushes, !ids);
	if (!(now.changed & (VM | VP))) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), AFTER_NEW);
		return;
	}
	flushes = hv_pair_send(vcpus, now.changed & VM ? OTHER_VM_ID : VM_ID,
			       BIT(now.changed & VP ? OTHER_VP : TARGET), tables && ids);
	check(number, "a call for the new ids", flushes, !!ids);
}

int main(int argc, char *argv[])
{
	static const struct step restored = { 0, ALL };
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	int i;

	require_direct_flush();
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid(), "without them flushes look alike");
	pin_self_to_any_cpu();

	vm = hv_pair_create(l1_code, 1, vcpus);
	own = hv_pair_context(TARGET);
	second = hv_pair_add(vm, own, true);
	sync_global_to_guest(vm, own);
	sync_global_to_guest(vm, second);

	try_step(vcpus, &restored, -1);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		try_step(vcpus, &steps[i], i);
		try_step(vcpus, &restored, i);
	}
	kvm_vm_free(vm);
	return 0;
}
