// SPDX-License-Identifier: GPL-2.0
/*
 * L2s on enlightened VMCSs, each with a vpid12 of its own, that one L1 runs in turn.
 * While one of them does not run, another vCPU's L2 flushes it by a hypercall: it must
 * be flushed when it runs again, once, and only then.
 *
 * A step runs one of the L2s, and then, with L1 active, the other vCPU makes its call.
 * Calls that name A come with a change of A's page, so a call that is lost is seen as a
 * wrong number, and by the oracle.
 *
 * Or the call is made while A is active and its thread in user space, and A exits before
 * KVM looks at the queue: an INIT came, which KVM_GET_MP_STATE makes an exit.  The next L2
 * takes what is in the queue.
 */
#include "apic.h"
#include "hv_pair.h"
#include "options.h"
#include "witness.h"

#define OTHER_VM	8
#define ALL_VPS		0x3ff	/* more than KVM counts one by one */

/* VP ids of the L2s; the sender has 0. */
#define VP_A		1
#define VP_B		2

/* The last one is PLAIN with A's vpid12, after an entry that fails early. */
enum l2 { A, B, PLAIN, A_WITHOUT_VPID, PLAIN_AS_A, NR_L2S };

#define BAD_POINTER	1

enum { DONE, AT_REST };

#define PORT	0xf1	/* with which A asks for the call that comes while it is active */

struct step {
	enum l2 l2;
	u64 call;		/* VPs of a call after it, 0 for none */
	u64 vm;			/* of the call, 0 for theirs */
	bool in_l2;		/* the call is made in it, and an INIT ends it */
	const char *region;	/* of the entry */
	u64 flushes;		/* in it, if the translations of all are kept */
};

static const struct step steps[] = {
	/* Nobody calls. */
	{ A }, { B }, { PLAIN }, { A }, { B }, { PLAIN },
	{ A, .region = "rest.none" }, { B, .region = "rest.none" },
	{ PLAIN, .region = "rest.none" }, { A, .region = "rest.none" },
	{ PLAIN, .region = "rest.none" }, { B, .region = "rest.none" },
	/* For A, while B's VMCS is current; for B; for both. */
	{ B, .call = BIT(VP_A) }, { A, .region = "rest.called", .flushes = 1 },
	{ B, .region = "rest.not_called" },
	{ A, .call = BIT(VP_B) }, { A, .region = "rest.not_called" },
	{ B }, { A, .region = "rest.not_called" },
	{ PLAIN, .call = BIT(VP_A) }, { PLAIN, .region = "rest.not_called" },
	{ B, .region = "rest.not_called" }, { A, .region = "rest.called", .flushes = 1 },
	{ B, .call = ALL_VPS }, { A, .region = "rest.called", .flushes = 1 }, { B },
	{ PLAIN, .call = BIT(VP_A) }, { B, .call = BIT(VP_A) },
	{ A, .region = "rest.called", .flushes = 1 },
	/* Of another virtual machine, or another processor. */
	{ B, .call = BIT(VP_A), .vm = OTHER_VM }, { A, .region = "rest.not_called" },
	{ B, .call = BIT(9) }, { A, .region = "rest.not_called" },
	/* Its VMCS is still current: the call is queued, and another L2 runs first. */
	{ A, .call = BIT(VP_A) }, { B }, { A },
	{ A, .call = BIT(VP_A) }, { PLAIN }, { A },
	{ A, .call = BIT(VP_A) }, { A },
	{ A, .call = ALL_VPS }, { B }, { A }, { B },
	/* It is queued for A, and B takes it from the queue. */
	{ A, .call = BIT(VP_A), .in_l2 = true }, { B },
	{ A, .region = "rest.queued", .flushes = 1 },
	{ A, .call = ALL_VPS, .in_l2 = true }, { B }, { PLAIN },
	{ A, .region = "rest.queued", .flushes = 1 }, { B },
	/* The calls are spent on the VPID that it shares with L1. */
	{ A_WITHOUT_VPID, .call = BIT(VP_A) }, { A_WITHOUT_VPID }, { A },
	{ B }, { A_WITHOUT_VPID, .call = BIT(VP_A) }, { A_WITHOUT_VPID }, { B }, { A },
	{ A_WITHOUT_VPID }, { B, .call = BIT(VP_A) }, { A_WITHOUT_VPID }, { A },
	/* The vpid12 of an L2 with other ids. */
	{ A }, { PLAIN_AS_A, .region = "rest.renamed", .flushes = 1 }, { A },
};

static struct l2_context *l2s[NR_L2S];
static enum l2 now;
static bool stop_in_l2;

/* To user space, with nothing in registers, as L1 does not keep them. */
static void stop(void)
{
	asm volatile("push %%rbp; outb %%al, %0; pop %%rbp"
		     : : "i"(PORT)
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
		       "r12", "r13", "r14", "r15", "memory");
}

static void l2_code(void)
{
	for (;;) {
		/* The others are not told of changes of page 0. */
		if (READ_ONCE(now) == A || READ_ONCE(now) == A_WITHOUT_VPID)
			hv_pair_check(READ_ONCE(hv_pair_by));
		else
			check_page(hv_pair.tables, 1, 1);
		if (READ_ONCE(stop_in_l2))
			stop();
		else
			vmcall();
	}
}

