// SPDX-License-Identifier: GPL-2.0
/*
 * kvm_intel goes and comes back with other parameters, and rust_kvm_nvmx with it, which
 * must see each time what there is now: it executes INVEPT and INVVPID only where KVM
 * has EPT and VPIDs, and what L1 and L2 read is right.  User space is told of the same
 * CPU as without it.  As long as it is loaded, kvm_intel cannot go.
 *
 *   kvm_intel_reload MODULES/rust_kvm_nvmx.ko     it is not loaded; kvm_intel, which is
 *                                                 next to it, is
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "backing.h"
#include "hooks.h"
#include "invalidate.h"
#include "modules.h"
#include "witness.h"

#define NR_CONTEXTS	2
#define NR_PAGES	2
#define ROUNDS		4

static const struct {
	const char *parameters, *region;
	bool ept, vpid;
} settings[] = {
	{ "nested=1 ept=0", "reload.ept0", false, true },
	{ "nested=1 vpid=0", "reload.vpid0", true, false },
	{ "nested=1", "reload.default", true, true },
	{ "nested=1 ept=0 vpid=0", "reload.ept0-vpid0", false, false },
	/* As it was. */
	{ "nested=1", "reload.default", true, true },
};

static const char *modules;
static struct l2_context *contexts[NR_CONTEXTS], *l1, *current;
static bool has_vpid;
static int backed_by;

static int load(const char *name, const char *parameters)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.ko", modules, name);
	return module_load(path, parameters);
}

static void must(int ret, const char *what)
{
	TEST_ASSERT(!ret, "%s: %s", what, strerror(-ret));
}

static void l2_code(void)
{
	for (;;) {
		check_page(READ_ONCE(current), 0, READ_ONCE(backed_by));
		vmcall();
	}
}

static void l1_code(void)
{
	int round, i;

	set_cr3(l1->cr3);
	l1_vmxon(contexts[0]);
	for (round = 0; round < ROUNDS; round++) {
		WRITE_ONCE(backed_by, round & 1);
		for (i = 0; i < NR_CONTEXTS; i++) {
			WRITE_ONCE(current, contexts[i]);
			back_page(current, 0, backed_by);
			l1_load(current, l2_code);
			if (has_vpid)
				l1_invvpid(INVVPID_SINGLE, 1 + i, 0);
			l1_run_to_vmcall(current);
			check_page(l1, 0, 0);
		}
	}
	GUEST_DONE();
}

static struct l2_context *create(struct kvm_vm *vm, u64 number, u16 vpid12, enum l2_ept ept)
{
	return context_for_guest(vm, number, NR_PAGES, ept, vpid12);
}

static void run_vm(void)
{
	enum l2_ept ept = kvm_cpu_has_ept() ? L2_EPT_SHARED : L2_EPT_OFF;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	has_vpid = kvm_has_vpid();
	vm = contexts_vm_create(1, NR_CONTEXTS + 1, NR_PAGES);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	if (ept != L2_EPT_OFF)
		vm_enable_ept(vm);
	l1 = create(vm, 100, 0, L2_EPT_OFF);
	for (i = 0; i < NR_CONTEXTS; i++)
		contexts[i] = create(vm, i, has_vpid ? 1 + i : 0, ept);
	contexts_finish(vm);
	sync_global_to_guest(vm, contexts);
	sync_global_to_guest(vm, l1);
	sync_global_to_guest(vm, has_vpid);
	TEST_ASSERT_EQ(run_to_sync(vcpu), 0);
	kvm_vm_free(vm);
}

/* In a process of its own: the library keeps what it has once asked KVM. */
static void run_workload(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		run_vm();
		exit(0);
	}
	TEST_ASSERT(waitpid(child, &status, 0) == child && !status, "the nested guests failed");
}

static u64 entries_handled_by(enum hook_mode mode)
{
	return hook_count("enter_tlb_flush", mode);
}

/* As long as the module is absent, C handles the hooks, and is counted. */
static void run_workload_in_c(void)
{
	u64 before = entries_handled_by(HOOK_C);

	run_workload();
	TEST_ASSERT(entries_handled_by(HOOK_C) > before, "C has handled nothing");
}

