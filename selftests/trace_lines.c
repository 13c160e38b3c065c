// SPDX-License-Identifier: GPL-2.0
/*
 * The module's tracepoints say for each decision what it was and why.  L1 enters
 * two L2s in turn, takes the VPID from one, and executes INVVPID; the trace must
 * have these lines, in this order, among others: once where the module flushes what C
 * flushes, once where it keeps what nobody asked to flush.
 *
 * Takes the path of rust_kvm_nvmx.ko, which must not be loaded.
 */
#include "contexts.h"
#include "invalidate.h"
#include "modules.h"
#include "tracing.h"

#define MODULE	"rust_kvm_nvmx"
#define NO_IDS	"eptp12 0x0 vm_id 0 vp_id 0: "
#define STOCK	"vpid_slots=1 keep_roots=0 skip_needless=0"

static const char *const like_c[] = {
	"nvmx_flush: vcpu 0 all (H1): INV",
	"enter vpid12 1 last_vpid 0 " NO_IDS "guest flush, vpid02 was another vpid12's (T4)",
	"nvmx_flush: vcpu 0 guest (H4): INVVPID single tag 0x",
	"exit vpid12 1 last_vpid 1 " NO_IDS "nothing, L2 has a tag of its own",
	"enter vpid12 1 last_vpid 1 " NO_IDS "nothing, L2 has a tag of its own",
	"enter vpid12 2 last_vpid 1 " NO_IDS "guest flush, vpid02 was another vpid12's (T4)",
	"nvmx_flush: vcpu 0 guest (H4): INVVPID single tag 0x",
	"enter vpid12 0 last_vpid 2 " NO_IDS "guest flush, L2 has no VPID (T2)",
	"exit vpid12 0 last_vpid 2 " NO_IDS "guest flush, L2 has no VPID (T2)",
	"nvmx_l1_invalidate: vcpu 0 INVVPID type 1 operand 0x2 0x0: flush here",
	"enter vpid12 1 last_vpid 2 " NO_IDS "guest flush, vpid02 was another vpid12's (T4)",
	"nvmx_l1_invalidate: vcpu 0 INVVPID type 1 operand 0x2 0x0: flush here",
	"nvmx_l1_invalidate: vcpu 0 INVVPID type 0 operand 0x10000 0x0: invalid operand",
};

static const char *const by_default[] = {
	"enter vpid12 1 last_vpid 0 " NO_IDS "guest flush, vpid02 was another vpid12's (T4)",
	"exit vpid12 1 last_vpid 1 " NO_IDS "nothing, L2 has a tag of its own",
	"enter vpid12 2 last_vpid 1 " NO_IDS "guest flush, vpid02 was another vpid12's (T4)",
	"enter vpid12 0 last_vpid 2 " NO_IDS "guest flush, L2 has no VPID (T2)",
	"exit vpid12 0 last_vpid 2 " NO_IDS "nothing, the entry left L1 without translations (V16)",
	"nvmx_l1_invalidate: vcpu 0 INVVPID type 1 operand 0x2 0x0: flush here",
	"enter vpid12 1 last_vpid 2 " NO_IDS "nothing, L2 has a parked VPID (V1)",
	"INVVPID type 1 operand 0x2 0x0: the VPID in use is not named (V5)",
};

static void l2_code(void)
{
	for (;;)
		vmcall();
}

static void l1_enter_with(struct l2_context *context, u16 vpid12)
{
	l1_load(context, l2_code);
	l1_set_vpid(context, vpid12);
	l1_run_to_vmcall(context);
}

static void l1_code(struct l2_context *first, struct l2_context *second)
{
	struct invalidate_operand reserved = { 0x10000, 0 };

	l1_vmxon(first);
	l1_enter_with(first, 1);
	l1_enter_with(first, 1);
	l1_enter_with(second, 2);
	l1_enter_with(second, 0);
	l1_invvpid(INVVPID_SINGLE, 2, 0);
	l1_enter_with(first, 1);
	l1_invvpid(INVVPID_SINGLE, 2, 0);
	GUEST_ASSERT(l1_try_invvpid(INVVPID_ADDRESS, &reserved));
	GUEST_DONE();
}

static void try_options(const char *path, const char *options, const char *const *lines, int nr)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	gva_t gva[2];
	int i;

	module_must_load(path, options);
	tracing_start();

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	for (i = 0; i < 2; i++)
		context_create(vm, i, 1, L2_EPT_OFF, &gva[i]);
	contexts_finish(vm);
	vcpu_args_set(vcpu, 2, gva[0], gva[1]);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);

	tracing_expect_lines(lines, nr);
	module_must_unload(MODULE);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_ASSERT(argc == 2, "usage: %s /path/to/rust_kvm_nvmx.ko", argv[0]);
	pin_self_to_any_cpu();
	module_unload_at_exit(MODULE);

	try_options(argv[1], STOCK, like_c, ARRAY_SIZE(like_c));
	/* Nothing is kept without EPT or VPIDs. */
	if (kvm_has_ept() && kvm_has_vpid())
		try_options(argv[1], "", by_default, ARRAY_SIZE(by_default));
	return 0;
}
