/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest is: from VM entry to VM exit.  What it asks for: virtual_requests.cc. */
#include "virtual_cpus.h"

#include <utility>

#include "exit_reasons.h"

namespace tlbsan {

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

/* The virtual VPID of an L2 that is not known; SDM 31.3 names no reserved one. */
static const uint16_t unknown_vpid = 0xffff;

/* L2s of a virtual CPU that calls can name.  Beyond: a miss, no false report. */
static const size_t most_targets = 256;

/* The virtual CPU whose L1 runs on this VMCS. */
VirtualCpus::Cpu &VirtualCpus::of(uint64_t vmcs)
{
	std::unique_ptr<Cpu> &cpu = cpus[vmcs];

	if (!cpu || cpu->life != levels.life(vmcs)) {
		if (cpu)
			forgotten += cpu->promises.take_forgotten();
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

	uint64_t l1 = levels.l1_of(vmcs);
	auto found = cpus.find(l1);

	if (found == cpus.end() || found->second->life != levels.life(l1))
		return nullptr;
	return found->second.get();
}

VirtualCpus::Cpu *VirtualCpus::running(unsigned cpu)
{
	return const_cast<Cpu *>(static_cast<const VirtualCpus *>(this)->running(cpu));
}

Operation VirtualCpus::now(Action action, const Cpu &vcpu, uint64_t a, uint64_t b)
{
	return { .time = clock.tick(), .action = action, .a = a, .b = b, .rip = vcpu.registers.rip,
		 .level = vcpu.in_l2 ? Level::L2 : Level::L1 };
}

/* In the context that runs now. */
void VirtualCpus::promise(Cpu &vcpu, const GuestOperation &operation)
{
	Operation what = now(operation.action, vcpu, operation.pcid, operation.address);

	if (operation.rip)
		what.rip = operation.rip;
	vcpu.promises.operation(what, vcpu.in_l2 ? vcpu.l2.vpid : 0, operation);
}

Vmcs12 &VirtualCpus::current_vmcs12(const Cpu &vcpu)
{
	return vmcs12s[vcpu.host_cr3][vcpu.vmptr12];
}

/*
 * Which vmcs12 describes the L2.  An L1 in SMM has none loaded, so RSM leads back to the
 * last.  Without RSM and L1's VM entry the state was set from outside; the address of
 * an enlightened VMCS is not known then.
 */
void VirtualCpus::enters_l2(Cpu &vcpu, bool resumed)
{
	bool launched = vcpu.reason == EXIT_VMLAUNCH || vcpu.reason == EXIT_VMRESUME;

	if (vcpu.evmcs.known) {
		vcpu.l2_vmcs12 = vcpu.evmcs;
		vcpu.l2_enlightened = true;
	} else if (resumed ? !vcpu.l2.known : vcpu.l2_enlightened && !launched) {
		vcpu.l2_vmcs12 = {};
	} else if (!resumed) {
		vcpu.l2_vmcs12 = current_vmcs12(vcpu);
		vcpu.l2_enlightened = false;
	}
	vcpu.asked_by_l2.clear();
	vcpu.l2 = { .vcpu = vcpu.number, .known = vcpu.l2_vmcs12.known };

	const Vmcs12 &vmcs12 = vcpu.l2_vmcs12;

	if (!vmcs12.known) {
		vcpu.l2.vpid = unknown_vpid;
		vcpu.l2.visit = ++last_visit;
	} else {
		const uint32_t controls = vmcs12.activated ? vmcs12.controls : 0;

		if (controls & ENABLE_VPID)
			vcpu.l2.vpid = vmcs12.vpid;
		if (controls & ENABLE_EPT)
			vcpu.l2.ep4ta = vmcs12.eptp & FRAME;
		if (!vcpu.l2.vpid)
			vcpu.promises.vpid(now(Action::l1_entry_without_vpid, vcpu), 0);
		if (vmcs12.direct_flush)
			is_target(vcpu);
	}
	vcpu.in_l2 = true;
}

/* What it cached stays behind when L1 runs another, and the calls may come then. */
void VirtualCpus::is_target(Cpu &vcpu)
{
	Target target = { { vcpu.l2_vmcs12.vm_id, vcpu.l2_vmcs12.vp_id }, vcpu.l2.vpid,
			  vcpu.l2.ep4ta };

	std::erase(vcpu.targets, target);
	vcpu.targets.push_front(target);
	if (vcpu.targets.size() > most_targets) {
		vcpu.targets.pop_back();
		forgotten++;
	}
}

/*
 * An L2 goes on, on another VMCS than the one that was left: the hypervisor has set
 * the state of this or of another L2, and L1 does not know.
 */
void VirtualCpus::restored_l2(Cpu &vcpu)
{
	vcpu.asked_by_l2.clear();
	vcpu.restored = clock.tick();
	vcpu.l2 = { .vcpu = vcpu.number, .visit = ++last_visit, .vpid = unknown_vpid };
}

void VirtualCpus::leaves_l2(Cpu &vcpu)
{
	vcpu.restored = 0;
	vcpu.asked_by_l2.clear();
	if (vcpu.l2.known && !vcpu.l2.vpid)
		vcpu.promises.vpid(now(Action::l1_exit_without_vpid, vcpu), 0);
	vcpu.in_l2 = false;
}

/* The guest left and comes back, and L1 had no hand in it. */
void VirtualCpus::registers_changed(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &now)
{
	const GuestRegisters &was = vcpu.registers;
	bool pcide = now.cr4 & CR4_PCIDE;
	uint16_t pcid = pcide ? now.cr3 & 0xfff : 0;

	/*
	 * SDM 4.10.4.1, by MOV to CR0; SDM table 10-1, by INIT, which clears CR3 as
	 * well.  An SMI does not: it is known by its handler.
	 */
	if ((was.cr0 & ~now.cr0 & CR0_PG) && (vcpu.reason == EXIT_CR_ACCESS || !now.cr3))
		promise(vcpu, { .scope = Scope::all, .action = Action::cr0_pg });

	if (vcpu.reason == EXIT_CR_ACCESS) {
		uint64_t cr4 = was.cr4 ^ now.cr4;

		/* SDM 4.10.4.1, MOV to control register */
		if ((cr4 & CR4_PGE) || (was.cr4 & cr4 & CR4_PCIDE))
			promise(vcpu, { .scope = Scope::all, .action = Action::mov_cr4 });
		else if ((cr4 & CR4_PAE) || (now.cr4 & cr4 & CR4_SMEP))
			promise(vcpu, { .scope = Scope::pcid_and_globals, .pcid = pcid,
					.action = Action::mov_cr4 });
		return;
	}

	/*
	 * Without EPT the CR3 of the VMCS is a shadow root, which the hypervisor
	 * may change as it likes.
	 */
	bool paging = was.cr0 & now.cr0 & CR0_PG;

	if (entry.ep4ta && paging && vcpu.reason != EXIT_TASK_SWITCH &&
	    ((was.cr3 ^ now.cr3) & FRAME))
		promise(vcpu, { .scope = Scope::all_but_globals, .action = Action::cr3_set });
}

void VirtualCpus::goes_on(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &registers)
{
	for (const GuestOperation &operation : vcpu.asked_by_l2)
		promise(vcpu, operation);
	vcpu.asked_by_l2.clear();

	/* SDM 26.5.6.3: EPTP switching invalidates what a VM entry would */
	if (vcpu.eptp_switch && vcpu.l2.known && *vcpu.eptp_switch < vcpu.l2_vmcs12.eptps.size()) {
		vcpu.l2_vmcs12.eptp = vcpu.l2_vmcs12.eptps[*vcpu.eptp_switch];
		vcpu.l2.ep4ta = vcpu.l2_vmcs12.eptp & FRAME;
		if (!vcpu.l2_enlightened)
			current_vmcs12(vcpu).eptp = vcpu.l2_vmcs12.eptp;
		if (!vcpu.l2.vpid)
			vcpu.promises.vpid(now(Action::l1_vmfunc_without_vpid, vcpu), 0);
	}
	if (vcpu.asks_vp_index)
		vcpu.vp_index = uint32_t(registers.rax);
	registers_changed(vcpu, entry, registers);
}

/* SDM, "Default Treatment of RSM".  A guest that is not in SMM gets #UD instead. */
bool VirtualCpus::resumed_from_smm(Cpu &vcpu, const GuestRegisters &registers)
{
	if (vcpu.in_l2 || !vcpu.registers.at_rsm || registers.injects_ud)
		return false;
	vcpu.promises.every_vpid(now(Action::rsm, vcpu));
	return true;
}

void VirtualCpus::entered(const VmEntry &entry, const GuestRegisters &registers)
{
	Cpu &vcpu = of(levels.l1_of(entry.vmcs));
	bool l2 = levels.level(entry.cpu) == Level::L2;
	bool resumed = resumed_from_smm(vcpu, registers);

	vcpu.host_cr3 = registers.host_cr3 & FRAME;
	call_returned(vcpu, registers, l2);
	l1_invalidated(vcpu, registers);
	/* SDM, "Default Treatment of SMI Delivery": of VPID 0 */
	if (!l2 && registers.at_smi_handler && (vcpu.in_l2 || !vcpu.registers.at_smi_handler))
		vcpu.promises.vpid(now(Action::smi, vcpu), 0);
	if (l2 && !vcpu.in_l2)
		enters_l2(vcpu, resumed);
	else if (!l2 && vcpu.in_l2)
		leaves_l2(vcpu);
	else if (l2 && (vcpu.vmcs != entry.vmcs || vcpu.vmcs_life != levels.life(entry.vmcs)))
		restored_l2(vcpu);
	else if (vcpu.vmcs == entry.vmcs)
		goes_on(vcpu, entry, registers);
	vcpu.evmcs = {};
	vcpu.eptp_switch.reset();
	vcpu.asks_vp_index = false;
}

void VirtualCpus::exited(const VmExit &exit, const GuestRegisters &registers)
{
	Cpu *vcpu = running(exit.cpu);

	if (exit.failed_entry || !vcpu)
		return;
	vcpu->vmcs = levels.running_on(exit.cpu);
	vcpu->vmcs_life = levels.life(vcpu->vmcs);
	vcpu->reason = exit.reason;
	vcpu->registers = registers;
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

Time VirtualCpus::restored(unsigned cpu) const
{
	const Cpu *vcpu = running(cpu);

	return vcpu ? vcpu->restored : 0;
}

Time VirtualCpus::promised(unsigned cpu, const Name &name, uint64_t cr3) const
{
	const Cpu *vcpu = running(cpu);

	if (!vcpu)
		return 0;

	VirtualTag now = context(cpu);
	Promises::Processor user;
	Name own = name;

	if (vcpu->in_l2 && now.known && vcpu->l2_vmcs12.direct_flush)
		user = { vcpu->l2_vmcs12.vm_id, vcpu->l2_vmcs12.vp_id };

	own.tag.vpid = now.vpid;
	own.tag.ep4ta = now.ep4ta;
	return vcpu->promises.newest(own, cr3, user);
}

std::vector<Operation> VirtualCpus::promised_since(unsigned cpu, Time time) const
{
	const Cpu *vcpu = running(cpu);

	return vcpu ? vcpu->promises.since(time) : std::vector<Operation>();
}

Action VirtualCpus::promised_at(unsigned cpu, Time time) const
{
	const Cpu *vcpu = running(cpu);

	return vcpu ? vcpu->promises.at(time) : Action::other;
}

uint64_t VirtualCpus::take_forgotten()
{
	for (auto &[vmcs, vcpu] : cpus)
		forgotten += vcpu->promises.take_forgotten();
	return std::exchange(forgotten, 0);
}

} /* namespace tlbsan */
