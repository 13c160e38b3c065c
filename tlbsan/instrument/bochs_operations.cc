/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of guests that invalidate: those that the hardware carries out and
 * those that leave to the hypervisor.
 */
#include <vector>

#include "bochs_glue.h"

namespace tlbsan {

/* Control registers before the next MOV to them. */
struct Before {
	uint64_t cr0 = 0;
	uint64_t cr4 = 0;
	bool keep_pcid = false;		/* MOV to CR3 with bit 63 */
};

static Before &before(unsigned cpu)
{
	static std::vector<Before> all(BX_SMP_PROCESSORS);

	return all[cpu];
}

/* The limit of all segments after an SMI. */
static const uint32_t SMI_LIMIT = 0xffffffff;

/* VM-exit and VM-entry interruption information of #UD, SDM 25.8.3 and 25.9.2 */
static const uint32_t UNDEFINED_OPCODE = 1u << 31 | 3 << 8 | 6;

/* SDM, "SMM Handler Execution Environment" */
static bool at_smi_handler(const BX_CPU_C *cpu)
{
	const bx_segment_reg_t &cs = cpu->sregs[BX_SEG_REG_CS];
	uint64_t base = cs.cache.u.segment.base;

	return cpu->prev_rip == 0x8000 && !cpu->cr0.get_PE() && !cpu->cr0.get_PG() &&
	       cs.cache.u.segment.limit_scaled == SMI_LIMIT &&
	       cs.selector.value == uint16_t(base >> 4);
}

static bool at_rsm(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	uint64_t linear = c->sregs[BX_SEG_REG_CS].cache.u.segment.base + c->prev_rip;
	uint8_t code[2] = {};

	return c->VMread32(VMCS_32BIT_VMEXIT_INTERRUPTION_INFO) == UNDEFINED_OPCODE &&
	       read_linear(cpu, linear, 1, &code[0]) && read_linear(cpu, linear + 1, 1, &code[1]) &&
	       code[0] == 0x0f && code[1] == 0xaa;
}

/* Bits that the hypervisor owns are read from the read shadow, SDM 25.6.6. */
static GuestRegisters registers_of(const BX_CPU_C *cpu)
{
	auto seen = [](uint64_t real, uint64_t mask, uint64_t shadow) {
		return (real & ~mask) | (shadow & mask);
	};
	const VMCS_CACHE &vmcs = cpu->vmcs;

	return {
		.cr0 = seen(cpu->cr0.get32(), vmcs.vm_cr0_mask, vmcs.vm_cr0_read_shadow),
		.cr3 = cpu->cr3,
		.cr4 = seen(cpu->cr4.get32(), vmcs.vm_cr4_mask, vmcs.vm_cr4_read_shadow),
		.rax = cpu->gen_reg[BX_64BIT_REG_RAX].rrx,
		.rip = cpu->prev_rip,
		.at_smi_handler = at_smi_handler(cpu),
		.host_cr3 = vmcs.host_state.cr3,
	};
}

GuestRegisters registers_at_entry(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	GuestRegisters registers = registers_of(c);

	registers.rflags = c->VMread64(VMCS_GUEST_RFLAGS);
	registers.injects_ud =
		c->VMread32(VMCS_32BIT_CONTROL_VMENTRY_INTERRUPTION_INFO) == UNDEFINED_OPCODE;
	registers.trap_after_flush = trap_after_flush(cpu);
	return registers;
}

GuestRegisters registers_at_exit(unsigned cpu, uint16_t reason)
{
	GuestRegisters registers = registers_of(BX_CPU(cpu));

	registers.at_rsm = reason == VMX_VMEXIT_EXCEPTION_NMI && at_rsm(cpu);
	return registers;
}

void begin_guest(unsigned cpu)
{
	before(cpu) = { .cr0 = BX_CPU(cpu)->cr0.get32(), .cr4 = BX_CPU(cpu)->cr4.get32() };
	begin_walks(cpu);
}

static void executed(unsigned cpu, Action action, GuestOperation operation)
{
	operation.action = action;
	operation.rip = BX_CPU(cpu)->prev_rip;
	oracle->executed(cpu, tag_of(BX_CPU(cpu)).vpid, operation);
}

void asked(unsigned cpu, GuestOperation operation)
{
	operation.rip = BX_CPU(cpu)->prev_rip;
	oracle->virtual_cpus().asked(cpu, operation);
}

uint64_t general_register(unsigned cpu, unsigned number)
{
	return BX_CPU(cpu)->gen_reg[number].rrx;
}

/* An operation that the guest left to the hypervisor by this exit. */
void end_guest(unsigned cpu, uint16_t reason, uint64_t qualification)
{
	GuestRegisters registers = registers_of(BX_CPU(cpu));
	bool pcide = registers.cr4 & (1 << 17);
	uint16_t pcid = pcide ? registers.cr3 & 0xfff : 0;

	begin_walks(cpu);
	end_guest_vmx(cpu, reason);
	end_guest_hypercalls(cpu, reason);
	if (reason == VMX_VMEXIT_INVLPG)
		asked(cpu, { Scope::address, pcid, qualification, Action::invlpg });

	/* SDM table 28-3: bits 3:0 the register, 5:4 the kind of access, 11:8 its operand */
	if (reason == VMX_VMEXIT_CR_ACCESS && (qualification & 0x3f) == 3) {
		uint64_t value = general_register(cpu, qualification >> 8 & 15);

		if (!pcide)
			asked(cpu, { Scope::pcid, 0, 0, Action::mov_cr3 });
		else if (!(value >> 63))
			asked(cpu, { Scope::pcid, uint16_t(value & 0xfff), 0, Action::mov_cr3 });
	}
}

} /* namespace tlbsan */

