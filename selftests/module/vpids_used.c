// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: how many VPIDs kvm_intel has given away.
 *
 * "at" is the address of its vmx_vpid_bitmap, as /proc/kallsyms has it.  The parameter "used"
 * is how many bits are set in it; the first is that of VPID 0, the host's.  kvm_intel must
 * not be unloaded while this module is loaded.
 */
#include <linux/bitmap.h>
#include <linux/module.h>

#include <asm/vmx.h>

static unsigned long at;
module_param(at, ulong, 0444);
MODULE_PARM_DESC(at, "address of vmx_vpid_bitmap");

static int get_used(char *buffer, const struct kernel_param *unused)
{
	return sysfs_emit(buffer, "%u\n", bitmap_weight((unsigned long *)at, VMX_NR_VPIDS));
}

static const struct kernel_param_ops used_ops = { .get = get_used };

module_param_cb(used, &used_ops, NULL, 0444);
MODULE_PARM_DESC(used, "VPIDs that are in use");

static int __init vpids_used_init(void)
{
	return at ? 0 : -EINVAL;
}

static void __exit vpids_used_exit(void)
{
}

module_init(vpids_used_init);
module_exit(vpids_used_exit);
MODULE_DESCRIPTION("For tests: VPIDs that kvm_intel has given away");
MODULE_LICENSE("GPL");
