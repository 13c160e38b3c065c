// SPDX-License-Identifier: GPL-2.0
/*
 * Without EPT in KVM: a Hyper-V flush for an L1 whose L2 is running.  KVM flushes the
 * VPID of the level that runs, and drops the call.  Nearly always everything is flushed
 * anyway, when the shadow tables change, or when the page table is write-protected again.
 * But it is not if a page may no longer be executed, which KVM leaves to the guest's
 * flush, and the host has just moved the page table in its memory, so that there is
 * nothing to write-protect.  The emulator cannot show what a CPU would execute then, as
 * it faults by itself: what is counted is the flush for L1.
 *
 * The vCPUs take turns on one thread: nothing here depends on timing.
 */
#include <sys/mman.h>

#include "backing.h"
#include "hyperv_flush.h"
#include "witness.h"

#define NR_PAGES	1
#define VPID12		1
#define SENDER		0
#define TARGET		1
#define ROUNDS		4
#define NO_EXECUTE	BIT_ULL(63)

/* All that the page holds: JMP RBX, where it came from. */
static const u8 page_code[] = { 0xff, 0xe3 };

enum { DONE, USED, CHANGED, WAITING, SENT, RESUMED };

static struct l2_context *tables;	/* of both L1s */
static bool used_again;
static u64 faults;
static const char region[] = "bug.shadow";

/* Back to where the page would have gone. */
static void page_fault(struct ex_regs *regs)
{
	GUEST_ASSERT_EQ(regs->rip, (u64)backing_gva(0));
	regs->rip = regs->rbx;
	WRITE_ONCE(faults, faults + 1);
}

static bool executes(void)
{
	u64 before = READ_ONCE(faults);

	asm volatile("lea 1f(%%rip), %%rbx\n\t"
		     "jmp *%0\n"
		     "1:"
		     : : "r"(backing_gva(0)) : "rbx", "memory");
	return READ_ONCE(faults) == before;
}

static void allow_execute(bool allowed)
{
	u64 *pte = tables->pt;

	WRITE_ONCE(*pte, allowed ? *pte & ~NO_EXECUTE : *pte | NO_EXECUTE);
}

/* All that is out of date comes up to date here: other vCPUs find nothing to do. */
static void flush_here(void)
{
	set_cr3(get_cr3());
}

static void target_l2(void)
{
	for (;;) {
		GUEST_SYNC(WAITING);
		/* L2's own flush is done. */
		GUEST_SYNC(RESUMED);
		vmcall();
	}
}

static void target_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int round;

	set_cr3(tables->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	rdmsr(HV_X64_MSR_VP_INDEX);
	l1_vmxon(context);
	l1_load(context, target_l2);
	for (round = 0; round < ROUNDS; round++) {
		GUEST_ASSERT(executes());
		GUEST_SYNC(USED);
		/* Nobody has asked for a flush yet, and the shadow table is as it was. */
		WRITE_ONCE(used_again, executes());
		l1_run_to_vmcall(context);
		GUEST_ASSERT(!executes());
		GUEST_SYNC(USED);
	}
	GUEST_DONE();
}

static void sender_l1(struct l2_context *context, u64 hypercall_gpa)
{
	int round;

	set_cr3(tables->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	for (round = 0; round < ROUNDS; round++) {
		allow_execute(false);
		GUEST_SYNC(CHANGED);
		flush_here();
		guest_hv_flush_space_fast(BIT(TARGET));
		GUEST_SYNC(SENT);
		allow_execute(true);
		flush_here();
		GUEST_SYNC(CHANGED);
	}
	GUEST_DONE();
}

static void set_rights(void *page, int rights)
{
	TEST_ASSERT(!mprotect(page, PAGE_SIZE, rights), "mprotect() failed");
}

/*
 * To KVM a change of rights is the same as another place: it unmaps the page.  That must be
 * this page alone, and is more if the host has to split the mapping that the page is in: so
 * give it one of its own first, with a right that its neighbours have not.
 */
static void set_apart(void *page)
{
	set_rights(page, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void move_page(void *page)
{
	set_rights(page, PROT_READ | PROT_EXEC);
	set_apart(page);
}

static struct l2_context *create(struct kvm_vm *vm, u64 number)
{
	return context_for_guest(vm, number, NR_PAGES, L2_EPT_OFF, VPID12);
}

static void try_vm(void)
{
	static void (*const code[])(struct l2_context *, u64) = { sender_l1, target_l1 };
	struct l2_context *context;
	struct kvm_vcpu *vcpus[2];
	struct kvm_vm *vm;
	int i, round;

	vm = contexts_vm_create(2, 3, NR_PAGES);
	vm_install_exception_handler(vm, PF_VECTOR, page_fault);
	tables = create(vm, 0);
	context = addr_gva2hva(vm, (gva_t)tables);
	memcpy(addr_gpa2hva(vm, context->page_gpa[0]), page_code, sizeof(page_code));
	for (i = SENDER; i <= TARGET; i++) {
		vcpus[i] = vm_vcpu_add(vm, i, code[i]);
		vcpu_set_hv_cpuid(vcpus[i]);
		vcpu_args_set(vcpus[i], 2, create(vm, 1 + i), addr_gva2gpa(vm, vm_alloc_page(vm)));
	}
	sync_global_to_guest(vm, tables);
	set_apart(addr_gva2hva(vm, (gva_t)context->pt));

	for (round = 0; round < ROUNDS; round++) {
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), USED);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), CHANGED);
		move_page(addr_gva2hva(vm, (gva_t)context->pt));
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), WAITING);
		sync_global_from_guest(vm, used_again);
		__TEST_REQUIRE(used_again, "L1 does not have the page cached: nothing to flush");
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), SENT);
		witness_mark(region);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), RESUMED);
		TEST_ASSERT_EQ(run_to_sync(vcpus[TARGET]), USED);
		witness_mark(UNJUDGED);
		TEST_ASSERT_EQ(run_to_sync(vcpus[SENDER]), CHANGED);
	}
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(!kvm_has_ept(), "kvm_intel has ept=1: no shadow tables");
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	pin_self_to_any_cpu();

	try_vm();

	/* L1's, by the time that it runs again. */
	witness_expect(region, "vmentry.L1", ">=", ROUNDS);
	witness_expect(region, "invvpid.single.vpid01", ">=", ROUNDS);
	return 0;
}
