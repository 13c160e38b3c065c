/* SPDX-License-Identifier: GPL-2.0 */
/* What guests ask of the hypervisor: operations, VMX instructions, hypercalls. */
#include "virtual_cpus.h"

namespace tlbsan {

/* Encodings of VMCS fields, SDM appendix B */
enum : uint64_t {
	FIELD_VPID = 0x0000,
	FIELD_VM_FUNCTION_CONTROLS = 0x2018,
	FIELD_EPTP = 0x201a,
	FIELD_EPTP_LIST = 0x2024,
	FIELD_PRIMARY_CONTROLS = 0x4002,
	FIELD_SECONDARY_CONTROLS = 0x401e,
};

enum : uint64_t {
	RFLAGS_CF = 1 << 0,
	RFLAGS_ZF = 1 << 6,
};

/* Bytes of an instruction. */
static const uint64_t most_instruction = 15;

/* KVM's paravirtual interface: bits of the byte "preempted" of the steal time */
enum : uint8_t { VCPU_FLUSH_TLB = 1 << 1 };

/* TLFS: the low 16 bits of a hypercall's result are its status */
static bool succeeded(uint64_t result)
{
	return (result & 0xffff) == 0;
}

void VirtualCpus::executed(unsigned cpu, const GuestOperation &operation)
{
	Cpu *vcpu = running(cpu);

	if (vcpu)
		promise(*vcpu, operation);
}

void VirtualCpus::asked(unsigned cpu, const GuestOperation &operation)
{
	Cpu *vcpu = running(cpu);

	if (!vcpu)
		return;
	if (vcpu->in_l2)
		vcpu->asked_by_l2.push_back(operation);
	else
		promise(*vcpu, operation);
}

void VirtualCpus::vmptrld(unsigned cpu, uint64_t vmptr12)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		vcpu->vmptr12 = vmptr12;
}

void VirtualCpus::vmwrite(unsigned cpu, uint64_t field, uint64_t value)
{
	Cpu *vcpu = running(cpu);

	if (!vcpu || vcpu->in_l2)
		return;

	Vmcs12 &vmcs12 = current_vmcs12(*vcpu);

	switch (field) {
	case FIELD_VPID:
		vmcs12.vpid = value & 0xffff;
		break;
	case FIELD_EPTP:
		vmcs12.eptp = value;
		break;
	case FIELD_VM_FUNCTION_CONTROLS:
		vmcs12.switches_eptp = value & 1;
		break;
	case FIELD_EPTP_LIST:
		vmcs12.eptp_list = value;
		break;
	case FIELD_PRIMARY_CONTROLS:
		vmcs12.activated = value >> 31 & 1;
		break;
	case FIELD_SECONDARY_CONTROLS:
		vmcs12.controls = value & 0xffffffff;
		vmcs12.known = true;
		break;
	}
}

void VirtualCpus::launches_evmcs(unsigned cpu, const Vmcs12 &evmcs)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		vcpu->evmcs = evmcs;
}

uint64_t VirtualCpus::eptp_list(unsigned cpu) const
{
	const Cpu *vcpu = running(cpu);

	if (!vcpu || vcpu->in_l2 || vcpu->evmcs.known)
		return 0;

	auto vm = vmcs12s.find(vcpu->host_cr3);

	if (vm == vmcs12s.end())
		return 0;

	auto found = vm->second.find(vcpu->vmptr12);

	return found != vm->second.end() && found->second.switches_eptp ?
		       found->second.eptp_list : 0;
}

void VirtualCpus::has_eptp_list(unsigned cpu, const std::vector<uint64_t> &eptps)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		current_vmcs12(*vcpu).eptps = eptps;
}

void VirtualCpus::switches_eptp(unsigned cpu, uint64_t index)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && vcpu->in_l2)
		vcpu->eptp_switch = index;
}

void VirtualCpus::invvpid(unsigned cpu, const Invvpid &inv)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2 && (inv.vpid || inv.type == 2))
		vcpu->invvpid = inv;
}

void VirtualCpus::invept(unsigned cpu, const Invept &inv)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		vcpu->invept = inv;
}

