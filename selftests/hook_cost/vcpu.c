// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU, and what it needs of the kernel: external_NAME() stands for the
 * kernel's NAME(), for all callers.  What is neither here nor in the modules
 * returns 0.  Nothing in this file is counted.
 */
#include "hook_cost.h"

#include "mmu/spte.h"

#define FIRST_PFN	0x1000

enum { ROOT_OF_L1, ROOT_OF_L2, NR_ROOTS };

struct vcpu_vmx vmx;
struct kvm_vcpu_hv hv;
struct vmcs12 vmcs12;
struct hv_enlightened_vmcs evmcs;
u64 operand[2];
struct vmcs_value vmcs_values[16];
u64 nr_vmcs_values;

static struct kvm_vmx vm;
static struct page pages[NR_ROOTS];
static struct kvm_mmu_page roots[NR_ROOTS];

#define RESULT_SIZE(type) (__same_type(type, void) ? 0 : sizeof(type))

struct hook hooks[] = {
#define KVM_NVMX_HOOK(ret, name, args...) { #name, NULL, RESULT_SIZE(ret) },
#include "nvmx-hooks.h"
};

const u64 nr_hooks = KVM_NVMX_NR_HOOKS;

struct static_call static_calls[256];
u64 nr_static_calls;

static void add_static_call(void *trampoline, void *function)
{
	static_calls[nr_static_calls++] = (struct static_call) { trampoline, function };
}

static int __used external_strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *(unsigned char *)a - *(unsigned char *)b;
}

static void * __used external_memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (size) : : "memory");
	return start;
}

static void * __used external_memset(void *to, int byte, size_t size)
{
	void *start = to;

	asm volatile("rep stosb" : "+D" (to), "+c" (size) : "a" (byte) : "memory");
	return start;
}

/* For the client's own initialization. */
static void * __used external___symbol_get(const char *name)
{
	if (!external_strcmp(name, "kvm_nvmx_register"))
		return kvm_nvmx_register;
	if (!external_strcmp(name, "kvm_nvmx_unregister"))
		return kvm_nvmx_unregister;
	return NULL;
}

static bool __used external_try_module_get(struct module *module)
{
	return true;
}

/* Of 8-byte entries; a queue that wraps around is not needed. */
static unsigned int __used external___kfifo_out(struct __kfifo *fifo, void *to, unsigned int len)
{
	unsigned int nr = min(len, fifo->in - fifo->out);

	external_memcpy(to, fifo->data + (fifo->out & fifo->mask) * fifo->esize, nr * fifo->esize);
	fifo->out += nr;
	return nr;
}

static unsigned int __used external___kfifo_in(struct __kfifo *fifo, const void *from,
					       unsigned int len)
{
	unsigned int nr = min(len, fifo->mask + 1 - (fifo->in - fifo->out));

	external_memcpy(fifo->data + (fifo->in & fifo->mask) * fifo->esize, from, nr * fifo->esize);
	fifo->in += nr;
	return nr;
}

static void __used external___nested_vmx_vmexit(struct kvm_vcpu *vcpu, u32 vm_exit_reason,
						u32 exit_intr_info,
						unsigned long exit_qualification,
						u32 exit_insn_len)
{
}

/* kvm->vcpu_array: one vCPU. */
static void * __used external_xa_load(struct xarray *xa, unsigned long index)
{
	return index ? NULL : &vmx.vcpu;
}

static void * __used external_xa_find(struct xarray *xa, unsigned long *index, unsigned long max,
				      xa_mark_t filter)
{
	return *index ? NULL : &vmx.vcpu;
}

static unsigned long __used external__find_next_bit(const unsigned long *bits, unsigned long size,
						    unsigned long start)
{
	while (start < size && !(bits[BIT_WORD(start)] & BIT_MASK(start)))
		start++;
	return min(start, size);
}

static unsigned long __used external__find_first_bit(const unsigned long *bits, unsigned long size)
{
	return external__find_next_bit(bits, size, 0);
}

/* Where an instruction's operand is, and what it is: C finds out for both sides. */
static int __used external_get_vmx_mem_address(struct kvm_vcpu *vcpu,
					       unsigned long exit_qualification, u32 info, bool wr,
					       int len, gva_t *gva)
{
	*gva = 0x1000;
	return 0;
}

static int __used external_kvm_read_guest_virt(struct kvm_vcpu *vcpu, gva_t gva, void *to,
					       unsigned int len, struct x86_exception *e)
{
	external_memcpy(to, operand, len);
	return X86EMUL_CONTINUE;
}

void set_vmcs_value(u64 field, u64 value)
{
	vmcs_values[nr_vmcs_values++] = (struct vmcs_value) { field, value };
}

