// SPDX-License-Identifier: GPL-2.0
/*
 * The host changes the memory of a running VM: it takes pages away (MMU
 * notifier), deletes and moves memslots, and write-protects pages to log
 * writes.  Two vCPUs, one in L1 and one in L2, stay in the guest on CPUs of
 * their own meanwhile, with translations that were used before, and use
 * them again when the host is done.
 *
 * In 4 KiB and in 2 MiB pages, with EPT in vmcs12 and without.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "backing.h"
#include "memory.h"

#define IN_L1		0
#define IN_L2		1
#define OTHER_SLOT	(MEMORY_SLOT + 1)
#define OTHER_GPA	(MEMORY_GPA + 2 * MEMORY_SIZE)
#define FAR_GPA		(MEMORY_GPA + 4 * MEMORY_SIZE)
#define LOG_FLAG	KVM_MEM_LOG_DIRTY_PAGES

struct trial {
	struct kvm_vm *vm;
	struct memory_control *control;
	void *memory, *other;		/* what the two slots show */
	bool huge;
	u64 last_value;
};

/* Guest globals */
static struct memory_control *guest_control;
static struct memory_page *guest_memory;

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
static void order(struct trial *trial, enum memory_order order)
{
	struct memory_control *control = trial->control;
	u64 generation = control->generation + 1;

	WRITE_ONCE(control->order, order);
	WRITE_ONCE(control->generation, generation);
	while (READ_ONCE(control->done[IN_L1]) != generation ||
	       READ_ONCE(control->done[IN_L2]) != generation)
		usleep(500);
}

static void use(struct trial *trial, u64 value)
{
	WRITE_ONCE(trial->control->value, value);
	order(trial, MEMORY_USE);
}

/* The MMU notifier: the same hva, other pages. */
static void take_pages(struct trial *trial)
{
	void *other = memory_alloc(trial->huge, ++trial->last_value);

	TEST_ASSERT(mremap(other, MEMORY_SIZE, MEMORY_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   trial->memory) == trial->memory, "mremap() failed");
	use(trial, trial->last_value);

	/* The old pages are kept busy, or the new ones could be the same. */
	other = memory_alloc(trial->huge, 0);
	TEST_ASSERT(!madvise(trial->memory, MEMORY_SIZE, MADV_DONTNEED), "madvise() failed");
	memory_fill(other, 0);
	memory_fill(trial->memory, ++trial->last_value);
	use(trial, trial->last_value);
	memory_free(other);
}

static void delete_slot(struct trial *trial)
{
	void *other = memory_alloc(trial->huge, ++trial->last_value);

	memory_set_slot(trial->vm, MEMORY_SLOT, MEMORY_GPA, NULL, 0);
	memory_set_slot(trial->vm, MEMORY_SLOT, MEMORY_GPA, other, 0);
	memory_free(trial->memory);
	trial->memory = other;
	use(trial, trial->last_value);
}

/* Two slots take each other's place, and then their own again. */
static void move_slots(struct trial *trial)
{
	struct kvm_vm *vm = trial->vm;

	memory_set_slot(vm, MEMORY_SLOT, FAR_GPA, trial->memory, 0);
	memory_set_slot(vm, OTHER_SLOT, MEMORY_GPA, trial->other, 0);
	use(trial, *(u64 *)trial->other);

	memory_set_slot(vm, OTHER_SLOT, OTHER_GPA, trial->other, 0);
	memory_set_slot(vm, MEMORY_SLOT, MEMORY_GPA, trial->memory, 0);
	use(trial, *(u64 *)trial->memory);
}

/* Writes that are logged: each log that is fetched takes the right to write away. */
static void log_writes(struct trial *trial)
{
	u64 value = *(u64 *)trial->memory;
	unsigned long log[MEMORY_SIZE / PAGE_SIZE / BITS_PER_LONG];
	int i;

	memory_set_slot(trial->vm, MEMORY_SLOT, MEMORY_GPA, trial->memory, LOG_FLAG);
	for (i = 0; i < 3; i++) {
		use(trial, value);
		kvm_vm_get_dirty_log(trial->vm, MEMORY_SLOT, log);
		TEST_ASSERT(log[0] & 1, "Log %d lacks a page that was written", i);
	}
	use(trial, value);
	memory_set_slot(trial->vm, MEMORY_SLOT, MEMORY_GPA, trial->memory, 0);
	use(trial, value);
}

static void *share_page(struct kvm_vm *vm, void *pointer)
{
	gva_t gva = vm_alloc_page(vm);

	*(gva_t *)pointer = gva;
	memset(addr_gva2hva(vm, gva), 0, PAGE_SIZE);
	return addr_gva2hva(vm, gva);
}

static struct kvm_vm *create_vm(struct trial *trial, struct kvm_vcpu *vcpus[2], enum l2_ept ept)
{
	struct kvm_vm *vm = contexts_vm_create(2, 1, 1);
	gva_t gva;

	trial->vm = vm;
	vcpus[IN_L1] = vm_vcpu_add(vm, IN_L1, l1_only);
	vcpus[IN_L2] = vm_vcpu_add(vm, IN_L2, l1_with_l2);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	trial->control = share_page(vm, &guest_control);
	static_assert(sizeof(*trial->control) <= PAGE_SIZE, "the control is one page");

	guest_memory = (void *)vm_unused_gva_gap(vm, MEMORY_SIZE, MEMORY_GPA);
	TEST_ASSERT_EQ((u64)guest_memory % MEMORY_SIZE, 0);
	virt_map_level(vm, (gva_t)guest_memory, MEMORY_GPA, MEMORY_SIZE,
		       trial->huge ? PG_LEVEL_2M : PG_LEVEL_4K);
	context_create(vm, 0, 1, ept, &gva)->vpid = kvm_has_vpid();
	if (ept != L2_EPT_OFF && trial->huge)
		__virt_pg_map(vm, &vm->stage2_mmu, MEMORY_GPA, MEMORY_GPA, PG_LEVEL_2M);
	else if (ept != L2_EPT_OFF)
		tdp_map(vm, MEMORY_GPA, MEMORY_GPA, MEMORY_SIZE);
	contexts_finish(vm);
	vcpu_args_set(vcpus[IN_L2], 1, gva);
	sync_global_to_guest(vm, guest_control);
	sync_global_to_guest(vm, guest_memory);
	return vm;
}

static void try_memory(enum l2_ept ept, bool huge)
{
	struct trial trial = { .huge = huge };
	struct kvm_vcpu *vcpus[2];
	pthread_t threads[2];
	struct kvm_vm *vm;
	int i;

	vm = create_vm(&trial, vcpus, ept);
	trial.memory = memory_alloc(huge, ++trial.last_value);
	trial.other = memory_alloc(huge, ++trial.last_value);
	memory_set_slot(vm, MEMORY_SLOT, MEMORY_GPA, trial.memory, 0);
	memory_set_slot(vm, OTHER_SLOT, OTHER_GPA, trial.other, 0);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]);

	use(&trial, *(u64 *)trial.memory);
	take_pages(&trial);
	delete_slot(&trial);
	move_slots(&trial);
	log_writes(&trial);
	order(&trial, MEMORY_STOP);

	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	kvm_vm_free(vm);
	memory_free(trial.memory);
	memory_free(trial.other);
}

int main(int argc, char *argv[])
{
	bool huge = false;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	do {
		try_memory(L2_EPT_OFF, huge);
		if (kvm_cpu_has_ept())
			try_memory(L2_EPT_SHARED, huge);
		huge = !huge;
	} while (huge);
	return 0;
}
