// SPDX-License-Identifier: GPL-2.0
/*
 * How the trace tells L2s apart: by vpid12, eptp12, and Hyper-V's VM id and VP id.
 * L1 enters an L2 on an ordinary VMCS, then two on enlightened ones.  Each entry must
 * be in the trace with the ids of its L2, and in the histograms that `make top` counts
 * the L2s of a vCPU with.
 *
 * Takes the path of rust_kvm_nvmx.ko, which must not be loaded.
 */
#include "contexts.h"
#include "modules.h"
#include "tracing.h"

#define MODULE		"rust_kvm_nvmx"
#define TRANSITION	EVENTS "nvmx_transition/"
#define VM_ID		7
#define NR_L2S		3

struct l2 {
	u16 vpid12;
	u64 vm_id;
	u32 vp_id;		/* 0: an ordinary VMCS */
	int entries;
	u64 eptp12;		/* what L1 wrote to the VMCS */
	struct l2_context *context;
};

static struct l2 l2s[NR_L2S] = {
	{ 3, 0, 0, 1 },
	{ 1, VM_ID, 5, 3 },
	{ 2, VM_ID, 6, 2 },
};

/* Those of top.py for this tracepoint. */
static const char *const histograms[] = {
	"hist:keys=vcpu_id,vpid12,why:size=4096 if step == 0",
	"hist:keys=vcpu_id,eptp12:size=4096 if step != 1",
	"hist:keys=vcpu_id,vm_id,vp_id:size=4096 if step == 0",
};

static void l2_code(void)
{
	for (;;)
		vmcall();
}

static void l1_enter_l2(struct l2 *l2)
{
	int i;

	for (i = 0; i < l2->entries; i++) {
		l1_load(l2->context, l2_code);
		if (l2->vp_id && !i)
			l1_allow_direct_flush(l2->context, l2->vm_id, l2->vp_id);
		l2->eptp12 = vmreadz(EPT_POINTER);
		l1_run_to_vmcall(l2->context);
	}
}

static void l1_code(u64 hypercall_gpa)
{
	int i;

	l1_vmxon(l2s[0].context);
	l1_enter_l2(&l2s[0]);
	GUEST_ASSERT(!vmclear(l2s[0].context->vmx->vmcs_gpa));
	l1_hyperv_on(l2s[1].context, hypercall_gpa);
	for (i = 1; i < NR_L2S; i++)
		l1_enter_l2(&l2s[i]);
	GUEST_DONE();
}

/* Each L2 has an EPT, so that each has ids of all kinds that differ from the others'. */
static void l2s_create(struct kvm_vm *vm)
{
	struct l2_context *context, *first = NULL;
	int i;

	for (i = 0; i < NR_L2S; i++) {
		l2s[i].context = context_for_guest(vm, i, 1, L2_EPT_OWN, l2s[i].vpid12);
		if (!l2s[i].vp_id)
			continue;
		context = addr_gva2hva(vm, (gva_t)l2s[i].context);
		context_use_evmcs(vm, context, first);
		if (!first)
			first = context;
	}
	contexts_finish(vm);
	sync_global_to_guest(vm, l2s);
}

/* Its entries: the first one flushes, since vpid02 was another L2's. */
static void check_trace(void)
{
	char lines[2 * NR_L2S][160];
	const char *expected[2 * NR_L2S];
	int i, nr = 0;

	for (i = 0; i < NR_L2S; i++) {
		expected[nr] = lines[nr];
		snprintf(lines[nr++], sizeof(lines[0]),
			 "enter vpid12 %u last_vpid 0 eptp12 0x%lx vm_id %lu vp_id %u: guest",
			 l2s[i].vpid12, l2s[i].eptp12, l2s[i].vm_id, l2s[i].vp_id);
		expected[nr] = lines[nr];
		snprintf(lines[nr++], sizeof(lines[0]),
			 "exit vpid12 %u last_vpid %u eptp12 0x%lx vm_id %lu vp_id %u: nothing",
			 l2s[i].vpid12, l2s[i].vpid12, l2s[i].eptp12, l2s[i].vm_id, l2s[i].vp_id);
	}
	tracing_expect_lines(expected, nr);
}

static void check_histograms(void)
{
	const struct l2 *l2;
	char line[160];

	for (l2 = l2s; l2 < l2s + NR_L2S; l2++) {
		snprintf(line, sizeof(line),
			 "{ vcpu_id: %10u, vpid12: %10u, why: %10u } hitcount: %10u\n",
			 0, l2->vpid12, 4, 1);
		tracing_expect_text(TRANSITION "hist", line);
		snprintf(line, sizeof(line), "{ vcpu_id: %10u, eptp12: %10lu } hitcount: %10u\n",
			 0, l2->eptp12, l2->entries);
		tracing_expect_text(TRANSITION "hist", line);
		snprintf(line, sizeof(line),
			 "{ vcpu_id: %10u, vm_id: %10lu, vp_id: %10u } hitcount: %10u\n",
			 0, l2->vm_id, l2->vp_id, l2->entries);
		tracing_expect_text(TRANSITION "hist", line);
	}
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	char off[100];
	int i;

	require_direct_flush();
	__TEST_REQUIRE(kvm_has_ept() && kvm_has_vpid(), "L2s are told apart by EPT and VPID");
	__TEST_REQUIRE(!access(TRACING "events/kvm/kvm_entry/hist", F_OK),
		       "the kernel has no CONFIG_HIST_TRIGGERS");
	TEST_ASSERT(argc == 2, "usage: %s /path/to/rust_kvm_nvmx.ko", argv[0]);
	pin_self_to_any_cpu();
	module_unload_at_exit(MODULE);

	module_must_load(argv[1], "");
	tracing_start();
	for (i = 0; i < ARRAY_SIZE(histograms); i++)
		tracing_add(TRANSITION "trigger", histograms[i]);

	vm = contexts_vm_create(1, NR_L2S, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vcpu_set_hv_cpuid(vcpu);
	vcpu_enable_evmcs(vcpu);
	vm_enable_ept(vm);
	l2s_create(vm);
	vcpu_args_set(vcpu, 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	sync_global_from_guest(vm, l2s);
	kvm_vm_free(vm);

	for (i = 0; i < NR_L2S; i++)
		TEST_ASSERT(l2s[i].eptp12, "L2 %d has no EPT", i);
	check_trace();
	check_histograms();

	/* Linux warns of a module that goes while its tracepoints have histograms. */
	for (i = 0; i < ARRAY_SIZE(histograms); i++) {
		snprintf(off, sizeof(off), "!%s", histograms[i]);
		tracing_add(TRANSITION "trigger", off);
	}
	module_must_unload(MODULE);
	return 0;
}
