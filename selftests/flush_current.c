// SPDX-License-Identifier: GPL-2.0
/*
 * A flush of the current context: INVEPT single-context of the current root
 * when EPT is on, INVVPID single-context of the current VPID when it is off,
 * and nothing while there is no root.  A new root is flushed when it is loaded,
 * so a flush that is asked for together with a new root must not count twice.
 */
#include "apic.h"
#include "contexts.h"
#include "invalidate.h"
#include "witness.h"

#define VPID12	1

enum { DONE, BEGIN, END };

struct trial {
	const char *region;
	bool l2;		/* with a VPID of its own, if VPID is on */
	bool enter;		/* begins in L1, ends in L2 */
	bool tdp;		/* happens with EPT on */
	bool shadow;		/* happens with EPT off */
	int stat;		/* flushes that were requested, not those on loading */
};

static const struct trial trials[] = {
	/* The root is dropped: requested flush finds none, loading flushes. */
	{ "current.smep.l1", .tdp = true, .shadow = true, .stat = 1 },
	{ "current.smep.l2", .l2 = true, .tdp = true, .shadow = true, .stat = 1 },
	/* The root stays. */
	{ "current.xapic.l1", .tdp = true, .shadow = true, .stat = 1 },
	{ "current.cr3.l1", .shadow = true, .stat = 1 },
	{ "current.cr3.l2", .l2 = true, .shadow = true, .stat = 1 },
	/* INVEPT by L1 drops L2's root. */
	{ "current.invept_single.enter", .l2 = true, .enter = true, .tdp = true },
	{ "current.invept_global.enter", .l2 = true, .enter = true, .tdp = true },
};

enum { SMEP_L1, SMEP_L2, XAPIC_L1, CR3_L1, CR3_L2, INVEPT_SINGLE_L2, INVEPT_ALL_L2 };

/* A trial may begin in L1 and end in L2. */
static int this_trial;

static void begin(int trial)
{
	WRITE_ONCE(this_trial, trial);
	GUEST_SYNC_WITH(BEGIN, trial);
	witness_mark(trials[trial].region);
}

static void end(void)
{
	witness_mark(UNJUDGED);
	GUEST_SYNC_WITH(END, READ_ONCE(this_trial));
}

static void toggle_smep(int trial)
{
	guest_cr4(X86_CR4_SMEP, false);
	begin(trial);
	guest_cr4(X86_CR4_SMEP, true);
	end();
}

static void reload_cr3(int trial)
{
	begin(trial);
	set_cr3(get_cr3());
	end();
}

static void l1_toggle_xapic(void)
{
	u64 base = rdmsr(MSR_IA32_APICBASE);

	wrmsr(MSR_IA32_APICBASE, base & ~MSR_IA32_APICBASE_ENABLE);
	begin(XAPIC_L1);
	wrmsr(MSR_IA32_APICBASE, base);
	end();
}

static void l2_code(void)
{
	toggle_smep(SMEP_L2);
	reload_cr3(CR3_L2);
	for (;;) {
		vmcall();
		end();
	}
}

static void l1_code(struct l2_context *context)
{
	toggle_smep(SMEP_L1);
	l1_toggle_xapic();
	reload_cr3(CR3_L1);

	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);

	if (context->eptp_gpa) {
		l1_invept(INVEPT_SINGLE, vmreadz(EPT_POINTER));
		begin(INVEPT_SINGLE_L2);
		l1_run_to_vmcall(context);

		l1_invept(INVEPT_ALL, 0);
		begin(INVEPT_ALL_L2);
		l1_run_to_vmcall(context);
	}
	GUEST_DONE();
}

static bool happens(const struct trial *trial)
{
	return kvm_has_ept() ? trial->tdp : trial->shadow;
}

static int requested(const struct trial *trial)
{
	/* Without VPID in vmcs12 the entry itself asks for one. */
	if (trial->enter && !kvm_has_vpid())
		return 1;
	return happens(trial) ? trial->stat : 0;
}

static void judge(const struct trial *trial)
{
	struct flushes want = {};

	if (happens(trial) && kvm_has_ept())
		want.invept_single = 1;
	else if (happens(trial) && kvm_has_vpid() && trial->l2)
		want.single02 = 1;
	else if (happens(trial) && kvm_has_vpid())
		want.single01 = 1;
	witness_flushes(trial->region, trial->l2 ? "instr.L2" : "instr.L1", &want);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 before, count, number;
	gva_t context;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SMEP));
	pin_self_to_any_cpu();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (kvm_cpu_has_ept())
		vm_enable_ept(vm);
	context_create(vm, 0, 1, kvm_cpu_has_ept() ? L2_EPT_SHARED : L2_EPT_OFF,
		       &context)->vpid = kvm_has_vpid() ? VPID12 : 0;
	contexts_finish(vm);
	vcpu_args_set(vcpu, 1, context);

	while (run_to_sync_with(vcpu, &number) != DONE) {
		const struct trial *trial = &trials[number];

		judge(trial);
		before = vcpu_get_stat(vcpu, tlb_flush);
		TEST_ASSERT_EQ(run_to_sync(vcpu), END);
		count = vcpu_get_stat(vcpu, tlb_flush) - before;
		TEST_ASSERT(count == requested(trial),
			    "%s: %lu flushes requested", trial->region, count);
	}

	kvm_vm_free(vm);
	return 0;
}
