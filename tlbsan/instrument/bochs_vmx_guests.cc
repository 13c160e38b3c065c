/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX instructions and INVPCID of guests, read with their operands at the VM
 * exit that they cause; and the enlightened VMCS, which an L1 on KVM's Hyper-V
 * interface fills without any instruction that exits.
 */
#include <vector>

#include "bochs_glue.h"
#include "memory/memory-bochs.h"

using namespace tlbsan;

/* Hyper-V TLFS: VP assist page and enlightened VMCS, offsets in bytes */
enum {
	MSR_VP_ASSIST_PAGE = 0x40000073,
	ASSIST_ENLIGHTEN_VMENTRY = 40,
	ASSIST_CURRENT_VMCS = 48,
	EVMCS_SECONDARY_CONTROLS = 100,
	EVMCS_EPTP = 624,
	EVMCS_VPID = 632,
	EVMCS_EXIT_REASON = 692,
	EVMCS_ENLIGHTENMENTS_CONTROL = 836,
	EVMCS_VP_ID = 840,
	EVMCS_VM_ID = 848,
	ASSIST_NESTED_FEATURES = 32,
};

/* Bits of the last two: nested_flush_hypercall, directhypercall */
enum { NESTED_FLUSH_HYPERCALL = 1, DIRECT_HYPERCALL = 1 };

static const uint32_t SYNTHETIC_TRAP_AFTER_FLUSH = 0x10000031;

bool tlbsan::read_linear(unsigned cpu, uint64_t linear, unsigned length, void *to)
{
	bx_phy_address at;

	if ((linear & 0xfff) + length > 0x1000 || !BX_CPU(cpu)->dbg_xlate_linear2phy(linear, &at))
		return false;
	return BX_MEM(0)->dbg_fetch_mem(BX_CPU(cpu), at, length, static_cast<Bit8u *>(to));
}


static void invpcid(unsigned cpu, uint64_t type, const uint64_t *descriptor)
{
	static const Scope scopes[] = {
		Scope::pcid_address, Scope::pcid, Scope::all, Scope::all_but_globals,
	};

	if (type < 4 && !(descriptor[0] >> 12))
		asked(cpu, { scopes[type], uint16_t(descriptor[0]), descriptor[1], Action::invpcid });
}

static void vmwrite(unsigned cpu, bool memory, uint64_t linear, unsigned field, unsigned source)
{
	uint64_t encoding = general_register(cpu, field), value = 0;
	bool wide = (encoding >> 13 & 3) == 1;

	if (!memory)
		value = general_register(cpu, source);
	else if (!read_linear(cpu, linear, wide ? 8 : 4, &value))
		return;
	oracle->virtual_cpus().vmwrite(cpu, encoding, value);
}

/* reg1 and reg2 as Bochs has them: the type of an invalidation, the field of a VMWRITE. */
void tlbsan_vmx_instruction(unsigned cpu, unsigned reason, bool memory, Bit64u linear,
			    unsigned reg1, unsigned reg2)
{
	VirtualCpus &vcpus = oracle->virtual_cpus();
	uint64_t operand[2] = { 0, 0 };

	switch (reason) {
	case VMX_VMEXIT_VMPTRLD:
		if (memory && read_linear(cpu, linear, 8, operand))
			vcpus.vmptrld(cpu, operand[0]);
		break;
	case VMX_VMEXIT_VMWRITE:
		vmwrite(cpu, memory, linear, reg1, reg2);
		break;
	case VMX_VMEXIT_INVEPT:
		if (read_linear(cpu, linear, 16, operand))
			vcpus.invept(cpu, { unsigned(general_register(cpu, reg1)), operand[0], 0 });
		break;
	case VMX_VMEXIT_INVVPID:
		if (read_linear(cpu, linear, 16, operand) && !(operand[0] >> 16))
			vcpus.invvpid(cpu, { unsigned(general_register(cpu, reg1)),
					     uint16_t(operand[0]), operand[1] });
		break;
	case VMX_VMEXIT_INVPCID:
		if (read_linear(cpu, linear, 16, operand))
			invpcid(cpu, general_register(cpu, reg1), operand);
		break;
	}
}

