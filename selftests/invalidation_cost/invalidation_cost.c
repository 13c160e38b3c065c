// SPDX-License-Identifier: GPL-2.0
/*
 * What INVVPID and INVEPT cost on this CPU, in cycles of the TSC.
 *
 * Reading /sys/kernel/debug/invalidation_cost executes each type that the CPU has, "loops"
 * times, for a VPID and an EPT root that no guest uses: nothing is flushed that was cached for
 * them.  INVVPID of one address is executed for 1 to 512 pages.  A line is
 *
 *	NAME PAGES MINIMUM MEDIAN
 *
 * with the cycles of all PAGES together, and the cost of reading the TSC twice as "nothing".
 * Where a hypervisor is below, the instructions trap, and the time is the hypervisor's.  On a
 * real CPU it is the instruction's own.  What is lost by a flush, and walked for again, is not
 * in it.
 *
 * For a kernel from 6.16 on (rdmsrq_safe()). It needs nothing of this project's patches.
 */
#include <asm/asm.h>
#include <asm/msr.h>
#include <asm/tsc.h>
#include <asm/vmx.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>

#define MAX_LOOPS	100000
#define MAX_PAGES	512
#define ADDRESS		0x100000000000ull
/* A root of four levels, in write-back memory. */
#define EPTP_BITS	(VMX_EPTP_MT_WB | VMX_EPTP_PWL_4)

static uint loops = 1001;
module_param(loops, uint, 0444);
MODULE_PARM_DESC(loops, "samples of each, 1 to 100000");

/* KVM takes the lowest VPID that is free. */
static ushort vpid = 0xffff;
module_param(vpid, ushort, 0444);
MODULE_PARM_DESC(vpid, "a VPID that no guest has");

struct kind {
	const char *name;
	/* In IA32_VMX_EPT_VPID_CAP. */
	u64 cap;
	unsigned long type;
	bool (*execute)(unsigned long type, u64 id, u64 address);
	/* Whether its operand is the EPT root, the VPID, or neither. */
	enum { NO_ID, ROOT, VPID } id;
	uint max_pages;
};

static struct dentry *file;
static u64 *samples;
static void *root;

/* Returns false if it failed, or faulted since the CPU is not in VMX operation. */
static bool execute_invvpid(unsigned long type, u64 id, u64 address)
{
	struct { u64 vpid, address; } operand = { id, address };
	bool failed = true;

	asm volatile("1: invvpid %[operand], %[type]\n"
		     "   setna %[failed]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [failed] "+q"(failed)
		     : [operand] "m"(operand), [type] "r"(type) : "cc", "memory");
	return !failed;
}

static bool execute_invept(unsigned long type, u64 id, u64 address)
{
	struct { u64 eptp, reserved; } operand = { id, 0 };
	bool failed = true;

	asm volatile("1: invept %[operand], %[type]\n"
		     "   setna %[failed]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [failed] "+q"(failed)
		     : [operand] "m"(operand), [type] "r"(type) : "cc", "memory");
	return !failed;
}

static bool nothing(unsigned long type, u64 id, u64 address)
{
	return true;
}

static const struct kind kinds[] = {
	{ "nothing", 0, 0, nothing, NO_ID, 1 },
	{ "invvpid.address", BIT_ULL(32) | BIT_ULL(40), VMX_VPID_EXTENT_INDIVIDUAL_ADDR,
	  execute_invvpid, VPID, MAX_PAGES },
	{ "invvpid.single", BIT_ULL(32) | BIT_ULL(41), VMX_VPID_EXTENT_SINGLE_CONTEXT,
	  execute_invvpid, VPID, 1 },
	{ "invvpid.nonglobal", BIT_ULL(32) | BIT_ULL(43), VMX_VPID_EXTENT_SINGLE_NON_GLOBAL,
	  execute_invvpid, VPID, 1 },
	{ "invvpid.all", BIT_ULL(32) | BIT_ULL(42), VMX_VPID_EXTENT_ALL_CONTEXT,
	  execute_invvpid, NO_ID, 1 },
	{ "invept.single", BIT_ULL(20) | BIT_ULL(25), VMX_EPT_EXTENT_CONTEXT,
	  execute_invept, ROOT, 1 },
	{ "invept.all", BIT_ULL(20) | BIT_ULL(26), VMX_EPT_EXTENT_GLOBAL,
	  execute_invept, NO_ID, 1 },
};

static u64 id_of(const struct kind *kind)
{
	switch (kind->id) {
	case ROOT:
		return virt_to_phys(root) | EPTP_BITS;
	case VPID:
		return vpid;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

/* Returns false if an instruction did not succeed. */
static bool sample(const struct kind *kind, u64 id, uint pages, u64 *cycles)
{
	unsigned long flags;
	bool done = true;
	u64 begin;
	uint page;

	local_irq_save(flags);
	begin = rdtsc_ordered();
	for (page = 0; page < pages; page++)
		done &= kind->execute(kind->type, id, ADDRESS + ((u64)page << PAGE_SHIFT));
	*cycles = rdtsc_ordered() - begin;
	local_irq_restore(flags);
	return done;
}

static int measure(struct seq_file *seq, const struct kind *kind, uint pages)
{
	u64 id = id_of(kind);
	uint i;

	for (i = 0; i < loops; i++) {
		if (!sample(kind, id, pages, &samples[i])) {
			pr_err("invalidation_cost: %s failed: is kvm_intel loaded?\n", kind->name);
			return -ENODEV;
		}
		cond_resched();
	}
	sort(samples, loops, sizeof(*samples), compare, NULL);
	seq_printf(seq, "%s %u %llu %llu\n", kind->name, pages, samples[0], samples[loops / 2]);
	return 0;
}

static int invalidation_cost_show(struct seq_file *seq, void *unused)
{
	int i, ret = 0;
	uint pages;
	u64 caps;

	if (rdmsrq_safe(MSR_IA32_VMX_EPT_VPID_CAP, &caps))
		return -ENODEV;

	migrate_disable();
	for (i = 0; i < ARRAY_SIZE(kinds) && !ret; i++) {
		if ((caps & kinds[i].cap) != kinds[i].cap)
			continue;
		for (pages = 1; pages <= kinds[i].max_pages && !ret; pages *= 2)
			ret = measure(seq, &kinds[i], pages);
	}
	migrate_enable();
	return ret;
}
DEFINE_SHOW_ATTRIBUTE(invalidation_cost);

static int __init invalidation_cost_init(void)
{
	if (!boot_cpu_has(X86_FEATURE_VMX)) {
		pr_err("invalidation_cost: this CPU has no VMX\n");
		return -ENODEV;
	}
	if (!loops || loops > MAX_LOOPS || !vpid)
		return -EINVAL;

	samples = kvcalloc(loops, sizeof(*samples), GFP_KERNEL);
	root = (void *)get_zeroed_page(GFP_KERNEL);
	if (!samples || !root) {
		free_page((unsigned long)root);
		kvfree(samples);
		return -ENOMEM;
	}
	file = debugfs_create_file("invalidation_cost", 0400, NULL, NULL, &invalidation_cost_fops);
	return 0;
}
module_init(invalidation_cost_init);

static void __exit invalidation_cost_exit(void)
{
	debugfs_remove(file);
	free_page((unsigned long)root);
	kvfree(samples);
}
module_exit(invalidation_cost_exit);

MODULE_DESCRIPTION("What INVVPID and INVEPT cost on this CPU");
MODULE_LICENSE("GPL");
