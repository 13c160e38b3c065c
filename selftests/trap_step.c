// SPDX-License-Identifier: GPL-2.0
/*
 * An L2's flush hypercall that KVM serves, single-stepped: by RFLAGS.TF of L2, by L1's
 * monitor trap flag, or by both.  The step ends after the VMCALL, with #DB in L2 or a VM
 * exit to L1, and with both the exit is first and has the #DB pending.
 *
 * With --exit the call ends with the exit to L1 that L1 asked for (TLB lock count), which
 * is like a trap: of RFLAGS.TF a debug exception must be pending in the VMCS then (SDM,
 * "Saving Non-Register State"), which L2 gets before its next instruction, or L1 if it
 * intercepts #DB.  KVM drops it: #DB comes one instruction late.  (So does the exit of the
 * monitor trap flag, with the module too.  But the VMCS has nothing to keep that in, so it
 * may.)
 */
#include "arguments.h"
#include "contexts.h"
#include "flush_call.h"

#define VM_ID		7
#define TF		BIT(8)
#define MTF		BIT(27)
#define PENDING_BS	BIT(14)
#define NOT_AT_ALL	(-1l)

/* How L2 is stepped, and whether L1 intercepts #DB. */
enum { BY_TF = 1, BY_MTF = 2, INTERCEPTED = 4, KINDS = 8 };

static struct hv_input input;
static bool with_exit;
/* Where the VMCALL is, and whether L2 stops before it. */
static u64 vmcall_rip;
static bool stops_before;
static u64 db_rip;

static void on_db(struct ex_regs *regs)
{
	db_rip = regs->rip;
	regs->rflags &= ~TF;
}

static void l2_call(void)
{
	u64 control = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, gpa = input.gpa;

	asm volatile("xor %%r8d, %%r8d\n\t"
		     "push %%rbp\n\t"
		     "lea 1f(%%rip), %%rax\n\t"
		     "mov %%rax, %[rip]\n\t"
		     /* L1 may stop here, and go on with registers and flags of its own. */
		     "cmpb $0, %[stops]\n\t"
		     "je 1f\n\t"
		     "xor %%ecx, %%ecx\n\t"
		     "vmcall\n"
		     "1:\n\t"
		     "vmcall\n\t"
		     "nop\n\tnop\n\tnop\n\tnop\n\t"
		     "pushfq\n\t"
		     "andl $~0x100, (%%rsp)\n\t"
		     "popfq\n\t"
		     "pop %%rbp"
		     : "+c"(control), "+d"(gpa), [rip] "=m"(vmcall_rip)
		     : [stops] "m"(stops_before)
		     : "rax", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "memory", "cc");
}

static void l2_code(void)
{
	for (;;) {
		guest_hv_fill_space(&input, BIT(0));
		l2_call();
		vmcall();
	}
}

static void dirty_host(void)
{
	current_evmcs->hv_clean_fields &= ~(HV_VMX_ENLIGHTENED_CLEAN_FIELD_HOST_GRP1 |
					    HV_VMX_ENLIGHTENED_CLEAN_FIELD_HOST_POINTER);
}

/* VMRESUME with L2's registers of the call. */
static u64 enter_for_call(void)
{
	u64 control = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, gpa = input.gpa;
	void *rsp_field = (void *)current_evmcs + offsetof(struct hv_enlightened_vmcs, host_rsp);
	void *rip_field = (void *)current_evmcs + offsetof(struct hv_enlightened_vmcs, host_rip);

	dirty_host();
	asm volatile("push %%rbp\n\t"
		     "mov %%rsp, (%%rdi)\n\t"
		     "lea 1f(%%rip), %%rax\n\t"
		     "mov %%rax, (%%rsi)\n\t"
		     "xor %%r8d, %%r8d\n\t"
		     "vmresume\n\t"
		     "ud2\n"
		     "1:\n\t"
		     "pop %%rbp"
		     : "+c"(control), "+d"(gpa), "+D"(rsp_field), "+S"(rip_field)
		     : : "rax", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			 "memory", "cc");
	return vmreadz(VM_EXIT_REASON);
}

static void set_controls(u64 controls)
{
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, controls);
	current_evmcs->hv_clean_fields &= ~HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_PROC;
}