/* SDM 31.2: VMsucceed clears CF and ZF.  A fault leaves RIP at the instruction. */
void VirtualCpus::l1_invalidated(Cpu &vcpu, const GuestRegisters &registers)
{
	uint64_t advanced = registers.rip - vcpu.registers.rip;
	bool succeeded = advanced && advanced <= most_instruction &&
			 !(registers.rflags & (RFLAGS_CF | RFLAGS_ZF));

	if (succeeded && vcpu.invvpid) {
		const Invvpid &inv = *vcpu.invvpid;

		vcpu.promises.invvpid(now(Action::l1_invvpid, vcpu, inv.vpid, inv.linear), inv.type,
				      inv.vpid, inv.linear);
	}
	if (succeeded && vcpu.invept)
		vcpu.promises.invept(now(Action::l1_invept, vcpu, vcpu.invept->eptp),
				     vcpu.invept->type, vcpu.invept->eptp & FRAME);
	vcpu.invvpid.reset();
	vcpu.invept.reset();
}

void VirtualCpus::has_hyperv(unsigned cpu)
{
	const Cpu *vcpu = running(cpu);

	if (vcpu)
		hyperv.insert(vcpu->host_cr3);
}

/* Otherwise a VMCALL means something else; L1 may still handle an L2's. */
bool VirtualCpus::may_flush_others(unsigned cpu) const
{
	const Cpu *vcpu = running(cpu);

	if (!vcpu)
		return false;
	return vcpu->in_l2 ? vcpu->l2_vmcs12.direct_flush : hyperv.count(vcpu->host_cr3) != 0;
}

void VirtualCpus::asks_vp_index(unsigned cpu)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		vcpu->asks_vp_index = true;
}

void VirtualCpus::calls(unsigned cpu, const FlushCall &call, uint64_t rip)
{
	Cpu *vcpu = running(cpu);

	if (!vcpu)
		return;
	vcpu->call = { call, now(Action::hypercall, *vcpu), vcpu->in_l2 };
	vcpu->call->what.rip = rip;
}

static bool names(const FlushCall &call, std::optional<uint32_t> index)
{
	bool named = call.every_processor;

	for (uint32_t processor : call.processors)
		named |= index == processor;
	return named;
}

/* All that this virtual CPU has entered: one that runs now, and those at rest. */
void VirtualCpus::flush_l2s(Cpu &target, const Cpu &caller, const Call &call)
{
	for (const Target &l2 : target.targets) {
		if (l2.processor.vm_id == caller.l2_vmcs12.vm_id &&
		    names(call.flush, l2.processor.vp_id))
			target.promises.flush(call.what, l2.vpid, l2.ep4ta, call.flush,
					      l2.processor);
	}
}

/* Did the hypervisor handle it?  It goes back to the caller, or to L1 with exit 0x10000031. */
void VirtualCpus::call_returned(Cpu &caller, const GuestRegisters &registers, bool to_l2)
{
	if (!caller.call)
		return;

	Call call = *caller.call;
	bool served = call.by_l2 == to_l2 ? succeeded(registers.rax) : registers.trap_after_flush;

	caller.call.reset();
	if (!served)
		return;
	for (auto &[vmcs, target] : cpus) {
		if (target->host_cr3 != caller.host_cr3 || target->life != levels.life(vmcs))
			continue;
		if (call.by_l2)
			flush_l2s(*target, caller, call);
		else if (names(call.flush, target->vp_index))
			target->promises.flush(call.what, 0, 0, call.flush);
	}
}

L1Memory *VirtualCpus::l1_memory(unsigned cpu)
{
	Cpu *vcpu = running(cpu);

	return vcpu && levels.level(cpu) == Level::L1 ? &vcpu->memory : nullptr;
}

void VirtualCpus::steal_time(unsigned cpu, uint64_t host)
{
	Cpu *vcpu = running(cpu);

	if (vcpu)
		vcpu->steal_time = host;
}

/*
 * Of L1's own translations: L2's are flushed by L1.  The bit is there only while
 * the virtual CPU does not run, and is gone before it does.
 */
void VirtualCpus::look_for_pv_flushes(const ReadByte &read)
{
	FlushCall everything;

	everything.spans.push_back({});
	for (auto &[vmcs, vcpu] : cpus) {
		uint8_t preempted = 0;

		if (!vcpu->steal_time || vcpu->life != levels.life(vmcs) ||
		    !read(vcpu->steal_time, preempted) || !(preempted & VCPU_FLUSH_TLB))
			continue;
		vcpu->promises.flush(now(Action::pv_flush, *vcpu), 0, 0, everything);
	}
}

} /* namespace tlbsan */
