// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: lose one thing on purpose, to see that it is missed.
 *
 * "what" is "page", "slab" or "warn"; or "vpid" of kvm_intel, or "object" of a cache of
 * kvm's, whose bitmap or cache pointer is "at" (/proc/kallsyms).
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <asm/vmx.h>

#define LOST_BYTES	192

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "page, slab, warn, vpid or object");

static unsigned long at;
module_param(at, ulong, 0444);
MODULE_PARM_DESC(at, "address of vmx_vpid_bitmap, or of the pointer to a cache");

static int lose_vpid(void)
{
	unsigned long *bitmap = (unsigned long *)at;
	unsigned long vpid = find_first_zero_bit(bitmap, VMX_NR_VPIDS);

	set_bit(vpid, bitmap);
	return 0;
}

static int __init leaks_init(void)
{
	if (!strcmp(what, "page"))
		return alloc_page(GFP_KERNEL) ? 0 : -ENOMEM;
	if (!strcmp(what, "slab"))
		return kmalloc(LOST_BYTES, GFP_KERNEL) ? 0 : -ENOMEM;
	if (!strcmp(what, "warn"))
		return WARN_ON(true) ? 0 : -EINVAL;
	if (!at)
		return -EINVAL;
	if (!strcmp(what, "vpid"))
		return lose_vpid();
	if (!strcmp(what, "object"))
		return kmem_cache_alloc(*(struct kmem_cache **)at, GFP_KERNEL) ? 0 : -ENOMEM;
	return -EINVAL;
}

static void __exit leaks_exit(void)
{
}

module_init(leaks_init);
module_exit(leaks_exit);
MODULE_DESCRIPTION("For tests: lose a page, an object or a VPID");
MODULE_LICENSE("GPL");
