/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tracepoint for each decision: the facts, what they require, and why.  The
 * Rust code calls them, through trace.rs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rust_kvm_nvmx

#if !defined(RUST_KVM_NVMX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RUST_KVM_NVMX_TRACE_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#define nvmx_show_request(request) \
	__print_symbolic(request, { 0, "nothing" }, { 1, "guest flush" }, { 2, "current flush" })

/* A nested VM entry, a nested VM exit, or a VMFUNC of L2's. */
TRACE_EVENT(nvmx_transition,
	TP_PROTO(struct kvm_vcpu *vcpu, u8 step, u16 vpid12, u16 last_vpid, u64 eptp12,
		 u64 vm_id, u32 vp_id, u8 request, u8 why),
	TP_ARGS(vcpu, step, vpid12, last_vpid, eptp12, vm_id, vp_id, request, why),

	TP_STRUCT__entry(
		__field(u64, eptp12)
		__field(u64, vm_id)
		__field(u32, vp_id)
		__field(u32, vcpu_id)
		__field(u16, vpid12)
		__field(u16, last_vpid)
		__field(u8, step)
		__field(u8, request)
		__field(u8, why)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->vpid12 = vpid12;
		__entry->last_vpid = last_vpid;
		__entry->eptp12 = eptp12;
		__entry->vm_id = vm_id;
		__entry->vp_id = vp_id;
		__entry->step = step;
		__entry->request = request;
		__entry->why = why;
	),

	TP_printk("vcpu %u %s vpid12 %u last_vpid %u eptp12 0x%llx vm_id %llu vp_id %u: %s, %s",
		  __entry->vcpu_id,
		  __print_symbolic(__entry->step,
				   { 0, "enter" }, { 1, "exit" }, { 2, "vmfunc" }),
		  __entry->vpid12, __entry->last_vpid, __entry->eptp12, __entry->vm_id,
		  __entry->vp_id, nvmx_show_request(__entry->request),
		  __print_symbolic(__entry->why,
				   { 0, "L2 has a tag of its own" },
				   { 1, "L2 has a parked VPID (V1)" },
				   { 2, "L2 has no VPID (T2)" },
				   { 3, "the entry left L1 without translations (V16)" },
				   { 4, "vpid02 was another vpid12's (T4)" },
				   { 5, "L1 and L2 share vpid01 (T5)" },
				   { 6, "L2 has no VPID (T11)" }))
);

/* L2's VM id or VP id changed (X6). */
TRACE_EVENT(nvmx_evmcs_ids_changed,
	TP_PROTO(struct kvm_vcpu *vcpu, u16 last_vpid),
	TP_ARGS(vcpu, last_vpid),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u16, last_vpid)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->last_vpid = last_vpid;
	),

	TP_printk("vcpu %u last_vpid %u: L2's IDs change, the next entry flushes or compares (X6, V9)",
		  __entry->vcpu_id, __entry->last_vpid)
);

/* KVM asked for a flush. The tag of what is executed is a VPID or an EPT pointer. */
TRACE_EVENT(nvmx_flush,
	TP_PROTO(struct kvm_vcpu *vcpu, u8 cause, u8 executed, u64 tag, u64 gva),
	TP_ARGS(vcpu, cause, executed, tag, gva),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, cause)
		__field(u8, executed)
		__field(u64, tag)
		__field(u64, gva)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->cause = cause;
		__entry->executed = executed;
		__entry->tag = tag;
		__entry->gva = gva;
	),

	TP_printk("vcpu %u %s: %s tag 0x%llx gva 0x%llx",
		  __entry->vcpu_id,
		  __print_symbolic(__entry->cause,
				   { 0, "all (H1)" }, { 1, "current (H2)" },
				   { 2, "address (H3)" }, { 3, "guest (H4)" },
				   { 4, "reset (H15)" }, { 5, "L1, by steal time (X3)" }),
		  __print_symbolic(__entry->executed,
				   { 0, "nothing" }, { 1, "INVVPID address" },
				   { 2, "INVVPID single" }, { 3, "INVVPID all" },
				   { 4, "INVEPT single" }, { 5, "INVEPT all" }),
		  __entry->tag, __entry->gva)
);

/* L1 executed INVVPID (T6) or INVEPT (T13). */
TRACE_EVENT(nvmx_l1_invalidate,
	TP_PROTO(struct kvm_vcpu *vcpu, u8 insn, u64 type, u64 first, u64 second, u8 outcome),
	TP_ARGS(vcpu, insn, type, first, second, outcome),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, insn)
		__field(u8, outcome)
		__field(u64, type)
		__field(u64, first)
		__field(u64, second)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->insn = insn;
		__entry->outcome = outcome;
		__entry->type = type;
		__entry->first = first;
		__entry->second = second;
	),

	TP_printk("vcpu %u %s type %llu operand 0x%llx 0x%llx: %s",
		  __entry->vcpu_id, __entry->insn ? "INVEPT" : "INVVPID", __entry->type,
		  __entry->first, __entry->second,
		  __print_symbolic(__entry->outcome,
				   { 0, "invalid operand" }, { 1, "flush here" },
				   { 2, "flush on the next entry, vmcs02 is on another CPU" },
				   { 3, "free roots" }, { 4, "no root to free" },
				   { 5, "the VPID in use is not named (V5)" }))
);

