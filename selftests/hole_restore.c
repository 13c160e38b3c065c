// SPDX-License-Identifier: GPL-2.0
/*
 * An L2 whose flush hypercalls KVM serves ("direct" flush) is restored while it is
 * active.  Which L2 it is, and where its partition assist page is, stands in its
 * enlightened VMCS alone; until KVM has read that again it knows neither, but goes
 * on to take L2's calls: they fail, or miss who was restored.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include <getopt.h>

#include "backing.h"
#include "hyperv_flush.h"
#include "flush_call.h"
#include "witness.h"

#define NR_PAGES	2
#define VM_ID		7
#define SENDER		0
#define TARGET		1

/*
 * The restored L2 makes a call; the same after L1 has entered it again with an eVMCS
 * that it declares clean, as Linux does after each exit; another L2 of the same VM calls
 * while the restored one waits.
 */
enum form { CALLER, CLEAN_EVMCS, WAITING_TARGET, NR_FORMS };
static const char *const form_names[NR_FORMS] = { "caller", "clean-evmcs", "waiting-target" };

enum { DONE, SAVE, WAIT };

static struct l2_context *tables;
static struct hv_input input;
static enum form form;
static const char region[] = "hole.restored";

static u16 flush_space(u64 processors)
{
	guest_hv_fill_space(&input, processors);
	return flush_status(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, input.gpa, 0);
}

static void check_flush(u64 processors)
{
	u16 status = flush_space(processors);

	__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "status %u", status);
}

static void target_l2(void)
{
	if (form != WAITING_TARGET)
		check_flush(BIT(TARGET));
	check_page(tables, 0, 0);
	GUEST_SYNC(SAVE);
	if (form == CLEAN_EVMCS)
		vmcall();
	if (form == WAITING_TARGET) {
		check_page(tables, 0, 0);
		GUEST_SYNC(WAIT);
		witness_mark(UNJUDGED);
		check_page(tables, 0, 1);
	} else {
		back_page(tables, 0, 1);
		check_flush(BIT(TARGET));
		check_page(tables, 0, 1);
	}
	vmcall();
}

static void sender_l2(void)
{
	GUEST_SYNC(WAIT);
	back_page(tables, 0, 1);
	check_flush(BIT(TARGET));
	vmcall();
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 id)
{
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, id == TARGET ? target_l2 : sender_l2);
	vmwrite(GUEST_CR3, tables->cr3);
	l1_allow_direct_flush(context, VM_ID, id);
	l1_run_to_vmcall(context);
	if (id == TARGET && form == CLEAN_EVMCS) {
		/* But for what every entry of ours writes. */
		current_evmcs->hv_clean_fields |= HV_VMX_ENLIGHTENED_CLEAN_FIELD_ALL;
		l1_run_to_vmcall(context);
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number)
{
	gva_t gva;

	context_create(vm, number, NR_PAGES, L2_EPT_OFF, &gva)->vpid = kvm_has_vpid();
	return (struct l2_context *)gva;
}

static struct kvm_vm *create_vm(struct kvm_vcpu *vcpus[2])
{
	struct l2_context *context;
	struct kvm_vm *vm;
	int i;

	vm = contexts_vm_create(2, 3, NR_PAGES);
	tables = create(vm, 0);
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, l1_code);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_enable_evmcs(vcpus[i]);
		context = create(vm, 1 + i);
		context_use_evmcs(vm, addr_gva2hva(vm, (gva_t)context), NULL);
		vcpu_args_set(vcpus[i], 3, context, addr_gva2gpa(vm, vm_alloc_page(vm)), i);
	}
	input = hv_input_create(vm);
	sync_global_to_guest(vm, tables);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, form);
	return vm;
}

/* Nested state brings L2's control registers with it. */
static void restore(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	vcpu_regs_set(vcpu, &state->regs);
	vcpu_nested_state_set(vcpu, &state->nested);
	kvm_x86_state_cleanup(state);
}

static void try_restore(void)
{
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm = create_vm(vcpus);
	u64 flushes = 0;

	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), SAVE);
	restore(vcpus[TARGET]);
	if (form == WAITING_TARGET) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), WAIT);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAIT);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), DONE);
		flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush);
		/* Served before it runs on. */
		witness_mark(region);
	}
	TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), DONE);
	if (form == WAITING_TARGET) {
		flushes = vcpu_get_stat(vcpus[TARGET], tlb_flush) - flushes;
		TEST_ASSERT(flushes, "The call succeeded, and its target flushed nothing");
		witness_expect(region, "invvpid.single.vpid02", ">=", kvm_has_vpid());
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_ASSERT(argc == 3 && !strcmp(argv[1], "--form"), "--form NAME");
	while (form < NR_FORMS && strcmp(argv[2], form_names[form]))
		form++;
	TEST_ASSERT(form < NR_FORMS, "No form %s", argv[2]);

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_ENLIGHTENED_VMCS));
	TEST_REQUIRE(kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
	pin_self_to_any_cpu();

	try_restore();
	return 0;
}
