// SPDX-License-Identifier: GPL-2.0
/*
 * The page of the local APIC.  While its xAPIC mode is off, L1 has it as ordinary
 * memory and may have cached that; once the mode is on, by a WRMSR of L1 or of an
 * L2 that L1 lets do it, accesses must reach the APIC.  So must they when the
 * host has moved the page, for whichever level it did.  What takes the page away is a
 * flush, and the new page is none.
 *
 * Needs APICv: without, KVM maps the page for no guest.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "apic.h"
#include "apic_page.h"
#include "backing.h"
#include "options.h"
#include "witness.h"

#define PLAIN_VALUE	0x5a5a5a5au
#define OTHER_PAGES	64
#define MIN_MOVES	40
#define MAX_MOVES	100000
#define MIN_ROUNDS	100

enum { DONE, MOVE_PAGE, KEEP_MOVING };

static u32 apic_version;
/* L0 has EPT and L2 has none: C then flushes another root than L1's (X7). */
static bool flushes_l2_root;
static const char moved[] = "apic_page.moved";
/* The host's thread is done moving the page. */
static bool moved_enough;
/* How often the guest has looked meanwhile. */
static u64 rounds;

static void use_as_memory(void)
{
	xapic_write_reg(APIC_LVR, PLAIN_VALUE);
	GUEST_ASSERT_EQ(xapic_read_reg(APIC_LVR), PLAIN_VALUE);
}

static void check_apic(void)
{
	GUEST_ASSERT_EQ(xapic_read_reg(APIC_LVR), apic_version);
}

static void l2_code(void)
{
	vmcall();
	if (!flushes_l2_root) {
		/* L1 has turned it off. */
		guest_set_apic(MSR_IA32_APICBASE_ENABLE);
		vmcall();
	}
	GUEST_SYNC(MOVE_PAGE);
	for (;;)
		vmcall();
}

static void l1_code(struct l2_context *context)
{
	apic_version = xapic_read_reg(APIC_LVR);

	guest_set_apic(0);
	use_as_memory();
	guest_set_apic(MSR_IA32_APICBASE_ENABLE);
	check_apic();

	guest_set_apic(MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);
	use_as_memory();
	/* The way back is through off. */
	guest_set_apic(0);
	guest_set_apic(MSR_IA32_APICBASE_ENABLE);
	check_apic();

	witness_mark(moved);
	GUEST_SYNC(MOVE_PAGE);
	check_apic();
	witness_mark(UNJUDGED);

	l1_vmxon(context);
	l1_load(context, l2_code);
	/* All MSRs are L2's: the bitmap is empty. */
	GUEST_ASSERT(!vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			      vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS));
	/* The first entry on a CPU flushes everything. */
	l1_run_to_vmcall(context);
	if (!flushes_l2_root) {
		guest_set_apic(0);
		use_as_memory();
		l1_run_to_vmcall(context);
		check_apic();
	}
	l1_run_to_vmcall(context);
	check_apic();

	/* In L1 and in L2, and on the way between them. */
	GUEST_SYNC(KEEP_MOVING);
	while (!READ_ONCE(moved_enough)) {
		check_apic();
		l1_run_to_vmcall(context);
		check_apic();
		WRITE_ONCE(rounds, rounds + 1);
	}
	GUEST_DONE();
}

/* Take the page away, and keep it busy: its place must not be taken by itself. */
static void move_page(void *page)
{
	void *other = kvm_mmap(OTHER_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	TEST_ASSERT(!madvise(page, PAGE_SIZE, MADV_REMOVE), "madvise() failed");
	memset(other, 0, OTHER_PAGES * PAGE_SIZE);
}

struct mover {
	struct kvm_vm *vm;
	void *page;
};

/* Until the guest has met some of the moves. */
static void *keep_moving(void *argument)
{
	struct mover *mover = argument;
	u64 *seen = addr_gva2hva(mover->vm, (gva_t)&rounds);
	cpu_set_t all;
	int i;

	/* Not the vCPU's alone, to which the thread was born. */
	memset(&all, 0xff, sizeof(all));
	TEST_ASSERT(!sched_setaffinity(0, sizeof(all), &all), "sched_setaffinity() failed");
	for (i = 0; i < MIN_MOVES || (i < MAX_MOVES && READ_ONCE(*seen) < MIN_ROUNDS); i++) {
		TEST_ASSERT(!madvise(mover->page, PAGE_SIZE, MADV_REMOVE), "madvise() failed");
		sched_yield();
	}
	write_guest_global(mover->vm, moved_enough, true);
	return NULL;
}

static void try_apic_page(enum l2_ept ept)
{
	struct kvm_vcpu *vcpu;
	struct mover mover;
	struct kvm_vm *vm;
	pthread_t thread;
	gva_t context;
	u64 stage;

	vm = contexts_vm_create(1, 1, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	mover = (struct mover){ vm, apic_page_find() };
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	virt_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA, 1);
	context_create(vm, 0, 1, ept, &context)->vpid = kvm_has_vpid();
	contexts_finish(vm);
	flushes_l2_root = ept == L2_EPT_OFF && kvm_cpu_has_ept();
	sync_global_to_guest(vm, flushes_l2_root);
	vcpu_args_set(vcpu, 1, context);

	while ((stage = run_to_sync(vcpu)) == MOVE_PAGE)
		move_page(mover.page);
	TEST_ASSERT_EQ(stage, KEEP_MOVING);
	pthread_create(&thread, NULL, keep_moving, &mover);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	pthread_join(thread, NULL);
	sync_global_from_guest(vm, rounds);
	pr_info("%lu rounds\n", rounds);
	TEST_ASSERT(rounds >= MIN_ROUNDS, "only %lu rounds while the page moved", rounds);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	struct flushes want = {};

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_kvm_intel_param_bool("enable_apicv"),
		       "kvm_intel has enable_apicv=0: KVM maps the APIC's page for no guest");
	pin_self_to_any_cpu();

	try_apic_page(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_apic_page(L2_EPT_SHARED);

	/* One in each VM. */
	if (nvmx_flushes_own_roots())
		want.invept_single = 1 + kvm_cpu_has_ept();
	else if (kvm_has_ept())
		want.invept_all = 1 + kvm_cpu_has_ept();
	else
		want.all_contexts = kvm_has_vpid();
	witness_flushes(moved, "vmentry.L1", &want);
	return 0;
}
