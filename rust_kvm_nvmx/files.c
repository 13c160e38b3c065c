// SPDX-License-Identifier: GPL-2.0
/*
 * The debugfs files' operations.  In C because they need an owner: an open file
 * keeps the module, and with it the functions that its release calls.  What is
 * read and written is files.rs's.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "helpers.h"

static int show(struct seq_file *m, void *unused)
{
	return nvmx_file_show(m, (unsigned long)m->private);
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static ssize_t write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct seq_file *m = file->private_data;

	return nvmx_file_write((unsigned long)m->private, from, len);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = write,
	.llseek = seq_lseek,
	.release = single_release,
};

void nvmx_file_create(const char *name, u16 mode, struct dentry *dir, unsigned long file)
{
	debugfs_create_file(name, mode, dir, (void *)file, &operations);
}
