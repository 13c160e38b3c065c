// SPDX-License-Identifier: GPL-2.0
/*
 * Host memory that is exchanged under guests which use it.
 */
#include <sys/mman.h>

#include "backing.h"
#include "memory.h"

/* Pages that guests use: with 2 MiB pages they share one translation. */
static const int used_pages[] = { 0, 5 };

static struct memory_page *memory_at(void *memory, int page)
{
	return memory + page * PAGE_SIZE;
}

void memory_fill(void *memory, u64 value)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(used_pages); i++)
		memory_at(memory, used_pages[i])->value = value;
}

void *memory_alloc(bool huge, u64 value)
{
	/* Aligned within twice its size; what is around it stays unused. */
	void *memory = kvm_mmap(2 * MEMORY_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	memory = align_ptr_up(memory, MEMORY_SIZE);
	/* Else all pages are small. */
	if (thp_configured())
		TEST_ASSERT(!madvise(memory, MEMORY_SIZE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE),
			    "madvise() failed");
	memory_fill(memory, value);
	return memory;
}

void memory_free(void *memory)
{
	kvm_munmap(memory, MEMORY_SIZE);
}

void memory_move_page(void *page)
{
	void *other = kvm_mmap(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memcpy(other, page, PAGE_SIZE);
	TEST_ASSERT(mremap(other, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   page) == page, "mremap() failed");
}

void memory_set_slot(struct kvm_vm *vm, u32 slot, u64 gpa, void *hva, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = hva ? MEMORY_SIZE : 0,
		.userspace_addr = (u64)hva,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void use_piece(u64 value, void *memory)
{
	struct memory_page *page;
	int i;

	for (i = 0; i < ARRAY_SIZE(used_pages); i++) {
		page = memory_at(memory, used_pages[i]);
		GUEST_ASSERT_EQ(READ_ONCE(page->value), value);
		WRITE_ONCE(page->written, READ_ONCE(page->written) + 1);
	}
}

void guest_use_memory(struct memory_control *control, int vcpu, void *memory)
{
	u64 generation = 0;
	enum memory_order order;
	int size;

	/* A thread that spins with interrupts off can stop the emulated machine. */
	sti();
	do {
		while (READ_ONCE(control->generation) == generation)
			cpu_relax();
		generation = READ_ONCE(control->generation);
		order = READ_ONCE(control->order);
		for (size = 0; order == MEMORY_USE && size < MEMORY_SIZES; size++)
			use_piece(READ_ONCE(control->value[size]), memory + size * MEMORY_SIZE);
		if (order == MEMORY_USE)
			outlast_patience();
		WRITE_ONCE(control->done[vcpu], generation);
	} while (order != MEMORY_STOP);
}
