// SPDX-License-Identifier: GPL-2.0
/*
 * A VM entry that KVM emulates to its end, and an exit to L1 before the CPU has entered
 * L2: L2 is halted, and L1's timer ends that.  What the entry requires of the TLB must
 * be flushed for L2 before L1 runs: its next entry is with the same vpid12, and requires
 * nothing.
 *
 * Two L2s with a vpid12 each back one linear address by a page each.  Where each vpid12
 * has a hardware VPID of its own, the entry requires a flush only if L1 has executed
 * INVVPID: there it does so, and backs the second L2's address by another page.
 */
#include "apic.h"
#include "backing.h"
#include "invalidate.h"
#include "options.h"
#include "witness.h"

#define ROUNDS		4
#define NR_PAGES	2
#define VECTOR		0x80
#define ACTIVITY_HALTED	1
#define DIVIDE_BY_1	0xb
#define TIMER_TICKS	2000000	/* of 1 ns: L2 is halted before */

enum { FIRST, SECOND, NR_CONTEXTS };

static struct l2_context *contexts[NR_CONTEXTS], *current;
static int interrupts;
static bool kept;	/* a vpid12 may have a hardware VPID of its own */
static u64 by;		/* what backs page 0 of the second one */

/* The halted entry, and the one that follows. */
static const char halted_region[] = "halted_entry.halted", next_region[] = "halted_entry";

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, current == contexts[SECOND] ? by : 0);
		vmcall();
	}
}

static void interrupt_handler(struct ex_regs *regs)
{
	interrupts++;
	x2apic_write_reg(APIC_EOI, 0);
}

static void load(int number)
{
	WRITE_ONCE(current, contexts[number]);
	l1_load(current, l2_code);
}

static void enter_halted(void)
{
	u64 pin = vmreadz(PIN_BASED_VM_EXEC_CONTROL);

	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin | PIN_BASED_EXT_INTR_MASK);
	vmwrite(GUEST_ACTIVITY_STATE, ACTIVITY_HALTED);
	GUEST_ASSERT_EQ(l1_enter(current), EXIT_REASON_EXTERNAL_INTERRUPT);
	vmwrite(GUEST_ACTIVITY_STATE, 0);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
}

/* A VPID of both is to hold what the first one has left. */
static void l1_owe_second(void)
{
	if (!kept)
		return;
	WRITE_ONCE(by, !by);
	back_page(contexts[SECOND], 0, by);
	l1_invvpid(INVVPID_SINGLE, SECOND + 1, 0);
}

static void take_interrupt(void)
{
	int before = READ_ONCE(interrupts);

	sti_nop_cli();
	GUEST_ASSERT_EQ(READ_ONCE(interrupts), before + 1);
}

static void l1_code(void)
{
	int round;

	x2apic_enable();
	x2apic_write_reg(APIC_TDCR, DIVIDE_BY_1);
	x2apic_write_reg(APIC_LVTT, APIC_LVT_TIMER_ONESHOT | VECTOR);
	l1_vmxon(contexts[FIRST]);
	load(SECOND);
	l1_run_to_vmcall(current);
	for (round = 0; round < ROUNDS; round++) {
		load(FIRST);
		l1_run_to_vmcall(current);
		l1_owe_second();
		load(SECOND);
		witness_mark(halted_region);
		x2apic_write_reg(APIC_TMICT, TIMER_TICKS);
		enter_halted();
		take_interrupt();
		witness_mark(next_region);
		l1_run_to_vmcall(current);
		witness_mark(UNJUDGED);
	}
	GUEST_DONE();
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_vpid());
	pin_self_to_any_cpu();
	kept = kvm_has_ept() && nvmx_vpid_slots() > 1;

	vm = contexts_vm_create(1, NR_CONTEXTS, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	vm_install_exception_handler(vm, VECTOR, interrupt_handler);
	for (i = 0; i < NR_CONTEXTS; i++)
		contexts[i] = context_for_guest(vm, i, NR_PAGES, L2_EPT_OFF, i + 1);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, kept);

	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
	witness_expect(halted_region, "invvpid.single", ">=", ROUNDS);
	witness_expect(next_region, "vmentry.L2", ">=", ROUNDS);
	return 0;
}