/* In bytes from the VMCALL. */
static long distance(u64 rip)
{
	return rip ? (long)(rip - vmcall_rip) : NOT_AT_ALL;
}

static void check_exit(int kind, u64 reason, u64 want)
{
	u64 pending = kind & BY_TF && reason != EXIT_REASON_EXCEPTION_NMI ? PENDING_BS : 0;

	__GUEST_ASSERT(reason == want && distance(vmreadz(GUEST_RIP)) == VMCALL_LENGTH &&
		       (vmreadz(GUEST_PENDING_DBG_EXCEPTIONS) & PENDING_BS) == pending && !db_rip,
		       "kind %d: exit %lx at %ld, pending %lx, #DB at %ld; expected exit %lx",
		       kind, reason, distance(vmreadz(GUEST_RIP)),
		       vmreadz(GUEST_PENDING_DBG_EXCEPTIONS), distance(db_rip), want);
}

static void intercept_db(bool on)
{
	vmwrite(EXCEPTION_BITMAP, on ? BIT(DB_VECTOR) : 0);
	current_evmcs->hv_clean_fields &= ~HV_VMX_ENLIGHTENED_CLEAN_FIELD_CONTROL_EXCPN;
}

/* The #DB of a step that comes to L1. */
static void take_db(int kind, u64 reason)
{
	check_exit(kind, reason, EXIT_REASON_EXCEPTION_NMI);
	GUEST_ASSERT_EQ(vmreadz(VM_EXIT_INTR_INFO) & 0xff, DB_VECTOR);
	vmwrite(GUEST_RFLAGS, vmreadz(GUEST_RFLAGS) & ~TF);
}

static void step(struct l2_context *context, int kind)
{
	u64 controls = vmreadz(CPU_BASED_VM_EXEC_CONTROL), reason;
	long want = (kind & (BY_TF | INTERCEPTED)) == BY_TF ? VMCALL_LENGTH : NOT_AT_ALL;

	db_rip = 0;
	intercept_db(kind & INTERCEPTED);
	l1_run_to_vmcall(context);
	GUEST_ASSERT_EQ(vmreadz(GUEST_RIP), vmcall_rip);
	set_controls(controls | (kind & BY_MTF ? MTF : 0));
	if (kind & BY_TF)
		vmwrite(GUEST_RFLAGS, vmreadz(GUEST_RFLAGS) | TF);

	reason = enter_for_call();
	if (with_exit) {
		check_exit(kind, reason, TRAP_AFTER_FLUSH);
		reason = l1_enter(context);
	} else if (kind & BY_MTF) {
		check_exit(kind, reason, EXIT_REASON_MONITOR_TRAP_FLAG);
		set_controls(controls);
		reason = l1_enter(context);
	}
	if (kind & INTERCEPTED) {
		take_db(kind, reason);
		reason = l1_enter(context);
	}
	GUEST_ASSERT_EQ(reason, EXIT_REASON_VMCALL);
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + VMCALL_LENGTH);
	__GUEST_ASSERT(distance(db_rip) == want, "kind %d: #DB at %ld, expected at %ld", kind,
		       distance(db_rip), want);
}

/*
 * A #DB that L1 intercepts is lost in the exit of the monitor trap flag, which is no
 * matter of TLB flushes.
 */
static bool is_tried(int kind)
{
	if (kind & INTERCEPTED)
		return (kind & (BY_TF | BY_MTF)) == BY_TF;
	return !with_exit || !(kind & BY_MTF);
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa)
{
	int kind;

	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_allow_direct_flush(context, VM_ID, 0);
	*(u32 *)context->hv->partition_assist = with_exit;
	stops_before = true;
	for (kind = 0; kind < KINDS; kind++)
		if (is_tried(kind))
			step(context, kind);
	GUEST_DONE();
}

static void try_steps(enum l2_ept ept)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = direct_flush_vm(ept, kvm_has_vpid(), l1_code, &vcpu);
	vm_install_exception_handler(vm, DB_VECTOR, on_db);
	input = hv_input_create(vm);
	contexts_finish(vm);
	sync_global_to_guest(vm, input);
	sync_global_to_guest(vm, with_exit);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	with_exit = option_given(argc, argv, "--exit");
	require_direct_flush();
	pin_self_to_any_cpu();

	try_steps(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_steps(L2_EPT_SHARED);
	return 0;
}
