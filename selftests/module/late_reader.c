// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: stop a task in kvm_nvmx_call(), between the test of a hook's key and the
 * SRCU section, as if it were preempted there.  kvm-intel's call of the hook
 * handle_invvpid serves as an example, and must be the client's when this is loaded.
 *
 * "state": write 1 to stop the next task that comes; it is 2 as long as one has
 * stopped; write 3 to let it go on.
 */
#include <linux/delay.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/sched/signal.h>
#include <linux/text-patching.h>

#include <asm/ibt.h>

#include "nvmx_hooks.h"

enum { PASS, STOP_NEXT, STOPPED, GO_ON };

static int state;
module_param(state, int, 0600);
MODULE_PARM_DESC(state, "0 or 3: nothing; 1: stop the next task; 2: one has stopped");

static __used void late_reader_wait(void)
{
	while (READ_ONCE(state) == STOPPED && !fatal_signal_pending(current))
		msleep(20);
}

/* Called as if by the instruction that the probe is at, which knows nothing of it. */
void late_reader_thunk(void);
asm(".pushsection .text\n"
	".type late_reader_thunk, @function\n"
	"late_reader_thunk:\n"
	"	" ASM_ENDBR
	"	pushfq\n"
	"	pushq %rax\n"
	"	pushq %rcx\n"
	"	pushq %rdx\n"
	"	pushq %rsi\n"
	"	pushq %rdi\n"
	"	pushq %r8\n"
	"	pushq %r9\n"
	"	pushq %r10\n"
	"	pushq %r11\n"
	"	call late_reader_wait\n"
	"	popq %r11\n"
	"	popq %r10\n"
	"	popq %r9\n"
	"	popq %r8\n"
	"	popq %rdi\n"
	"	popq %rsi\n"
	"	popq %rdx\n"
	"	popq %rcx\n"
	"	popq %rax\n"
	"	popfq\n"
	"	" ASM_RET
	".size late_reader_thunk, . - late_reader_thunk\n"
	".popsection\n");
STACK_FRAME_NON_STANDARD(late_reader_thunk);

static int meet(struct kprobe *probe, struct pt_regs *regs)
{
	if (cmpxchg(&state, STOP_NEXT, STOPPED) != STOP_NEXT)
		return 0;

	/* It comes back to the probe, and passes. */
	int3_emulate_push(regs, (unsigned long)probe->addr);
	int3_emulate_jmp(regs, (unsigned long)late_reader_thunk);
	return 1;
}
NOKPROBE_SYMBOL(meet);

/* With a handler for afterwards, the probe stays a breakpoint. */
static void passed(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(passed);

static struct kprobe probe = { .pre_handler = meet, .post_handler = passed };

/* Where kvm-intel goes on if @key is on. */
static void *find_target(struct static_key *key)
{
	struct module *mod;
	unsigned int i;

	guard(rcu)();
	/* Newer modules come first, so kvm-intel does before the list's head. */
	list_for_each_entry_rcu(mod, &THIS_MODULE->list, list) {
		if (strncmp(mod->name, "kvm_intel", sizeof(mod->name)))
			continue;
		for (i = 0; i < mod->num_jump_entries; i++)
			if (jump_entry_key(&mod->jump_entries[i]) == key)
				return (void *)jump_entry_target(&mod->jump_entries[i]);
	}
	return NULL;
}

static int __init late_reader_init(void)
{
	struct static_key_false (*keys)[] = symbol_get(kvm_nvmx_keys);

	if (!keys)
		return -ENODEV;

	probe.addr = find_target(&(*keys)[KVM_NVMX_handle_invvpid].key);
	symbol_put(kvm_nvmx_keys);
	return probe.addr ? register_kprobe(&probe) : -ENODEV;
}
module_init(late_reader_init);

static void __exit late_reader_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(late_reader_exit);

MODULE_DESCRIPTION("Test helper: stops a task before it enters a hook's SRCU section");
MODULE_LICENSE("GPL");
