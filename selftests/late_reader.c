// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU's thread that sees a hook to be Rust's, and is preempted before it enters the
 * SRCU section that KVM waits for.  Nobody waits for it, so when it goes on
 *
 *  - the module may be gone: it must find no client, and call the C code;
 *  - the module may have been loaded again, and leave the hook to C: it must call the
 *    C code, as hooks use what is not there yet while the module registers;
 *  - the hook may have been given to C: it still calls Rust's function, once.
 *
 * L1's INVVPID is the example, and must succeed each time.
 *
 *   late_reader MODULES/rust_kvm_nvmx.ko MODULES/late_reader.ko     none is loaded
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "contexts.h"
#include "hooks.h"
#include "invalidate.h"
#include "modules.h"

#define MODULE	"rust_kvm_nvmx"
#define HOOK	"handle_invvpid"
#define STATE	"/sys/module/late_reader/parameters/state"
#define PATIENCE_MS	2000

/* As in module/late_reader.c. */
#define STOP_NEXT	"1"
#define STOPPED		'2'
#define GO_ON		"3"

enum { DONE, READY, INVALIDATED };

static const char *module, *stopper;
static struct kvm_vcpu *vcpu;

static void l1_code(struct l2_context *context)
{
	l1_vmxon(context);
	l1_load(context, NULL);
	GUEST_SYNC(READY);
	for (;;) {
		l1_invvpid(INVVPID_ALL, 0, 0);
		GUEST_SYNC(INVALIDATED);
	}
}

static void set_state(const char *state)
{
	int fd = open(STATE, O_WRONLY);

	TEST_ASSERT(fd >= 0 && write(fd, state, 1) == 1, STATE ": %m");
	close(fd);
}

static char get_state(void)
{
	int fd = open(STATE, O_RDONLY);
	char state;

	TEST_ASSERT(fd >= 0 && read(fd, &state, 1) == 1, STATE ": %m");
	close(fd);
	return state;
}

static void clean_up(void)
{
	module_unload("late_reader");
	module_unload(MODULE);
}

static void *invalidate_once(void *unused)
{
	TEST_ASSERT_EQ(run_to_sync(vcpu), INVALIDATED);
	return NULL;
}

/* The vCPU's thread stops where the hook still is Rust's, @meanwhile happens, and it goes on. */
static void stop_while(void (*meanwhile)(void))
{
	pthread_t thread;
	int ms;

	module_must_load(module, "");
	module_must_load(stopper, "state=" STOP_NEXT);
	pthread_create(&thread, NULL, invalidate_once, NULL);
	for (ms = 0; get_state() != STOPPED && ms < PATIENCE_MS; ms += 10)
		usleep(10000);
	TEST_ASSERT_EQ(get_state(), STOPPED);

	meanwhile();
	TEST_ASSERT_EQ(get_state(), STOPPED);
	set_state(GO_ON);
	pthread_join(thread, NULL);
	module_must_unload("late_reader");
}

static void unload_module(void)
{
	module_must_unload(MODULE);
}

static void load_again_in_c(void)
{
	module_must_unload(MODULE);
	module_must_load(module, "start_in_c=1");
}

static void give_hook_to_c(void)
{
	hook_set_mode(HOOK, HOOK_C);
}

int main(int argc, char *argv[])
{
	struct l2_context *context;
	struct kvm_vm *vm;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID L1 has no INVVPID");
	TEST_ASSERT(argc == 3, "Usage: %s .../" MODULE ".ko .../late_reader.ko", argv[0]);
	TEST_ASSERT(access("/sys/module/" MODULE, F_OK), "Unload " MODULE " first");
	module = argv[1];
	stopper = argv[2];
	atexit(clean_up);

	vm = contexts_vm_create(1, 1, 1);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	context = context_for_guest(vm, 0, 1, L2_EPT_OFF, 0);
	vcpu_args_set(vcpu, 1, context);
	TEST_ASSERT_EQ(run_to_sync(vcpu), READY);

	stop_while(unload_module);

	stop_while(load_again_in_c);
	TEST_ASSERT(!hook_count(HOOK, HOOK_RUST), "Rust was called at a hook that it left to C");
	module_must_unload(MODULE);

	stop_while(give_hook_to_c);
	TEST_ASSERT_EQ(hook_count(HOOK, HOOK_RUST), 1);
	module_must_unload(MODULE);

	kvm_vm_free(vm);
	return 0;
}
