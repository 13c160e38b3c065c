/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All of C that the Rust code sees: what bindgen makes of KVM's own headers,
 * and one-line functions for what bindgen cannot express.
 */
#ifndef RUST_KVM_NVMX_HELPERS_H
#define RUST_KVM_NVMX_HELPERS_H

#include <linux/jump_label.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>

#include "x86.h"
#include "hyperv.h"
#include "mmu.h"
#include "mmu/spte.h"
#include "nvmx_hooks.h"
#include "vmx/nested.h"
#include "vmx/vmx.h"

/* The counters of stats.rs, which knows what each is for. */
#define NVMX_NR_COUNTERS 20
DECLARE_PER_CPU(u64[NVMX_NR_COUNTERS], nvmx_counters);
u64 nvmx_counter_sum(unsigned int counter);
void nvmx_counters_reset(void);

/* One for each hook that Rust serves: is it C's now?  See mode.rs. */
struct nvmx_switch {
	struct static_key_false c;
};

extern struct nvmx_switch nvmx_switch_flush_tlb_all;
extern struct nvmx_switch nvmx_switch_flush_tlb_current;
extern struct nvmx_switch nvmx_switch_flush_tlb_gva;
extern struct nvmx_switch nvmx_switch_flush_tlb_guest;
extern struct nvmx_switch nvmx_switch_flush_tlb_reset;
extern struct nvmx_switch nvmx_switch_transition_tlb_flush;
bool nvmx_switch_is_c(struct nvmx_switch *hook);
void nvmx_switch_to_c(struct nvmx_switch *hook, bool c);

/* files.c makes a file, files.rs is asked what is in it. */
struct dentry;
struct seq_file;
void nvmx_file_create(const char *name, u16 mode, struct dentry *dir, unsigned long file);
int nvmx_file_show(struct seq_file *m, unsigned long file);
ssize_t nvmx_file_write(unsigned long file, const void __user *from, size_t len);

/* Macros with types or shifts in them, as constants. */
static const u32 NVMX_HF_GUEST_MASK = HF_GUEST_MASK;
static const u32 NVMX_SECONDARY_CONTROLS = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
static const u32 NVMX_ENABLE_VPID = SECONDARY_EXEC_ENABLE_VPID;

bool nvmx_cpu_has_vmx(void);
bool nvmx_root_is_dummy(u64 root_hpa);
const struct kvm_mmu_page *nvmx_root_to_sp(u64 root_hpa);
void nvmx_request_tlb_flush_current(struct kvm_vcpu *vcpu);
void nvmx_request_tlb_flush_guest(struct kvm_vcpu *vcpu);
void nvmx_request_hv_tlb_flush(struct kvm_vcpu *vcpu);

#endif /* RUST_KVM_NVMX_HELPERS_H */