namespace tlbsan {

/* The address spaces of the L2 that an L1 is about to enter by an enlightened VMCS. */
static Vmcs12 enlightened(unsigned cpu, L1Memory &memory)
{
	const uint64_t assist_page = memory.assist_page;
	Vmcs12 vmcs12;
	uint8_t enlighten = 0;
	uint32_t control = 0, features = 0;
	uint64_t evmcs = 0;

	if (!assist_page ||
	    !read_guest(cpu, assist_page + ASSIST_ENLIGHTEN_VMENTRY, 1, &enlighten) || !enlighten ||
	    !read_guest(cpu, assist_page + ASSIST_CURRENT_VMCS, 8, &evmcs) || !evmcs || evmcs & 0xfff)
		return {};
	vmcs12.known = read_guest(cpu, evmcs + EVMCS_SECONDARY_CONTROLS, 4, &vmcs12.controls) &&
		       read_guest(cpu, evmcs + EVMCS_VPID, 2, &vmcs12.vpid) &&
		       read_guest(cpu, evmcs + EVMCS_EPTP, 8, &vmcs12.eptp) &&
		       read_guest(cpu, evmcs + EVMCS_ENLIGHTENMENTS_CONTROL, 4, &control) &&
		       read_guest(cpu, evmcs + EVMCS_VP_ID, 4, &vmcs12.vp_id) &&
		       read_guest(cpu, evmcs + EVMCS_VM_ID, 8, &vmcs12.vm_id) &&
		       read_guest(cpu, assist_page + ASSIST_NESTED_FEATURES, 4, &features);
	vmcs12.direct_flush = control & NESTED_FLUSH_HYPERCALL && features & DIRECT_HYPERCALL;
	memory.evmcs = evmcs;
	return vmcs12;
}

static void read_eptp_list(unsigned cpu)
{
	uint64_t list = oracle->virtual_cpus().eptp_list(cpu);
	std::vector<uint64_t> eptps(512);

	if (list && read_guest(cpu, list & FRAME, eptps.size() * sizeof(eptps[0]), eptps.data()))
		oracle->virtual_cpus().has_eptp_list(cpu, eptps);
}

void end_guest_vmx(unsigned cpu, uint16_t reason)
{
	VirtualCpus &vcpus = oracle->virtual_cpus();
	L1Memory *memory = vcpus.l1_memory(cpu);
	uint32_t msr = general_register(cpu, BX_64BIT_REG_RCX);

	if (memory && reason == VMX_VMEXIT_WRMSR && msr == MSR_VP_ASSIST_PAGE)
		memory->assist_page = msr_value(cpu) & 1 ? msr_value(cpu) & FRAME : 0;
	if (memory && (reason == VMX_VMEXIT_VMLAUNCH || reason == VMX_VMEXIT_VMRESUME)) {
		memory->evmcs = 0;
		vcpus.launches_evmcs(cpu, enlightened(cpu, *memory));
		read_eptp_list(cpu);
	}
	/* VM function 0, EPTP switching, SDM 26.5.6.3 */
	if (reason == VMX_VMEXIT_VMFUNC && uint32_t(general_register(cpu, BX_64BIT_REG_RAX)) == 0)
		vcpus.switches_eptp(cpu, uint32_t(general_register(cpu, BX_64BIT_REG_RCX)));
}

bool trap_after_flush(unsigned cpu)
{
	const L1Memory *memory = oracle->virtual_cpus().l1_memory(cpu);
	uint32_t reason = 0;

	return memory && memory->evmcs &&
	       read_guest(cpu, memory->evmcs + EVMCS_EXIT_REASON, 4, &reason) &&
	       reason == SYNTHETIC_TRAP_AFTER_FLUSH;
}

} /* namespace tlbsan */
