/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX instructions and INVPCID of guests, read with their operands at the VM
 * exit that they cause; and the enlightened VMCS, which an L1 on KVM's Hyper-V
 * interface fills without any instruction that exits.
 */
#include <map>

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
};

/* VP assist page of an L1, by its VMCS */
static std::map<uint64_t, uint64_t> assist_pages;

static uint64_t general_register(unsigned cpu, unsigned number)
{
	return BX_CPU(cpu)->gen_reg[number].rrx;
}

static bool read_linear(unsigned cpu, uint64_t linear, unsigned length, void *to)
{
	bx_phy_address at;

	if ((linear & 0xfff) + length > 0x1000 || !BX_CPU(cpu)->dbg_xlate_linear2phy(linear, &at))
		return false;
	return BX_MEM(0)->dbg_fetch_mem(BX_CPU(cpu), at, length, static_cast<Bit8u *>(to));
}

static bool read_guest(unsigned cpu, uint64_t guest, unsigned length, void *to)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bx_phy_address at = guest;

	if (c->vmcs.vmexec_ctrls2.EPT_ENABLE() && !c->dbg_translate_guest_physical_ept(guest, &at))
		return false;
	return BX_MEM(0)->dbg_fetch_mem(c, at, length, static_cast<Bit8u *>(to));
}

static void invpcid(unsigned cpu, uint64_t type, const uint64_t *descriptor)
{
	static const Scope scopes[] = {
		Scope::pcid_address, Scope::pcid, Scope::all, Scope::all_but_globals,
	};

	if (type < 4 && !(descriptor[0] >> 12))
		oracle->virtual_cpus().asked(cpu, { scopes[type], uint16_t(descriptor[0]),
						    descriptor[1] });
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
static Vmcs12 enlightened(unsigned cpu, uint64_t assist_page)
{
	Vmcs12 vmcs12;
	uint8_t enlighten = 0;
	uint64_t evmcs = 0;

	if (!assist_page ||
	    !read_guest(cpu, assist_page + ASSIST_ENLIGHTEN_VMENTRY, 1, &enlighten) || !enlighten ||
	    !read_guest(cpu, assist_page + ASSIST_CURRENT_VMCS, 8, &evmcs) || !evmcs || evmcs & 0xfff)
		return {};
	vmcs12.known = read_guest(cpu, evmcs + EVMCS_SECONDARY_CONTROLS, 4, &vmcs12.controls) &&
		       read_guest(cpu, evmcs + EVMCS_VPID, 2, &vmcs12.vpid) &&
		       read_guest(cpu, evmcs + EVMCS_EPTP, 8, &vmcs12.eptp);
	return vmcs12;
}

void end_guest_vmx(unsigned cpu, uint16_t reason)
{
	uint64_t &assist_page = assist_pages[BX_CPU(cpu)->vmcsptr];

	if (reason == VMX_VMEXIT_WRMSR && uint32_t(general_register(cpu, 1)) == MSR_VP_ASSIST_PAGE) {
		uint64_t value = uint32_t(general_register(cpu, 0)) | general_register(cpu, 2) << 32;

		assist_page = value & 1 ? value & FRAME : 0;
	}
	if (reason == VMX_VMEXIT_VMLAUNCH || reason == VMX_VMEXIT_VMRESUME)
		oracle->virtual_cpus().launches_evmcs(cpu, enlightened(cpu, assist_page));
}

} /* namespace tlbsan */
