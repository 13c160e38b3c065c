// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: do on purpose what one of the kernel's checkers reports.  A run with
 * no report proves something only if the checker still works, and if the runner
 * of the machine notices.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "lockdep, rcu, sleep, preempt, kasan, ubsan, kcsan or cfi");

static DEFINE_MUTEX(a);
static DEFINE_MUTEX(b);

/* Two locks, each taken inside of the other. */
static void circle(void)
{
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

/* A pointer that RCU protects, outside of any reader. */
static void unprotected(void)
{
	static int __rcu *pointer;

	pr_info("%p\n", rcu_dereference(pointer));
}

static void sleep_in_atomic(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static void per_cpu_use(void)
{
	pr_info("CPU %u, for now\n", smp_processor_id());
}

static void out_of_bounds(void)
{
	char *bytes = kmalloc(16, GFP_KERNEL);
	int index = 16;

	if (!bytes)
		return;
	OPTIMIZER_HIDE_VAR(index);
	OPTIMIZER_HIDE_VAR(bytes);
	pr_info("%d\n", READ_ONCE(bytes[index]));
	kfree(bytes);
}

static void shift_too_far(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	pr_info("%d\n", 1 << bits);
}

static int counter;

static noinline int count(void *unused)
{
	while (!kthread_should_stop()) {
		counter++;
		cond_resched();
	}
	return 0;
}

/* Two threads write to a variable, with nothing between them. */
static void race(void)
{
	unsigned long end = jiffies + 2 * HZ;
	struct task_struct *other;

	other = kthread_run(count, NULL, "splats");
	if (IS_ERR(other))
		return;
	while (time_before(jiffies, end)) {
		counter++;
		cond_resched();
	}
	kthread_stop(other);
}

static noinline int called(const char *text)
{
	return text ? *text : 0;
}

/* A function is called as one of another type. */
static void other_type(void)
{
	int (*function)(unsigned long number) = (void *)called;

	OPTIMIZER_HIDE_VAR(function);
	pr_info("%d\n", function(0));
}

static const struct {
	const char *name;
	void (*provoke)(void);
} splats[] = {
	{ "lockdep", circle },
	{ "rcu", unprotected },
	{ "sleep", sleep_in_atomic },
	{ "preempt", per_cpu_use },
	{ "kasan", out_of_bounds },
	{ "ubsan", shift_too_far },
	{ "kcsan", race },
	{ "cfi", other_type },
};

static int __init splats_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(splats); i++) {
		if (!strcmp(what, splats[i].name)) {
			splats[i].provoke();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit splats_exit(void)
{
}

module_init(splats_init);
module_exit(splats_exit);
MODULE_DESCRIPTION("For tests: what each of the kernel's checkers reports");
MODULE_LICENSE("GPL");
