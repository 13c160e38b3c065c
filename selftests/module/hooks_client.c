// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: another client of KVM's nVMX hooks, which serves none of them.
 *
 * "how" is "occupy": register and stay; "version" or "layout": describe another
 * kernel than the running one, to be refused.
 */
#include <linux/module.h>

#include "nvmx_hooks.h"

static char *how = "occupy";
module_param(how, charp, 0444);
MODULE_PARM_DESC(how, "occupy, version or layout");

static const struct kvm_nvmx_ops no_ops;
static const struct kvm_nvmx_layout wrong_layout = { "vcpu_vmx.vpid", 1, 1 };
static struct kvm_nvmx_client client = {
	.version = KVM_NVMX_HOOKS_VERSION,
	.layout = &wrong_layout,
	.ops = &no_ops,
};

static int (*do_register)(struct kvm_nvmx_client *client);
static void (*do_unregister)(struct kvm_nvmx_client *client);

static int __init hooks_client_init(void)
{
	int ret = -ENODEV;

	if (!strcmp(how, "version"))
		client.version++;
	if (!strcmp(how, "layout"))
		client.nr_layout = 1;

	/* Not linked: the export names rust_kvm_nvmx alone. */
	do_register = symbol_get(kvm_nvmx_register);
	do_unregister = symbol_get(kvm_nvmx_unregister);
	if (do_register && do_unregister)
		ret = do_register(&client);
	if (!ret)
		return 0;

	if (do_register)
		symbol_put(kvm_nvmx_register);
	if (do_unregister)
		symbol_put(kvm_nvmx_unregister);
	return ret;
}
module_init(hooks_client_init);

static void __exit hooks_client_exit(void)
{
	do_unregister(&client);
	symbol_put(kvm_nvmx_register);
	symbol_put(kvm_nvmx_unregister);
}
module_exit(hooks_client_exit);

MODULE_DESCRIPTION("Test helper: registers with KVM's nVMX hooks");
MODULE_LICENSE("GPL");
