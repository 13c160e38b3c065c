// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU is saved and restored at each stage of nested VMX: before and after VMXON,
 * with a VMCS loaded, with L2 active, and between two runs of L2.  First each time in
 * the VM that it has, then each time in a new one, which has other memory and perhaps
 * the same VPIDs.  The level that runs next, L1 or L2, must see the memory as it is.
 *
 *   --evmcs  L2s on enlightened VMCSs; each entry is followed by a flush hypercall of
 *            L2, which KVM handles and which ends with an exit to L1: a stage too
 *   --calls  and such a call is the first thing that a restored L2 does
 */
#include "backing.h"
#include "flush_call.h"

#define NR_PAGES	2
#define VM_ID		7
#define VP		0
#define ROUNDS		3

/* The exit after a flush comes within KVM's hypercall: it is never pending. */
enum stage { DONE, FRESH, VMX_ON, LOADED, AFTER_TRAP, L2_ACTIVE, AFTER_EXIT };

enum owner { L1, FIRST, SECOND, NR_OWNERS };

static struct l2_context *contexts[NR_OWNERS];
static u64 backed_by[NR_OWNERS];
static struct hv_input input;
static bool evmcs, calls;

static void check(enum owner owner)
{
	check_page(contexts[owner], 0, READ_ONCE(backed_by[owner]));
}

static void l2_exchange(enum owner owner)
{
	WRITE_ONCE(backed_by[owner], !READ_ONCE(backed_by[owner]));
	back_page(contexts[owner], 0, backed_by[owner]);
}

static void l2_call(enum owner owner)
{
	u16 status;

	l2_exchange(owner);
	guest_hv_fill_space(&input, BIT(VP));
	status = flush_status(HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, input.gpa, 0);
	__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "status %u", status);
	check(owner);
}

static __always_inline void l2_code(enum owner owner)
{
	for (;;) {
		check(owner);
		if (evmcs) {
			l2_exchange(owner);
			l2_hv_flush_space_and_exit(&input, BIT(VP));
			check(owner);
		}
		GUEST_SYNC(L2_ACTIVE);
		if (calls)
			l2_call(owner);
		check(owner);
		vmcall();
	}
}

static void l2_first(void)
{
	l2_code(FIRST);
}

static void l2_second(void)
{
	l2_code(SECOND);
}

static void l1_stage(enum stage stage)
{
	check(L1);
	GUEST_SYNC(stage);
	check(L1);
}

static void l1_enter_with_lock(struct l2_context *context)
{
	u32 *lock = context->hv->partition_assist;

	l1_allow_direct_flush(context, VM_ID, VP);
	*lock = 1;
	GUEST_ASSERT_EQ(l1_enter(context), TRAP_AFTER_FLUSH);
	l1_stage(AFTER_TRAP);
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_REASON), TRAP_AFTER_FLUSH);
	*lock = 0;
}

static void l1_code(u64 hypercall_gpa)
{
	struct l2_context *context;
	int round;

	set_cr3(contexts[L1]->cr3);
	if (evmcs) {
		l1_hyperv_on(contexts[FIRST], hypercall_gpa);
		GUEST_ASSERT_EQ(rdmsr(HV_X64_MSR_VP_INDEX), VP);
	}
	l1_stage(FRESH);
	l1_vmxon(contexts[FIRST]);
	l1_stage(VMX_ON);
	for (round = 0; round < ROUNDS; round++) {
		context = contexts[round & 1 ? SECOND : FIRST];
		l1_load(context, round & 1 ? l2_second : l2_first);
		/* An enlightened one is not loaded before it is entered. */
		if (!evmcs || !round)
			l1_stage(LOADED);
		if (evmcs)
			l1_enter_with_lock(context);
		l1_run_to_vmcall(context);
		l1_stage(AFTER_EXIT);
	}
	GUEST_DONE();
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, enum l2_ept ept)
{
	struct kvm_vm *vm = contexts_vm_create(1, NR_OWNERS, NR_PAGES);
	struct l2_context *context;
	gva_t gva;
	int i;

	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (evmcs) {
		vcpu_set_hv_cpuid(*vcpu);
		vcpu_enable_evmcs(*vcpu);
	}
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	for (i = L1; i < NR_OWNERS; i++) {
		context = context_create(vm, i, NR_PAGES, ept, &gva);
		context->vpid = kvm_has_vpid() ? i : 0;
		contexts[i] = (struct l2_context *)gva;
		backed_by[i] = 0;
		if (evmcs && i != L1)
			context_use_evmcs(vm, context, i == FIRST ? NULL :
					  addr_gva2hva(vm, (gva_t)contexts[FIRST]));
	}
	vcpu_args_set(*vcpu, 1, addr_gva2gpa(vm, vm_alloc_page(vm)));
	input = hv_input_create(vm);
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, backed_by);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, evmcs);
	sync_global_to_guest(vm, calls);
	return vm;
}

/* The VM is gone, and its memory becomes another. */
static void exchange_memory(struct kvm_vm *vm)
{
	struct l2_context *context;
	int i;

	sync_global_from_guest(vm, backed_by);
	for (i = L1; i < NR_OWNERS; i++) {
		backed_by[i] = !backed_by[i];
		context = addr_gva2hva(vm, (gva_t)contexts[i]);
		*(u64 *)addr_gva2hva(vm, (gva_t)context->pt) =
			context->page_gpa[backed_by[i]] | BACKING_PRESENT;
	}
	sync_global_to_guest(vm, backed_by);
}

static struct kvm_vcpu *restore(struct kvm_vm *vm, struct kvm_vcpu *vcpu, bool new_vm)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	if (new_vm) {
		kvm_vm_release(vm);
		exchange_memory(vm);
		vcpu = vm_recreate_with_one_vcpu(vm);
		if (evmcs) {
			vcpu_set_hv_cpuid(vcpu);
			vcpu_enable_evmcs(vcpu);
		}
		vcpu_load_state(vcpu, state);
	} else {
		vcpu_go_back(vcpu, state);
	}
	kvm_x86_state_cleanup(state);
	return vcpu;
}

static void try_vm(enum l2_ept ept, bool new_vm)
{
	u64 stages = 0, nr = 0, stage;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = create_vm(&vcpu, ept);
	while ((stage = run_to_sync(vcpu)) != DONE) {
		stages |= BIT(stage);
		nr++;
		vcpu = restore(vm, vcpu, new_vm);
	}
	TEST_ASSERT_EQ(stages, evmcs ? 0x7e : 0x7e & ~BIT(AFTER_TRAP));
	TEST_ASSERT_EQ(nr, 2 + ROUNDS * 3 + (evmcs ? 1 : 0));
	/* The next VM's memory is other memory. */
	kvm_vm_release(vm);
}

int main(int argc, char *argv[])
{
	bool new_vm = false;

	calls = argc == 2 && !strcmp(argv[1], "--calls");
	evmcs = calls || (argc == 2 && !strcmp(argv[1], "--evmcs"));
	TEST_ASSERT(argc == 1 || evmcs, "Usage: %s [--evmcs | --calls]", argv[0]);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	TEST_REQUIRE(!evmcs || kvm_hv_cpu_has(HV_X64_NESTED_DIRECT_FLUSH));
	pin_self_to_any_cpu();

	do {
		try_vm(L2_EPT_OFF, new_vm);
		if (kvm_cpu_has_ept())
			try_vm(L2_EPT_SHARED, new_vm);
		new_vm = !new_vm;
	} while (new_vm);
	return 0;
}
