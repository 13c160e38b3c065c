// SPDX-License-Identifier: GPL-2.0
/*
 * The host changes the memory of a running VM: it takes pages away (MMU
 * notifier), deletes and moves memslots, and write-protects pages to log
 * writes.  Two vCPUs, one in L1 and one in L2, stay in the guest on CPUs of
 * their own meanwhile, with translations that were used before, and use
 * them again when the host is done.
 *
 * Each in 4 KiB and in 2 MiB pages, with EPT in vmcs12 and without.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "backing.h"
#include "memory.h"

#define IN_L1		0
#define IN_L2		1
#define OTHER_GPA	(MEMORY_GPA + 4 * MEMORY_SIZE)
#define FAR_GPA		(MEMORY_GPA + 8 * MEMORY_SIZE)
#define LOG_FLAG	KVM_MEM_LOG_DIRTY_PAGES

/* What the host shows of one size of pages: a slot that guests use, and another. */
struct piece {
	u32 slot, other_slot;
	u64 gpa, other_gpa;
	void *memory, *other;
};

static struct kvm_vm *vm;
static struct memory_control *control;
static struct piece pieces[MEMORY_SIZES];
static u64 last_value;

/* Guest globals */
static struct memory_control *guest_control;
static void *guest_memory;

static void l1_only(void)
{
	guest_use_memory(guest_control, IN_L1, guest_memory);
	GUEST_DONE();
}

static void l2_code(void)
{
	guest_use_memory(guest_control, IN_L2, guest_memory);
	vmcall();
}

static void l1_with_l2(struct l2_context *context)
{
	l1_vmxon(context);
	l1_load(context, l2_code);
	l1_run_to_vmcall(context);
	GUEST_DONE();
}

static void *run_vcpu(void *argument)
{
	struct kvm_vcpu *vcpu = argument;

	pin_self_to_cpu(vcpu->id % get_nprocs());
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	return NULL;
}

/* Give an order and wait until both vCPUs have carried it out, in the guest. */
static void order(enum memory_order order)
{
	u64 generation = control->generation + 1;

	WRITE_ONCE(control->order, order);
	WRITE_ONCE(control->generation, generation);
	while (READ_ONCE(control->done[IN_L1]) != generation ||
	       READ_ONCE(control->done[IN_L2]) != generation)
		usleep(500);
}

/* The guests must see what the host sees. */
static void use(void)
{
	int i;

	for (i = 0; i < MEMORY_SIZES; i++)
		control->value[i] = *(u64 *)pieces[i].memory;
	order(MEMORY_USE);
}

static void *alloc(struct piece *piece)
{
	return memory_alloc(piece == &pieces[MEMORY_HUGE], ++last_value);
}

/* The MMU notifier: other pages under the same hva. */
static void replace_pages(struct piece *piece)
{
	void *other = alloc(piece);

	TEST_ASSERT(mremap(other, MEMORY_SIZE, MEMORY_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   piece->memory) == piece->memory, "mremap() failed");
}

static void drop_pages(struct piece *piece)
{
	void *keep_busy;

	TEST_ASSERT(!madvise(piece->memory, MEMORY_SIZE, MADV_DONTNEED), "madvise() failed");
	/* Or the pages that were dropped could be the new ones. */
	keep_busy = alloc(piece);
	memory_fill(piece->memory, ++last_value);
	memory_free(keep_busy);
}

static void delete_slot(struct piece *piece)
{
	void *other = alloc(piece);

	memory_set_slot(vm, piece->slot, piece->gpa, NULL, 0);
	memory_set_slot(vm, piece->slot, piece->gpa, other, 0);
	memory_free(piece->memory);
	piece->memory = other;
}

/* Two slots take each other's place. */
static void move_slots(struct piece *piece)
{
	memory_set_slot(vm, piece->slot, FAR_GPA, piece->memory, 0);
	memory_set_slot(vm, piece->other_slot, piece->gpa, piece->other, 0);
	memory_set_slot(vm, piece->slot, piece->other_gpa, piece->memory, 0);
	*piece = (struct piece) {
		.slot = piece->other_slot, .other_slot = piece->slot,
		.gpa = piece->gpa, .other_gpa = piece->other_gpa,
		.memory = piece->other, .other = piece->memory,
	};
}

