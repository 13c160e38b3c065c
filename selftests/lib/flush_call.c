// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that makes one flush hypercall, as L1 or as L2.
 */
#include <getopt.h>

#include "flush_call.h"

static void (*flush_body)(void);

static void l2_code(void)
{
	flush_body();
	vmcall();
}

static void l1_code(struct l2_context *context, u64 hypercall_gpa, u64 level)
{
	set_cr3(context->cr3);
	l1_hyperv_on(context, hypercall_gpa);
	/* The oracle learns by it which processor this is. */
	GUEST_ASSERT_EQ(rdmsr(HV_X64_MSR_VP_INDEX), FLUSH_CALL_VP);
	if (level == FLUSH_FROM_L1) {
		flush_body();
	} else {
		l1_vmxon(context);
		l1_load(context, l2_code);
		l1_allow_direct_flush(context, FLUSH_CALL_VM_ID, FLUSH_CALL_VP);
		l1_run_to_vmcall(context);
	}
	GUEST_DONE();
}

struct kvm_vm *flush_call_vm(enum flush_level level, enum l2_ept ept, int nr_pages,
			     void (*body)(void), struct kvm_vcpu **vcpu,
			     struct l2_context **context)
{
	struct l2_context *host;
	struct kvm_vm *vm;
	gva_t gva;

	vm = contexts_vm_create(1, 1, nr_pages);
	*vcpu = vm_vcpu_add(vm, 0, l1_code);
	vcpu_set_hv_cpuid(*vcpu);
	if (level == FLUSH_FROM_L2) {
		vcpu_enable_evmcs(*vcpu);
		if (ept != L2_EPT_OFF)
			vm_enable_ept(vm);
	}
	host = context_create(vm, 0, nr_pages, level == FLUSH_FROM_L2 ? ept : L2_EPT_OFF, &gva);
	host->vpid = kvm_has_vpid();
	if (level == FLUSH_FROM_L2)
		context_use_evmcs(vm, host, NULL);
	*context = (struct l2_context *)gva;
	vcpu_args_set(*vcpu, 3, gva, addr_gva2gpa(vm, vm_alloc_page(vm)), (u64)level);

	flush_body = body;
	sync_global_to_guest(vm, flush_body);
	return vm;
}

static int find_name(const char *name, const char *const names[], int nr_names)
{
	int found;

	for (found = 0; found < nr_names; found++)
		if (!strcmp(name, names[found]))
			return found;
	TEST_FAIL("No form %s", name);
	return nr_names;
}

int flush_call_options(int argc, char *argv[], const char *const names[], int nr_names,
		       enum flush_level *level)
{
	static const struct option longopts[] = {
		{ "form", required_argument, NULL, 'f' },
		{ "level", required_argument, NULL, 'l' },
		{}
	};
	int option, form = 0;

	while ((option = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		TEST_ASSERT(option == 'f' || option == 'l', "--form NAME [--level 2]");
		if (option == 'f') {
			form = find_name(optarg, names, nr_names);
			continue;
		}
		TEST_ASSERT(!strcmp(optarg, "2"), "No level %s to choose", optarg);
		*level = FLUSH_FROM_L2;
	}
	TEST_ASSERT(optind == argc, "There is no %s", argv[optind]);
	return form;
}
