/* SPDX-License-Identifier: GPL-2.0 */
#include "virtual_cpus.h"

#include "exit_reasons.h"

namespace tlbsan {

/* Encodings of VMCS fields, SDM appendix B */
enum : uint64_t {
	FIELD_VPID = 0x0000,
	FIELD_EPTP = 0x201a,
	FIELD_SECONDARY_CONTROLS = 0x401e,
};

/* Secondary processor-based controls, SDM table 25-7 */
enum : uint32_t {
	ENABLE_EPT = 1u << 1,
	ENABLE_VPID = 1u << 5,
};

enum : uint64_t {
	CR0_PG = 1u << 31,
	CR4_PAE = 1u << 5,
	CR4_PGE = 1u << 7,
	CR4_PCIDE = 1u << 17,
	CR4_SMEP = 1u << 20,
};

/* Promises that name an address, of one virtual CPU; beyond, the oldest go too. */
static const size_t most_addresses = 1 << 16;

void apply(Invalidations &invalidations, Time time, uint16_t vpid, const GuestOperation &operation)
{
	Tag tag = { vpid, operation.pcid, 0 };

	switch (operation.scope) {
	case Scope::address:
		return invalidations.invlpg(time, tag, operation.address);
	case Scope::pcid_address:
		return invalidations.pcid_address(time, tag, operation.address);
	case Scope::pcid:
		return invalidations.pcid(time, tag);
	case Scope::pcid_and_globals:
		return invalidations.pcid_and_globals(time, tag);
	case Scope::all:
		return invalidations.vpid(time, vpid);
	case Scope::all_but_globals:
		return invalidations.vpid_but_globals(time, vpid);
	}
}

/* The virtual CPU whose L1 runs on this VMCS. */
VirtualCpus::Cpu &VirtualCpus::of(uint64_t vmcs)
{
	std::unique_ptr<Cpu> &cpu = cpus[vmcs];

	if (!cpu || cpu->life != levels.life(vmcs)) {
		cpu = std::make_unique<Cpu>();
		cpu->number = ++last_number;
		cpu->life = levels.life(vmcs);
	}
	return *cpu;
}

const VirtualCpus::Cpu *VirtualCpus::running(unsigned cpu) const
{
	uint64_t vmcs = levels.running_on(cpu);

	if (!vmcs)
		return nullptr;

	auto found = cpus.find(levels.l1_of(vmcs));

	return found == cpus.end() ? nullptr : found->second.get();
}

VirtualCpus::Cpu *VirtualCpus::running(unsigned cpu)
{
	return const_cast<Cpu *>(static_cast<const VirtualCpus *>(this)->running(cpu));
}

/* In the context that runs now; nothing is promised in one that is not known. */
void VirtualCpus::promise(Cpu &vcpu, const GuestOperation &operation)
{
	if (vcpu.in_l2 && !vcpu.l2.known)
		return;
	if (vcpu.promises.addresses() > most_addresses)
		vcpu.promises.forget_addresses();
	apply(vcpu.promises, clock.tick(), vcpu.in_l2 ? vcpu.l2.vpid : 0, operation);
}

void VirtualCpus::enters_l2(Cpu &vcpu)
{
	const Vmcs12 &vmcs12 = vcpu.evmcs.known ? vcpu.evmcs : vcpu.vmcs12s[vcpu.vmptr12];

	vcpu.in_l2 = true;
	vcpu.asked_by_l2.clear();
	vcpu.l2 = { .vcpu = vcpu.number, .known = vmcs12.known };
	if (!vmcs12.known)
		return;
	if (vmcs12.controls & ENABLE_VPID)
		vcpu.l2.vpid = vmcs12.vpid;
	if (vmcs12.controls & ENABLE_EPT)
		vcpu.l2.ep4ta = vmcs12.eptp & FRAME;
	if (!vcpu.l2.vpid)
		vcpu.promises.vpid(clock.tick(), 0);
}

void VirtualCpus::leaves_l2(Cpu &vcpu)
{
	vcpu.in_l2 = false;
	vcpu.asked_by_l2.clear();
	if (vcpu.l2.known && !vcpu.l2.vpid)
		vcpu.promises.vpid(clock.tick(), 0);
}

/* The guest left and comes back, and L1 had no hand in it. */
void VirtualCpus::registers_changed(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &now)
{
	const GuestRegisters &was = vcpu.registers;
	bool pcide = now.cr4 & CR4_PCIDE;
	uint16_t pcid = pcide ? now.cr3 & 0xfff : 0;

	if (vcpu.reason == EXIT_CR_ACCESS) {
		uint64_t cr4 = was.cr4 ^ now.cr4;

		/* SDM 4.10.4.1, MOV to control register */
		if ((was.cr0 & ~now.cr0 & CR0_PG) || (cr4 & CR4_PGE) || (was.cr4 & cr4 & CR4_PCIDE))
			promise(vcpu, { .scope = Scope::all });
		else if ((cr4 & CR4_PAE) || (now.cr4 & cr4 & CR4_SMEP))
			promise(vcpu, { .scope = Scope::pcid_and_globals, .pcid = pcid });
		return;
	}

	/*
	 * Without EPT the CR3 of the VMCS is a shadow root, which the hypervisor
	 * may change as it likes.
	 */
	bool paging = was.cr0 & now.cr0 & CR0_PG;

	if (entry.ep4ta && paging && vcpu.reason != EXIT_TASK_SWITCH &&
	    ((was.cr3 ^ now.cr3) & FRAME))
		promise(vcpu, { .scope = Scope::all_but_globals });
}

void VirtualCpus::entered(const VmEntry &entry, const GuestRegisters &registers)
{
	Cpu &vcpu = of(levels.l1_of(entry.vmcs));
	bool l2 = levels.level(entry.cpu) == Level::L2;

	if (l2 && !vcpu.in_l2) {
		enters_l2(vcpu);
	} else if (!l2 && vcpu.in_l2) {
		leaves_l2(vcpu);
	} else if (vcpu.vmcs == entry.vmcs) {
		for (const GuestOperation &operation : vcpu.asked_by_l2)
			promise(vcpu, operation);
		vcpu.asked_by_l2.clear();
		registers_changed(vcpu, entry, registers);
	}
	vcpu.evmcs = {};
}

void VirtualCpus::exited(const VmExit &exit, const GuestRegisters &registers)
{
	Cpu *vcpu = running(exit.cpu);

	if (exit.failed_entry || !vcpu)
		return;
	vcpu->vmcs = levels.running_on(exit.cpu);
	vcpu->reason = exit.reason;
	vcpu->registers = registers;
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

	Vmcs12 &vmcs12 = vcpu->vmcs12s[vcpu->vmptr12];

	if (field == FIELD_VPID)
		vmcs12.vpid = value & 0xffff;
	if (field == FIELD_EPTP)
		vmcs12.eptp = value;
	if (field == FIELD_SECONDARY_CONTROLS) {
		vmcs12.controls = value & 0xffffffff;
		vmcs12.known = true;
	}
}

void VirtualCpus::launches_evmcs(unsigned cpu, const Vmcs12 &evmcs)
{
	Cpu *vcpu = running(cpu);

	if (vcpu && !vcpu->in_l2)
		vcpu->evmcs = evmcs;
}

void VirtualCpus::invvpid(unsigned cpu, const Invvpid &inv)
{
	Cpu *vcpu = running(cpu);

	if (!vcpu || vcpu->in_l2 || (!inv.vpid && inv.type != 2))
		return;

	Time time = clock.tick();

	switch (inv.type) {
	case 0:
		return vcpu->promises.vpid_address(time, inv.vpid, inv.linear);
	case 1:
		return vcpu->promises.vpid(time, inv.vpid);
	case 2:
		return vcpu->promises.all_vpids(time);
	case 3:
		return vcpu->promises.vpid_but_globals(time, inv.vpid);
	}
}

void VirtualCpus::invept(unsigned cpu, const Invept &inv)
{
	Cpu *vcpu = running(cpu);

	if (!vcpu || vcpu->in_l2)
		return;
	if (inv.type == 1)
		vcpu->promises.ep4ta(clock.tick(), inv.eptp & FRAME);
	if (inv.type == 2)
		vcpu->promises.all_ep4tas(clock.tick());
}

VirtualTag VirtualCpus::context(unsigned cpu) const
{
	const Cpu *vcpu = running(cpu);

	if (!vcpu)
		return {};
	if (vcpu->in_l2)
		return vcpu->l2;
	return { .vcpu = vcpu->number, .known = true };
}

Time VirtualCpus::promised(unsigned cpu, const Name &name) const
{
	const Cpu *vcpu = running(cpu);
	VirtualTag now = context(cpu);

	if (!vcpu || !now.known)
		return 0;

	Name own = name;

	own.tag.vpid = now.vpid;
	own.tag.ep4ta = now.ep4ta;
	return vcpu->promises.newest(own);
}

} /* namespace tlbsan */
