// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: another client of KVM's nVMX hooks, which handles none of them.
 *
 * "how" is "occupy": register and stay;
 * "version", "layout", "number", "requests" or "prototype": have been built for
 * another kernel than the running one, to be refused;
 * "evmcs": make the running KVM look as if it used enlightened VMCSs itself, for
 * as long as the module is loaded.  No vCPU may be loaded meanwhile.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "nvmx_hooks.h"

static char *how = "occupy";
module_param(how, charp, 0444);
MODULE_PARM_DESC(how, "occupy, version, layout, number, requests, prototype or evmcs");

static const struct kvm_nvmx_ops no_ops;
static const struct kvm_nvmx_layout wrong_layout = { "vcpu_vmx.vpid", 1, 1 };
static const struct kvm_nvmx_layout wrong_number = {
	"KVM_REQ_HV_TLB_FLUSH", KVM_REQ_TLB_FLUSH_GUEST, 0
};

/* As a kernel has it that keeps the two fields in the other order. */
static const struct kvm_nvmx_layout wrong_requests = {
	"kvm_vcpu.requests", offsetof(struct kvm_vcpu, guest_debug),
	sizeof_field(struct kvm_vcpu, requests)
};

static struct kvm_nvmx_client client = {
	.version = KVM_NVMX_HOOKS_VERSION,
	.prototypes = kvm_nvmx_prototypes,
	.ops = &no_ops,
};

static int (*do_register)(struct kvm_nvmx_client *client);
static void (*do_unregister)(struct kvm_nvmx_client *client);
static bool registered;
static char *prototypes;

/* As a kernel has them in which kvm_translate_gpa() takes one argument more. */
static char *wrong_prototypes(void)
{
	const char *end = strchr(strstr(kvm_nvmx_prototypes, "kvm_translate_gpa("), ')');

	return kasprintf(GFP_KERNEL, "%.*s, int more%s",
			 (int)(end - kvm_nvmx_prototypes), kvm_nvmx_prototypes, end);
}

static int describe(void)
{
	client.nr_layout = 1;
	if (!strcmp(how, "layout"))
		client.layout = &wrong_layout;
	else if (!strcmp(how, "number"))
		client.layout = &wrong_number;
	else if (!strcmp(how, "requests"))
		client.layout = &wrong_requests;
	else
		client.nr_layout = 0;

	if (!strcmp(how, "version"))
		client.version++;

	if (!strcmp(how, "prototype")) {
		prototypes = wrong_prototypes();
		if (!prototypes)
			return -ENOMEM;
		client.prototypes = prototypes;
	}
	return 0;
}

/* Registration alone knows the key, and that fails while the key is on. */
static int turn_evmcs_on(void)
{
	struct static_key *key = client.host->evmcs;

	if (!key)
		return -EOPNOTSUPP;

	__module_get(client.host->owner);
	do_unregister(&client);
	registered = false;
	static_key_enable(key);
	return 0;
}

static void clean_up(void)
{
	if (registered) {
		do_unregister(&client);
	} else if (client.host) {
		static_key_disable(client.host->evmcs);
		module_put(client.host->owner);
	}
	if (do_register)
		symbol_put(kvm_nvmx_register);
	if (do_unregister)
		symbol_put(kvm_nvmx_unregister);
	kfree(prototypes);
}

static int __init hooks_client_init(void)
{
	int ret = describe();

	/* Not linked: the export names rust_kvm_nvmx alone. */
	do_register = symbol_get(kvm_nvmx_register);
	do_unregister = symbol_get(kvm_nvmx_unregister);
	if (!ret && (!do_register || !do_unregister))
		ret = -ENODEV;
	if (!ret)
		ret = do_register(&client);
	if (!ret) {
		registered = true;
		if (!strcmp(how, "evmcs"))
			ret = turn_evmcs_on();
	}
	if (ret)
		clean_up();
	return ret;
}
module_init(hooks_client_init);

static void __exit hooks_client_exit(void)
{
	clean_up();
}
module_exit(hooks_client_exit);

MODULE_DESCRIPTION("Test helper: registers with KVM's nVMX hooks");
MODULE_LICENSE("GPL");
