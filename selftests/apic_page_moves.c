// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM puts another page under the address of the local APIC's, while the vCPU spins
 * in L1 or L2 without an exit of its own.  It does so together with a lot of memory
 * below, in one call, so that the old page is still there to be found long after KVM was
 * told that it goes: a vCPU that takes it up again meanwhile has a page that is not its
 * APIC's any more.  Another thread invalidates other memory of the VM all the while.
 *
 * Needs APICv: without, KVM maps the page for no guest.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "apic.h"
#include "apic_page.h"
#include "backing.h"

#define ROUNDS		4
#define BELOW_SIZE	(2ul << 20)	/* what is unmapped before the page */
#define NOISE_GPA	0x50000000ul
#define NOISE_SLOT	7

/* Guest globals: the round that the guest spins in, and the one that the host has done. */
static u64 spinning, moved;
static u32 apic_version;

static void check_apic(void)
{
	GUEST_ASSERT_EQ(xapic_read_reg(APIC_LVR), apic_version);
}

/* No PAUSE: that may exit. */
static void spin_while_moved(u64 round)
{
	check_apic();
	WRITE_ONCE(spinning, round);
	while (READ_ONCE(moved) != round)
		barrier();
	check_apic();
}

static void l2_code(void)
{
	u64 round;

	sti();
	for (round = 2; ; round += 2) {
		spin_while_moved(round);
		vmcall();
	}
}

static void l1_code(struct l2_context *context)
{
	u64 round;

	apic_version = xapic_read_reg(APIC_LVR);
	sti();
	l1_vmxon(context);
	l1_load(context, l2_code);
	for (round = 1; round < 2 * ROUNDS; round += 2) {
		spin_while_moved(round);
		l1_run_to_vmcall(context);
		check_apic();
	}
	GUEST_DONE();
}

struct machine {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	void *below, *noise;
	bool done;
};

static void *run_vcpu(void *argument)
{
	struct machine *machine = argument;

	pin_self_to_cpu(0);
	TEST_ASSERT_EQ(run_to_sync(machine->vcpu), 0);
	return NULL;
}

static void *invalidate_other(void *argument)
{
	struct machine *machine = argument;

	while (!READ_ONCE(machine->done)) {
		WRITE_ONCE(*(u64 *)machine->noise, 1);
		TEST_ASSERT(!madvise(machine->noise, PAGE_SIZE, MADV_DONTNEED),
			    "madvise() failed");
	}
	return NULL;
}

/* Zero pages would be one page, and gone at once. */
static void fill(void *memory)
{
	size_t at;

	for (at = 0; at < BELOW_SIZE; at += PAGE_SIZE)
		*(u64 *)(memory + at) = at + 1;
}

static void map_anew(void *memory, size_t size, int flags)
{
	TEST_ASSERT(mmap(memory, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_ANONYMOUS | flags,
			 -1, 0) == memory, "mmap() failed");
}

/* In one call, whose last page is the APIC's. */
static void move_page(struct machine *machine)
{
	fill(machine->below);
	map_anew(machine->below, BELOW_SIZE + PAGE_SIZE, MAP_SHARED);
	map_anew(machine->below, BELOW_SIZE, MAP_PRIVATE);
}

static void move_pages(struct machine *machine)
{
	u64 *guest_spinning = addr_gva2hva(machine->vm, (gva_t)&spinning);
	u64 *guest_moved = addr_gva2hva(machine->vm, (gva_t)&moved);
	u64 round;

	for (round = 1; round <= 2 * ROUNDS; round++) {
		while (READ_ONCE(*guest_spinning) != round)
			sched_yield();
		move_page(machine);
		WRITE_ONCE(*guest_moved, round);
	}
}

static void try_moves(enum l2_ept ept)
{
	struct machine machine = {};
	pthread_t vcpu, noise;
	gva_t context;

	machine.vm = contexts_vm_create(1, 1, 1);
	machine.below = apic_page_reserve(BELOW_SIZE);
	machine.vcpu = vm_vcpu_add(machine.vm, 0, l1_code);
	TEST_ASSERT(apic_page_find() == machine.below + BELOW_SIZE, "The page is elsewhere");
	if (ept != L2_EPT_OFF)
		vm_enable_ept(machine.vm);
	virt_map(machine.vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA, 1);
	if (ept != L2_EPT_OFF)
		tdp_map(machine.vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA, PAGE_SIZE);
	context_create(machine.vm, 0, 1, ept, &context)->vpid = kvm_has_vpid();
	contexts_finish(machine.vm);
	vcpu_args_set(machine.vcpu, 1, context);
	machine.noise = kvm_mmap(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1);
	vm_set_user_memory_region(machine.vm, NOISE_SLOT, 0, NOISE_GPA, PAGE_SIZE, machine.noise);
	spinning = 0;
	moved = 0;
	sync_global_to_guest(machine.vm, spinning);
	sync_global_to_guest(machine.vm, moved);

	pthread_create(&vcpu, NULL, run_vcpu, &machine);
	pthread_create(&noise, NULL, invalidate_other, &machine);
	move_pages(&machine);
	pthread_join(vcpu, NULL);
	WRITE_ONCE(machine.done, true);
	pthread_join(noise, NULL);
	kvm_vm_free(machine.vm);
	kvm_munmap(machine.noise, PAGE_SIZE);
	kvm_munmap(machine.below, BELOW_SIZE);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(get_kvm_intel_param_bool("enable_apicv"),
		       "kvm_intel has enable_apicv=0: KVM maps the APIC's page for no guest");
	__TEST_REQUIRE(get_nprocs() > 1, "one CPU: no vCPU spins while the page is moved");
	pin_self_to_cpu(1);

	try_moves(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_moves(L2_EPT_SHARED);
	return 0;
}
