// SPDX-License-Identifier: GPL-2.0
/*
 * The debugfs files' operations.  They are in C because they need an owner, and
 * the kernel crate's debugfs does not give its files one.  An open file must
 * keep the module loaded, because closing it calls functions of the module.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "helpers.h"

static int show(struct seq_file *m, void *unused)
{
	struct file *file = m->private;
	struct nvmx_files *files = file_inode(file)->i_private;

	return files->show(files, debugfs_get_aux_num(file), m);
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, file);
}

static ssize_t write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct nvmx_files *files = file_inode(file)->i_private;

	return files->write(files, debugfs_get_aux_num(file), from, len);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = write,
	.llseek = seq_lseek,
	.release = single_release,
};

void nvmx_file_create(const char *name, u16 mode, struct dentry *dir, struct nvmx_files *files,
		      unsigned long number)
{
	debugfs_create_file_aux_num(name, mode, dir, files, number, &operations);
}
