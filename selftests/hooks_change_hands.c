// SPDX-License-Identifier: GPL-2.0
/*
 * A hook that changes hands, from C to Rust or back, while VMs run.  Neither side knows
 * what the other has left unflushed, so everything is flushed in all VMs:
 *
 *  - C loses a flush that L1 has asked for while its L2 is active (X3), then Rust gets
 *    the hooks: L1 must not see what C has left.  Rust loses none, and C gets the hooks;
 *  - each hook alone, either way; but nothing is flushed if it stays as it was.
 *
 * With --wait: taking a hook away from Rust waits until no vCPU is in it, here one that
 * sleeps in a fault on the operand of L1's INVVPID.
 *
 * Takes the path of rust_kvm_nvmx.ko, which must not be loaded.
 */
#include <dirent.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "hooks.h"
#include "invalidate.h"
#include "modules.h"
#include "pv_flush.h"
#include "witness.h"

#define MODULE		"rust_kvm_nvmx"
#define HOOKS		"/sys/kernel/debug/" MODULE "/hooks"
#define OPERAND_GPA	0x40000000ul
#define OPERAND_SLOT	5
#define PATIENCE_MS	100

enum { DONE, IN_L1 };

static const char region[] = "change_hands";
static enum hook_mode mode_of_all;

static void visit_hooks(void (*visit)(const char *hook))
{
	DIR *directory = opendir(HOOKS);
	struct dirent *entry;
	int visited = 0;

	TEST_ASSERT(directory, "Cannot open %s", HOOKS);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		visit(entry->d_name);
		visited++;
	}
	closedir(directory);
	TEST_ASSERT(visited, "No hooks in %s", HOOKS);
}

static enum hook_mode other(enum hook_mode mode)
{
	return mode == HOOK_C ? HOOK_RUST : HOOK_C;
}

static void set_mode_of_all(const char *hook)
{
	hook_set_mode(hook, mode_of_all);
	TEST_ASSERT_EQ(hook_mode(hook), mode_of_all);
}

static void switch_all(struct kvm_vcpu *target)
{
	mode_of_all = other(mode_of_all);
	visit_hooks(set_mode_of_all);
}

static void try_lost_flush(enum l2_ept ept)
{
	mode_of_all = HOOK_RUST;
	visit_hooks(set_mode_of_all);
	/* To C in one round, to Rust in the next. */
	pv_flush_in_l2(ept, region, switch_all);
}

static struct kvm_vcpu *idle;

static void idle_code(void)
{
	for (;;)
		GUEST_SYNC(IN_L1);
}

static void try_hook(const char *hook)
{
	enum hook_mode mode = hook_mode(hook);
	u64 flushes;
	int i;

	/* As it is, to the other side, as it is there, and back. */
	for (i = 0; i < 4; i++) {
		flushes = vcpu_get_stat(idle, tlb_flush);
		hook_set_mode(hook, i < 1 || i > 2 ? mode : other(mode));
		TEST_ASSERT_EQ(run_to_sync(idle), IN_L1);
		flushes = vcpu_get_stat(idle, tlb_flush) - flushes;
		TEST_ASSERT(flushes == i % 2, "%s, write %d: %lu flushes, expected %d",
			    hook, i, flushes, i % 2);
	}
}

static void try_each_hook(void)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(&idle, idle_code);

	TEST_ASSERT_EQ(run_to_sync(idle), IN_L1);
	visit_hooks(try_hook);
	kvm_vm_free(vm);
}

/* The operand is read when somebody puts a page there: of zeroes, which will do for all VPIDs. */
static void invvpid_code(struct l2_context *context, struct invalidate_operand *operand)
{
	l1_vmxon(context);
	l1_load(context, NULL);
	GUEST_ASSERT(!l1_try_invvpid(INVVPID_ALL, operand));
	GUEST_DONE();
}

static int userfault_create(void *page)
{
	struct uffdio_register range = {
		.range = { .start = (u64)page, .len = PAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "userfaultfd() failed");
	TEST_ASSERT(!ioctl(fd, UFFDIO_API, &api), "UFFDIO_API failed");
	TEST_ASSERT(!ioctl(fd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER failed");
	return fd;
}

static void userfault_wait(int fd)
{
	struct uffd_msg message;

	TEST_ASSERT(read(fd, &message, sizeof(message)) == sizeof(message), "read() failed");
	TEST_ASSERT_EQ(message.event, UFFD_EVENT_PAGEFAULT);
}

static void userfault_end(int fd, void *page)
{
	struct uffdio_zeropage zeroes = { .range = { .start = (u64)page, .len = PAGE_SIZE } };

	TEST_ASSERT(!ioctl(fd, UFFDIO_ZEROPAGE, &zeroes), "UFFDIO_ZEROPAGE failed");
}

static void *run_to_end(void *vcpu)
{
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	return NULL;
}

static bool taken_away;

static void *take_away(void *unused)
{
	hook_set_mode("handle_invvpid", HOOK_C);
	WRITE_ONCE(taken_away, true);
	return NULL;
}

static void try_wait(void)
{
	struct l2_context *context;
	pthread_t runs, takes;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	bool waited;
	void *page;
	int fault;
	gva_t gva;

	hook_set_mode("handle_invvpid", HOOK_RUST);
	vm = contexts_vm_create(1, 1, 1);
	vcpu = vm_vcpu_add(vm, 0, invvpid_code);
	context = context_for_guest(vm, 0, 1, L2_EPT_OFF, 0);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, OPERAND_GPA, OPERAND_SLOT, 1, 0);
	gva = vm_unused_gva_gap(vm, PAGE_SIZE, PAGE_SIZE);
	virt_map(vm, gva, OPERAND_GPA, 1);
	vcpu_args_set(vcpu, 2, context, gva);
	page = addr_gpa2hva(vm, OPERAND_GPA);
	fault = userfault_create(page);

	pthread_create(&runs, NULL, run_to_end, vcpu);
	userfault_wait(fault);
	TEST_ASSERT_EQ(hook_count("handle_invvpid", HOOK_RUST), 1);
	pthread_create(&takes, NULL, take_away, NULL);
	usleep(PATIENCE_MS * 1000);
	waited = !READ_ONCE(taken_away);
	userfault_end(fault, page);
	pthread_join(runs, NULL);
	pthread_join(takes, NULL);
	close(fault);
	kvm_vm_free(vm);
	TEST_ASSERT(waited, "the hook was taken from Rust while a vCPU was in it");
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");
	TEST_ASSERT(argc > 1, "Usage: %s .../" MODULE ".ko [--wait]", argv[0]);
	TEST_ASSERT(access("/sys/module/" MODULE, F_OK), "Unload " MODULE " first");

	pin_self_to_any_cpu();
	module_must_load(argv[1], "start_in_c=1");
	module_unload_at_exit(MODULE);

	if (argc > 2) {
		TEST_ASSERT(!strcmp(argv[2], "--wait"), "There is no %s", argv[2]);
		try_wait();
		return 0;
	}
	try_lost_flush(L2_EPT_OFF);
	if (kvm_cpu_has_ept())
		try_lost_flush(L2_EPT_SHARED);
	witness_expect(region, "vmentry.L2", ">=", PV_FLUSH_ROUNDS);
	try_each_hook();
	return 0;
}
