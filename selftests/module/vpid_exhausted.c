// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: KVM as if no VPID were left for an L2.
 *
 * The CPU has 65,535 VPIDs, and using them up takes as many vCPUs.  While the
 * parameter "on" is set, kvm_intel's allocate_vpid() returns 0 at once, as it
 * would then; called for VMXON, that leaves the vCPU without a vpid02.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static bool on;
module_param(on, bool, 0644);
MODULE_PARM_DESC(on, "no VPID is left");

static noinline void return_at_once(void)
{
	asm volatile("");
}

static int __kprobes before_allocate_vpid(struct kprobe *probe, struct pt_regs *regs)
{
	if (!READ_ONCE(on))
		return 0;

	/* At a function's entry its caller's address is on top of the stack. */
	regs->ax = 0;
	regs->ip = (unsigned long)return_at_once;
	return 1;
}

/* Its being there keeps the probe from being optimized into a jump. */
static void __kprobes after_allocate_vpid(struct kprobe *probe, struct pt_regs *regs,
					  unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "allocate_vpid",
	.pre_handler = before_allocate_vpid,
	.post_handler = after_allocate_vpid,
};

static int __init vpid_exhausted_init(void)
{
	int ret = register_kprobe(&probe);

	if (ret)
		pr_err("vpid_exhausted: no probe on allocate_vpid (%d): is kvm_intel loaded?\n",
		       ret);
	return ret;
}
module_init(vpid_exhausted_init);

static void __exit vpid_exhausted_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(vpid_exhausted_exit);

MODULE_DESCRIPTION("Test helper: VPID allocation of kvm_intel fails");
MODULE_LICENSE("GPL");