static void start_log(struct piece *piece)
{
	memory_set_slot(vm, piece->slot, piece->gpa, piece->memory, LOG_FLAG);
}

/* Takes the right to write away from what was written. */
static void fetch_log(struct piece *piece)
{
	unsigned long log[MEMORY_SIZE / PAGE_SIZE / BITS_PER_LONG];

	kvm_vm_get_dirty_log(vm, piece->slot, log);
	TEST_ASSERT(log[0] & 1, "Slot %u's log lacks a page that was written", piece->slot);
}

static void stop_log(struct piece *piece)
{
	memory_set_slot(vm, piece->slot, piece->gpa, piece->memory, 0);
}

static void (*const changes[])(struct piece *piece) = {
	replace_pages, drop_pages, delete_slot, move_slots, move_slots,
	start_log, fetch_log, fetch_log, stop_log,
};

static void create_vm(struct kvm_vcpu *vcpus[2], enum l2_ept ept)
{
	gva_t gva;
	int i;

	vm = contexts_vm_create(2, 1, 1);
	vcpus[IN_L1] = vm_vcpu_add(vm, IN_L1, l1_only);
	vcpus[IN_L2] = vm_vcpu_add(vm, IN_L2, l1_with_l2);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);

	gva = vm_alloc_page(vm);
	guest_control = (void *)gva;
	control = addr_gva2hva(vm, gva);
	memset(control, 0, sizeof(*control));

	guest_memory = (void *)vm_unused_gva_gap(vm, MEMORY_SIZES * MEMORY_SIZE, MEMORY_GPA);
	TEST_ASSERT_EQ((u64)guest_memory % MEMORY_SIZE, 0);
	for (i = 0; i < MEMORY_SIZES; i++)
		virt_map_level(vm, (gva_t)guest_memory + i * MEMORY_SIZE, memory_gpa(i),
			       MEMORY_SIZE, i == MEMORY_HUGE ? PG_LEVEL_2M : PG_LEVEL_4K);

	context_create(vm, 0, 1, ept, &gva)->vpid = kvm_has_vpid();
	vcpu_args_set(vcpus[IN_L2], 1, gva);
	if (ept != L2_EPT_OFF) {
		tdp_map(vm, memory_gpa(MEMORY_SMALL), memory_gpa(MEMORY_SMALL), MEMORY_SIZE);
		__virt_pg_map(vm, &vm->stage2_mmu, memory_gpa(MEMORY_HUGE),
			      memory_gpa(MEMORY_HUGE), PG_LEVEL_2M);
	}
	contexts_finish(vm);
	sync_global_to_guest(vm, guest_control);
	sync_global_to_guest(vm, guest_memory);
}

static void create_memory(void)
{
	struct piece *piece;
	int i;

	for (i = 0; i < MEMORY_SIZES; i++) {
		piece = &pieces[i];
		*piece = (struct piece) {
			.slot = MEMORY_SLOT + i,
			.other_slot = MEMORY_SLOT + MEMORY_SIZES + i,
			.gpa = memory_gpa(i),
			.other_gpa = OTHER_GPA + i * MEMORY_SIZE,
			.memory = alloc(piece),
			.other = alloc(piece),
		};
		memory_set_slot(vm, piece->slot, piece->gpa, piece->memory, 0);
		memory_set_slot(vm, piece->other_slot, piece->other_gpa, piece->other, 0);
	}
}

static void try_memory(enum l2_ept ept)
{
	struct kvm_vcpu *vcpus[2];
	pthread_t threads[2];
	int i, j;

	create_vm(vcpus, ept);
	create_memory();
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]);

	use();
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		for (j = 0; j < MEMORY_SIZES; j++)
			changes[i](&pieces[j]);
		use();
	}
	order(MEMORY_STOP);

	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	kvm_vm_free(vm);
	for (i = 0; i < MEMORY_SIZES; i++) {
		memory_free(pieces[i].memory);
		memory_free(pieces[i].other);
	}
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	if (!thp_configured())
		printf("# this kernel has no huge pages: both pieces of memory have small ones\n");

	try_memory(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_memory(L2_EPT_SHARED);
	return 0;
}