/* A Hyper-V flush hypercall of the running guest (E5 to E9). */
TRACE_EVENT(nvmx_hv_flush,
	TP_PROTO(struct kvm_vcpu *vcpu, bool l2, u16 code, u16 status, int entries, u32 targets),
	TP_ARGS(vcpu, l2, code, status, entries, targets),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(bool, l2)
		__field(u16, code)
		__field(u16, status)
		__field(int, entries)
		__field(u32, targets)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->l2 = l2;
		__entry->code = code;
		__entry->status = status;
		__entry->entries = entries;
		__entry->targets = targets;
	),

	TP_printk("vcpu %u %s code 0x%x status %u: %d entries (-1: everything) to %u vCPUs",
		  __entry->vcpu_id, __entry->l2 ? "L2" : "L1", __entry->code, __entry->status,
		  __entry->entries, __entry->targets)
);

/* A vCPU handles its queue of Hyper-V flushes (E10), or discards it (H8, X9). */
TRACE_EVENT(nvmx_hv_drain,
	TP_PROTO(struct kvm_vcpu *vcpu, bool l2, u32 entries, u8 outcome),
	TP_ARGS(vcpu, l2, entries, outcome),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(bool, l2)
		__field(u8, outcome)
		__field(u32, entries)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->l2 = l2;
		__entry->outcome = outcome;
		__entry->entries = entries;
	),

	TP_printk("vcpu %u %s %u entries: %s",
		  __entry->vcpu_id, __entry->l2 ? "L2" : "L1", __entry->entries,
		  __print_symbolic(__entry->outcome,
				   { 0, "page by page" }, { 1, "guest flush" },
				   { 2, "discard, a guest flush covers them" }))
);

/* L2 executed VMCALL: which level handles it (E1, E2). */
TRACE_EVENT(nvmx_vmcall,
	TP_PROTO(struct kvm_vcpu *vcpu, bool offered, bool evmcs, bool assist_page, bool l0),
	TP_ARGS(vcpu, offered, evmcs, assist_page, l0),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(bool, offered)
		__field(bool, evmcs)
		__field(bool, assist_page)
		__field(bool, l0)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->offered = offered;
		__entry->evmcs = evmcs;
		__entry->assist_page = assist_page;
		__entry->l0 = l0;
	),

	TP_printk("vcpu %u direct flush in CPUID %d eVMCS %d VP assist page %d: %s",
		  __entry->vcpu_id, __entry->offered, __entry->evmcs, __entry->assist_page,
		  __entry->l0 ? "a flush, L0 handles it" : "L1 gets the exit")
);

/* A Hyper-V hypercall of the running guest ends (E11, E12). */
TRACE_EVENT(nvmx_hv_complete,
	TP_PROTO(struct kvm_vcpu *vcpu, bool l2, u64 result, bool exit_to_l1),
	TP_ARGS(vcpu, l2, result, exit_to_l1),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(bool, l2)
		__field(bool, exit_to_l1)
		__field(u64, result)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->l2 = l2;
		__entry->exit_to_l1 = exit_to_l1;
		__entry->result = result;
	),

	TP_printk("vcpu %u %s result 0x%llx%s",
		  __entry->vcpu_id, __entry->l2 ? "L2" : "L1", __entry->result,
		  __entry->exit_to_l1 ? ": L1 holds the TLB lock, exit 0x10000031" : "")
);

/* The guest changed CR0 or CR4 (R1 to R6). */
TRACE_EVENT(nvmx_cr,
	TP_PROTO(struct kvm_vcpu *vcpu, u8 cr, u64 old, u64 new, u8 request, u8 mmu),
	TP_ARGS(vcpu, cr, old, new, request, mmu),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, cr)
		__field(u8, request)
		__field(u8, mmu)
		__field(u64, old)
		__field(u64, new)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->cr = cr;
		__entry->request = request;
		__entry->mmu = mmu;
		__entry->old = old;
		__entry->new = new;
	),

	TP_printk("vcpu %u CR%u 0x%llx to 0x%llx: %s, %s",
		  __entry->vcpu_id, __entry->cr, __entry->old, __entry->new,
		  nvmx_show_request(__entry->request),
		  __print_symbolic(__entry->mmu,
				   { 0, "keep the MMU context" }, { 1, "read the role again" },
				   { 2, "reset the MMU context" }, { 3, "unload the MMU" }))
);

/* L1's APIC-access page (A1 to A4), and that of an L2 without EPT in vmcs12 (X12). */
TRACE_EVENT(nvmx_apic_page,
	TP_PROTO(struct kvm_vcpu *vcpu, u8 outcome),
	TP_ARGS(vcpu, outcome),

	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, outcome)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->outcome = outcome;
	),

	TP_printk("vcpu %u %s", __entry->vcpu_id,
		  __print_symbolic(__entry->outcome,
				   { 0, "moved: write its address (A1)" },
				   { 1, "moved while it was looked up: look again (A2)" },
				   { 2, "turned on: request a current flush (A4)" },
				   { 3, "turned on while L2 runs: flush L1's context (A4)" },
				   { 4, "L2's turned on or moved: request a current flush (X12)" }))
);

#endif /* RUST_KVM_NVMX_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE nvmx_trace
#include <trace/define_trace.h>