/* Not the library's, which asks KVM only once. */
static struct kvm_cpuid2 *supported_cpuid(unsigned long request)
{
	struct kvm_cpuid2 *cpuid = allocate_kvm_cpuid2(MAX_NR_CPUID_ENTRIES);
	int kvm = open_kvm_dev_path_or_exit();

	TEST_ASSERT(!ioctl(kvm, request, cpuid), "no CPUID: %s", strerror(errno));
	close(kvm);
	return cpuid;
}

static void must_be_same_cpuid(struct kvm_cpuid2 *before, struct kvm_cpuid2 *now)
{
	struct kvm_cpuid_entry2 *entry = before->entries;
	int i;

	TEST_ASSERT_EQ(now->nent, before->nent);
	for (i = 0; i < now->nent; i++)
		TEST_ASSERT(!memcmp(&now->entries[i], &entry[i], sizeof(*entry)),
			    "CPUID %x.%x is another one with the module", entry[i].function,
			    entry[i].index);
	free(before);
	free(now);
}

static void try_setting(int number)
{
	struct kvm_cpuid2 *cpuid, *hv_cpuid;
	u64 in_c;

	module_must_unload("kvm_intel");
	must(load("kvm-intel", settings[number].parameters), settings[number].parameters);
	TEST_ASSERT(kvm_has_ept() == settings[number].ept, "kvm_intel has another ept");
	TEST_ASSERT(kvm_has_vpid() == settings[number].vpid, "kvm_intel has another vpid");

	run_workload_in_c();
	cpuid = supported_cpuid(KVM_GET_SUPPORTED_CPUID);
	hv_cpuid = supported_cpuid(KVM_GET_SUPPORTED_HV_CPUID);
	must(load("rust_kvm_nvmx", ""), "loading rust_kvm_nvmx");
	must_be_same_cpuid(cpuid, supported_cpuid(KVM_GET_SUPPORTED_CPUID));
	must_be_same_cpuid(hv_cpuid, supported_cpuid(KVM_GET_SUPPORTED_HV_CPUID));
	in_c = entries_handled_by(HOOK_C);
	witness_mark(settings[number].region);
	run_workload();
	TEST_ASSERT(entries_handled_by(HOOK_RUST), "Rust has handled nothing");
	TEST_ASSERT_EQ(entries_handled_by(HOOK_C), in_c);
	TEST_ASSERT_EQ(module_unload("kvm_intel"), -EAGAIN);
	TEST_ASSERT_EQ(module_unload("kvm"), -EAGAIN);
	run_workload();
	witness_mark(UNJUDGED);
	module_must_unload("rust_kvm_nvmx");
	run_workload_in_c();
}

int main(int argc, char *argv[])
{
	int i;

	TEST_ASSERT(argc == 2, "Usage: %s MODULES/rust_kvm_nvmx.ko", argv[0]);
	modules = dirname(argv[1]);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	pin_self_to_any_cpu();

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		try_setting(i);

	/* The last two settings are one region. */
	for (i = 0; i < ARRAY_SIZE(settings) - 1; i++) {
		witness_expect(settings[i].region, "vmentry.L2", ">=", ROUNDS * NR_CONTEXTS * 2);
		/* With EPT, a flush of everything may be one of each root. */
		if (!settings[i].ept)
			witness_expect(settings[i].region, "invept.all", "==", 0);
		witness_expect(settings[i].region, "invept.single",
			       settings[i].ept ? ">=" : "==", settings[i].ept);
		witness_expect(settings[i].region, "invvpid.single",
			       settings[i].vpid ? ">=" : "==", settings[i].vpid);
		if (settings[i].vpid)
			continue;
		witness_expect(settings[i].region, "invvpid.addr", "==", 0);
		witness_expect(settings[i].region, "invvpid.all", "==", 0);
		witness_expect(settings[i].region, "invvpid.nonglobal", "==", 0);
	}
	return 0;
}
