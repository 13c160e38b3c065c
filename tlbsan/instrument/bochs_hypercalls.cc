/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guests tell the hypervisor without an instruction for it:
 * Hyper-V's MSRs and hypercalls, KVM's steal time; read at their VM exits.
 */
#include <vector>

#include "bochs_glue.h"
#include "flush_hypercalls.h"
#include "memory/memory-bochs.h"

using namespace tlbsan;

/* Hyper-V TLFS, synthetic MSRs; KVM: Documentation/virt/kvm/x86/msr.rst */
enum : uint32_t {
	MSR_HV_GUEST_OS_ID = 0x40000000,
	MSR_HV_VP_INDEX = 0x40000002,
	MSR_KVM_STEAL_TIME = 0x4b564d03,
};

/* struct kvm_steal_time: steal, version, flags, preempted */
static const uint64_t PREEMPTED = 16;

static const uint64_t FAST = 1 << 16;

namespace tlbsan {

bool host_address(unsigned cpu, uint64_t guest, uint64_t &host)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bx_phy_address at;

	if (!c->vmcs.vmexec_ctrls2.EPT_ENABLE() || !c->dbg_translate_guest_physical_ept(guest, &at))
		return false;
	host = at;
	return true;
}

bool read_guest(unsigned cpu, uint64_t guest, unsigned length, void *to)
{
	uint64_t host;

	return host_address(cpu, guest, host) &&
	       BX_MEM(0)->dbg_fetch_mem(BX_CPU(cpu), host, length, static_cast<Bit8u *>(to));
}

uint64_t msr_value(unsigned cpu)
{
	return uint32_t(general_register(cpu, BX_64BIT_REG_RAX)) |
	       general_register(cpu, BX_64BIT_REG_RDX) << 32;
}

} /* namespace tlbsan */

static void add_bytes(std::vector<uint8_t> &bytes, const void *from, size_t length)
{
	const uint8_t *at = static_cast<const uint8_t *>(from);

	bytes.insert(bytes.end(), at, at + length);
}

static CallRegisters call_registers(unsigned cpu)
{
	return {
		.wide = BX_CPU(cpu)->long64_mode(),
		.rax = general_register(cpu, BX_64BIT_REG_RAX),
		.rbx = general_register(cpu, BX_64BIT_REG_RBX),
		.rcx = general_register(cpu, BX_64BIT_REG_RCX),
		.rdx = general_register(cpu, BX_64BIT_REG_RDX),
		.rsi = general_register(cpu, BX_64BIT_REG_RSI),
		.rdi = general_register(cpu, BX_64BIT_REG_RDI),
		.r8 = general_register(cpu, BX_64BIT_REG_R8),
	};
}

/* The input of a hypercall; shorter than asked for if not all of it can be read. */
static std::vector<uint8_t> hypercall_input(unsigned cpu, const CallRegisters &registers)
{
	BX_CPU_C *c = BX_CPU(cpu);
	uint64_t input = call_input(registers), second = call_second_word(registers);
	std::vector<uint8_t> bytes;

	if (call_control(registers) & FAST) {
		add_bytes(bytes, &input, sizeof(input));
		add_bytes(bytes, &second, sizeof(second));
		for (unsigned i = 0; i < 6; i++)
			add_bytes(bytes, &c->vmm[i].vmm64u(0), 16);
		return bytes;
	}
	/* TLFS 3.8: input does not cross a page */
	bytes.resize(most_input - (input & 0xfff));
	if (!read_guest(cpu, input, bytes.size(), bytes.data()))
		bytes.clear();
	return bytes;
}

static void hypercall(unsigned cpu)
{
	CallRegisters registers = call_registers(cpu);
	uint64_t control = call_control(registers);
	VirtualCpus &vcpus = oracle->virtual_cpus();

	if (!vcpus.may_flush_others(cpu) || !is_flush_call(control))
		return;

	std::optional<FlushCall> call = read_flush_call(control, hypercall_input(cpu, registers));

	if (call)
		vcpus.calls(cpu, *call, BX_CPU(cpu)->prev_rip);
}

static bool read_byte(uint64_t host, uint8_t &byte)
{
	return BX_MEM(0)->dbg_fetch_mem(BX_CPU(0), host, 1, &byte);
}

/* At each exit: its memory may have moved. */
static void steal_time(unsigned cpu, bool written)
{
	L1Memory *memory = oracle->virtual_cpus().l1_memory(cpu);
	uint64_t host = 0;

	if (!memory)
		return;
	if (written)
		memory->steal_time = msr_value(cpu) & 1 ? msr_value(cpu) & ~uint64_t(63) : 0;
	if (memory->steal_time)
		host_address(cpu, memory->steal_time + PREEMPTED, host);
	oracle->virtual_cpus().steal_time(cpu, host);
}

namespace tlbsan {

void end_guest_hypercalls(unsigned cpu, uint16_t reason)
{
	uint32_t msr = general_register(cpu, BX_64BIT_REG_RCX);
	VirtualCpus &vcpus = oracle->virtual_cpus();

	if (reason == VMX_VMEXIT_VMCALL)
		hypercall(cpu);
	if (reason == VMX_VMEXIT_RDMSR && msr == MSR_HV_VP_INDEX)
		vcpus.asks_vp_index(cpu);
	/* TLFS 3.13: hypercalls work once the guest has set its OS id */
	if (reason == VMX_VMEXIT_WRMSR && msr == MSR_HV_GUEST_OS_ID && msr_value(cpu))
		vcpus.has_hyperv(cpu);
	steal_time(cpu, reason == VMX_VMEXIT_WRMSR && msr == MSR_KVM_STEAL_TIME);
	vcpus.look_for_pv_flushes(read_byte);
}

} /* namespace tlbsan */