using namespace tlbsan;

/* Comes before the MOV, with bit 63 still in place. */
void tlbsan_mov_cr3(unsigned cpu, Bit64u value)
{
	before(cpu).keep_pcid = BX_CPU(cpu)->cr4.get_PCIDE() && value >> 63;
}

/* SDM 4.10.4.1 for MOV to CR0 and CR4 */
static void control_registers_changed(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	Before &was = before(cpu);
	uint64_t cr0 = c->cr0.get32(), cr4 = c->cr4.get32(), changed = was.cr4 ^ cr4;
	bool clears_pg = (was.cr0 & ~cr0) >> 31 & 1;
	bool toggles_pge = changed >> 7 & 1, toggles_pae = changed >> 5 & 1;
	bool clears_pcide = (was.cr4 & changed) >> 17 & 1, sets_smep = (cr4 & changed) >> 20 & 1;

	was.cr0 = cr0;
	was.cr4 = cr4;
	if (clears_pg || toggles_pge || clears_pcide)
		executed(cpu, Action::mov_cr0_or_cr4, { Scope::all });
	else if (toggles_pae || sets_smep)
		executed(cpu, Action::mov_cr4_pcid, { Scope::pcid_and_globals, tag_of(c).pcid });
}

void tlbsan_tlb_control(unsigned cpu, unsigned what, Bit64u value)
{
	if (!BX_CPU(cpu)->in_vmx_guest)
		return;

	uint16_t pcid = tag_of(BX_CPU(cpu)).pcid;

	switch (what) {
	case BX_INSTR_MOV_CR3:
		if (!before(cpu).keep_pcid)
			executed(cpu, Action::mov_cr3, { Scope::pcid, pcid });
		before(cpu).keep_pcid = false;
		break;
	case BX_INSTR_TASK_SWITCH:
		executed(cpu, Action::task_switch, { Scope::pcid, pcid });
		break;
	case BX_INSTR_INVLPG:
		executed(cpu, Action::invlpg, { Scope::address, pcid, value });
		break;
	case BX_INSTR_MOV_CR0:
	case BX_INSTR_MOV_CR4:
		control_registers_changed(cpu);
		break;
	}
}

static const Scope invpcid_scopes[] = {
	Scope::pcid_address, Scope::pcid, Scope::all, Scope::all_but_globals,
};

void tlbsan_invpcid(unsigned cpu, unsigned type, unsigned pcid, Bit64u linear)
{
	if (BX_CPU(cpu)->in_vmx_guest)
		executed(cpu, Action::invpcid, { invpcid_scopes[type & 3], uint16_t(pcid), linear });
}