/* As kvm_ops_update(). */
static void set_ops(void)
{
	external_memcpy((void *)&kvm_x86_ops, &vt_x86_ops, sizeof(kvm_x86_ops));
	kvm_nested_ops = vmx_nested_ops;
	kvm_nested_ops.enabled = true;

#define ADD(name, function)	{ add_static_call(STATIC_CALL_TRAMP_ADDR(name), function); }
#define KVM_X86_OP(func)	ADD(kvm_x86_##func, kvm_x86_ops.func)
#define KVM_X86_OP_OPTIONAL	KVM_X86_OP
#define KVM_X86_OP_OPTIONAL_RET0	KVM_X86_OP
#include <asm/kvm-x86-ops.h>
#define KVM_X86_NESTED_OP(func)	ADD(kvm_x86_nested_##func, kvm_nested_ops.func)
#define KVM_X86_NESTED_OP_OPTIONAL	KVM_X86_NESTED_OP
#define KVM_X86_NESTED_OP_OPTIONAL_RET0	KVM_X86_NESTED_OP
#include <asm/kvm-x86-nested-ops.h>
}

/* The kernel's own, which is not loaded here.  Rust sets the module's options by it. */
void rust_helper_atomic_set_release(atomic_t *v, int i);

void __used rust_helper_atomic_set_release(atomic_t *v, int i)
{
	atomic_set_release(v, i);
}

static void init_root(struct kvm_mmu *mmu, int root, unsigned int nr_previous)
{
	int i;

	pages[root].private = (unsigned long)&roots[root];
	roots[root].role.level = 4;
	mmu->root.hpa = (FIRST_PFN + root) << PAGE_SHIFT;
	mmu->nr_prev_roots = nr_previous;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		mmu->prev_roots[i].hpa = INVALID_PAGE;
}

static void init_vcpu(struct kvm_vcpu *vcpu)
{
	vcpu->kvm = &vm.kvm;
	atomic_set(&vm.kvm.online_vcpus, 1);
	vcpu->cpu = 0;
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	init_root(&vcpu->arch.root_mmu, ROOT_OF_L1, KVM_MMU_NUM_USED_PREV_ROOTS);
	init_root(&vcpu->arch.guest_mmu, ROOT_OF_L2, KVM_MMU_NUM_PREV_ROOTS);
	bitmap_fill(vcpu->arch.regs_avail, NR_VCPU_TOTAL_REGS);
	vcpu->arch.efer = EFER_LME | EFER_LMA;
	vcpu->arch.cr0 = X86_CR0_PE | X86_CR0_PG;
	vcpu->arch.cr4 = X86_CR4_PAE;

	vmx.vpid = VPID01;
	vmx.loaded_vmcs = &vmx.vmcs01;
	vmx.nested.vmxon = true;
	vmx.nested.current_vmptr = 0;
	vmx.nested.hv_evmcs_vmptr = INVALID_GPA;
	vmx.nested.cached_vmcs12 = &vmcs12;
	vmx.nested.vpid02 = VPID02;
	vmx.nested.last_vpid = VPID12;
	vmx.nested.msrs.secondary_ctls_high = SECONDARY_EXEC_ENABLE_EPT |
					      SECONDARY_EXEC_ENABLE_VPID;
	vmx.nested.msrs.ept_caps = vmx_capability.ept;
	vmx.nested.msrs.vpid_caps = vmx_capability.vpid;
}

/* Once: what loading kvm.ko and kvm-intel.ko does, as far as a hook notices. */
static void __used setup(void)
{
	int i;

	set_cpu_cap(&boot_cpu_data, X86_FEATURE_VMX);
	vmemmap_base = (unsigned long)pages - FIRST_PFN * sizeof(struct page);
	tdp_enabled = true;
	vmx_capability.ept = VMX_EPT_INVEPT_BIT | VMX_EPT_EXTENT_CONTEXT_BIT |
			     VMX_EPT_EXTENT_GLOBAL_BIT | VMX_EPT_PAGE_WALK_4_BIT |
			     VMX_EPTP_WB_BIT | VMX_EPT_AD_BIT;
	vmx_capability.vpid = VMX_VPID_INVVPID_BIT | VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT |
			      VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT |
			      VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT;
	set_ops();
	kvm_nvmx_set_host(&vmx_nvmx_host);
	init_vcpu(&vmx.vcpu);

	this_cpu_write(__preempt_count, PREEMPT_ENABLED);
	hv.vcpu = &vmx.vcpu;
	hv.nested.pa_page_gpa = INVALID_GPA;
	for (i = 0; i < HV_NR_TLB_FLUSH_FIFOS; i++)
		INIT_KFIFO(hv.tlb_flush_fifo[i].entries);
}

/* Once, after the client's initialization; 0 if it has registered. */
static int __used setup_hooks(void)
{
	const struct kvm_nvmx_client *client = rcu_access_pointer(kvm_nvmx_client);
	void * const *functions;
	int i;

	if (!client)
		return -ENODEV;

	static_assert(sizeof(*client->ops) == KVM_NVMX_NR_HOOKS * sizeof(*functions));
	functions = (void * const *)client->ops;
	for (i = 0; i < KVM_NVMX_NR_HOOKS; i++)
		hooks[i].client_function = functions[i];
	return 0;
}