/* From enlightened VMCSs to the ordinary one, and back. */
static void leave(struct l2_context *last)
{
	if (last->hv) {
		GUEST_ASSERT(!vmclear(last->hv->enlightened_vmcs_gpa));
		current_vp_assist->enlighten_vmentry = 0;
	} else {
		GUEST_ASSERT(!vmclear(last->vmx->vmcs_gpa));
		enable_vp_assist(l2s[A]->hv->vp_assist_gpa, l2s[A]->hv->vp_assist);
	}
}

static struct l2_context *context_of(enum l2 l2)
{
	if (l2 == A_WITHOUT_VPID)
		return l2s[A];
	return l2s[l2 == PLAIN_AS_A ? PLAIN : l2];
}

static u16 vpid12_of(enum l2 l2)
{
	if (l2 == A_WITHOUT_VPID)
		return 0;
	return l2 == PLAIN_AS_A ? 1 : 1 + l2;
}

static void fail(struct l2_context *context)
{
	u64 good = vmreadz(VMCS_LINK_POINTER);

	vmwrite(VMCS_LINK_POINTER, BAD_POINTER);
	GUEST_ASSERT_EQ(l1_enter(context), EXIT_REASON_FAILED_VMENTRY | EXIT_REASON_INVALID_STATE);
	vmwrite(VMCS_LINK_POINTER, good);
	context->launched = false;
}

static void run(enum l2 l2, bool in_l2)
{
	static struct l2_context *last;
	struct l2_context *context = context_of(l2);
	bool fresh = !context->launched;

	if (last && !last->hv != !context->hv) {
		leave(last);
		l1_load(context, l2_code);
		context->launched = false;
	} else {
		l1_load(context, l2_code);
	}
	last = context;
	if (fresh)
		vmwrite(GUEST_CR3, hv_pair.tables->cr3);
	l1_set_vpid(context, vpid12_of(l2));
	if (context->hv)
		l1_allow_direct_flush(context, VM_ID, l2 == B ? VP_B : VP_A);
	WRITE_ONCE(now, l2);
	if (l2 == PLAIN_AS_A)
		fail(context);
	WRITE_ONCE(stop_in_l2, in_l2);
	if (in_l2)
		GUEST_ASSERT_EQ(l1_enter(context), EXIT_REASON_INIT_SIGNAL);
	else
		l1_run_to_vmcall(context);
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	int i;

	if (id == SENDER)
		l1_hv_pair_send(context, hypercall_gpa);

	/* KVM finds it by its APIC ID from now on. */
	x2apic_enable();
	l1_hyperv_on(l2s[A], hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(l2s[A]);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		witness_mark(steps[i].region ?: UNJUDGED);
		run(steps[i].l2, steps[i].in_l2);
		witness_mark(UNJUDGED);
		GUEST_SYNC(AT_REST);
	}
	GUEST_DONE();
}

/* With the target in L2: the call, and an exit to L1 before the target looks at it. */
static void call_and_exit(struct kvm_vm *vm, struct kvm_vcpu *vcpus[2], u64 processors)
{
	struct kvm_msi init = {
		.address_lo = APIC_DEFAULT_GPA | vcpus[TARGET]->id << 12,
		.data = APIC_DM_INIT,
	};
	struct kvm_mp_state state;

	vcpu_run(vcpus[TARGET]);
	TEST_ASSERT_KVM_EXIT_REASON(vcpus[TARGET], KVM_EXIT_IO);
	TEST_ASSERT_EQ(vcpus[TARGET]->run->io.port, PORT);
	vcpu_run_complete_io(vcpus[TARGET]);
	hv_pair_call(vcpus, VM_ID, processors, true);
	TEST_ASSERT_EQ(__vm_ioctl(vm, KVM_SIGNAL_MSI, &init), 1);
	vcpu_mp_state_get(vcpus[TARGET], &state);
}

static void expect(const char *region)
{
	u64 flushes = 0, entries = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!steps[i].region || strcmp(steps[i].region, region))
			continue;
		entries++;
		flushes += steps[i].flushes;
	}
	witness_expect(region, "vmentry.L2", ">=", entries);
	witness_expect(region, "invvpid.single", "==", flushes);
	witness_expect(region, "invvpid.addr", "==", 0);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	u64 call;
	int i;

	TEST_ASSERT(argc == 1, "Usage: %s", argv[0]);
	require_direct_flush();
	__TEST_REQUIRE(kvm_has_vpid(), "kvm_intel has vpid=0: L1 has no VPID either");
	pin_self_to_any_cpu();

	vm = hv_pair_create(l1_code, 2, vcpus);
	l2s[A] = hv_pair_context(TARGET);
	l2s[B] = hv_pair_add(vm, l2s[A], true);
	l2s[PLAIN] = hv_pair_add(vm, l2s[A], false);
	sync_global_to_guest(vm, l2s);

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		call = steps[i].call;
		if (steps[i].in_l2)
			call_and_exit(vm, vcpus, call);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), AT_REST);
		if (call && !steps[i].in_l2)
			hv_pair_call(vcpus, steps[i].vm ?: VM_ID, call,
				     !steps[i].vm && call & BIT(VP_A));
	}
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), DONE);
	kvm_vm_free(vm);

	if (!kvm_has_ept() || nvmx_vpid_slots() < 3)
		return 0;
	expect("rest.none");
	expect("rest.called");
	expect("rest.not_called");
	expect("rest.queued");
	expect("rest.renamed");
	return 0;
}
