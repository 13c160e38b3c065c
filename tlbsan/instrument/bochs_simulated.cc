/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From Bochs to the simulated TLB: each access, and each operation that invalidates,
 * of guests and of the hypervisor (VPID 0).
 *
 * Bochs has a TLB of its own and calls for each access, hit or miss, except those of its
 * fast string instructions, which bochs.patch makes call once a page.  It also calls for
 * each page that instructions are fetched from again.  How a page is mapped is known
 * from Bochs' last walk for it, which came before any access that can miss here.
 */
#include <cinttypes>
#include <unordered_map>
#include <vector>

#include "bochs_glue.h"
#include "effects.h"
#include "output.h"
#include "simulated_tlb.h"

namespace tlbsan {

/* Known mappings of a CPU before they are forgotten when a guest begins. */
static const size_t most_mappings = 1 << 14;

struct SimulatedCpu {
	explicit SimulatedCpu(const TlbSizes &sizes) : tlb(sizes) {}

	SimulatedTlb tlb;
	bool guest = false;
	uint16_t vpid = 0;
	/* what the last walk for a 4 KiB page found */
	std::unordered_map<uint64_t, Mapping> mappings;
	uint8_t ept_shift = 12;			/* of the last EPT walk */
	GuestRegisters before;			/* the next MOV to CR0 or CR4 */
	bool keep_pcid = false;			/* MOV to CR3 with bit 63 */
};

static std::vector<SimulatedCpu> cpus;
static TlbSizes sizes;

static bool ept_on(const BX_CPU_C *cpu)
{
	return cpu->in_vmx_guest && cpu->vmcs.vmexec_ctrls2.EPT_ENABLE();
}

static Tag tag_now(const BX_CPU_C *cpu)
{
	if (cpu->in_vmx_guest)
		return tag_of(cpu);
	return { .pcid = uint16_t(cpu->cr4.get_PCIDE() ? cpu->cr3 & 0xfff : 0) };
}

static GuestRegisters registers_now(const BX_CPU_C *cpu)
{
	return { .cr0 = cpu->cr0.get32(), .cr3 = cpu->cr3, .cr4 = cpu->cr4.get32() };
}

/* False where nothing is translated. */
static bool translated(const BX_CPU_C *cpu, Access &access)
{
	access.tag = tag_now(cpu);
	if (cpu->cr0.get_PG())
		return true;
	access.kind = Kind::guest_physical;
	access.tag = { .ep4ta = access.tag.ep4ta };
	return ept_on(cpu);
}

void simulate(unsigned cpu_count)
{
	std::string text = setting("TLBSAN_SIM");

	if (text.empty())
		return;

	std::string wrong = read_sizes(text, sizes);

	if (!wrong.empty()) {
		fprintf(stderr, "tlbsan: TLBSAN_SIM: %s\n", wrong.c_str());
		exit(EXIT_FAILURE);
	}
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		cpus.emplace_back(sizes);
	tlbsan_simulator_on = true;
}

void simulated_settle(unsigned cpu)
{
	if (tlbsan_simulator_on)
		counting->simulated(cpu, cpus[cpu].vpid, cpus[cpu].tlb.take());
}

void simulated_settle_all()
{
	for (unsigned cpu = 0; cpu < cpus.size(); cpu++)
		simulated_settle(cpu);
}

void simulated_entry(const VmEntry &entry)
{
	SimulatedCpu &cpu = cpus[entry.cpu];

	simulated_settle(entry.cpu);
	cpu.guest = true;
	cpu.vpid = entry.vpid;
	cpu.before = registers_now(BX_CPU(entry.cpu));
	/* Bochs has just forgotten them all. */
	if (cpu.mappings.size() > most_mappings)
		cpu.mappings.clear();
	if (!entry.vpid)
		cpu.tlb.transition_without_vpid();
}

void simulated_exit(unsigned number)
{
	SimulatedCpu &cpu = cpus[number];
	const BX_CPU_C *c = BX_CPU(number);

	simulated_settle(number);
	if (cpu.guest && !cpu.vpid)
		cpu.tlb.transition_without_vpid();
	cpu.guest = false;
	cpu.vpid = 0;
	cpu.before = { .cr0 = c->vmcs.host_state.cr0, .cr3 = c->vmcs.host_state.cr3,
		       .cr4 = c->vmcs.host_state.cr4 };
}

void simulated_invvpid(unsigned cpu, const Invvpid &inv)
{
	cpus[cpu].tlb.invvpid(inv);
}

void simulated_invept(unsigned cpu, const Invept &inv)
{
	cpus[cpu].tlb.invept(inv);
}

void simulated_reset(unsigned cpu)
{
	simulated_settle(cpu);
	cpus[cpu] = SimulatedCpu(sizes);
	cpus[cpu].before = registers_now(BX_CPU(cpu));
}

} /* namespace tlbsan */

using namespace tlbsan;

bool tlbsan_simulator_on;

void tlbsan_sim_access(unsigned number, bool fetch, Bit64u linear)
{
	SimulatedCpu &cpu = cpus[number];
	Access access = { .fetch = fetch, .address = linear };

	if (!translated(BX_CPU(number), access))
		return;
	if (cpu.tlb.access(access) != SimulatedTlb::Found::nowhere)
		return;

	auto mapping = cpu.mappings.find(linear >> 12);

	if (mapping == cpu.mappings.end()) {
		fprintf(stderr, "tlbsan: TLBSAN_SIM: an access to %#" PRIx64 " without a walk before "
			"it: Bochs is not the one that bochs.patch was made for\n", uint64_t(linear));
		exit(EXIT_FAILURE);
	}
	cpu.tlb.fill(access, mapping->second);
}

void tlbsan_sim_ept_walk(unsigned cpu, int level)
{
	cpus[cpu].ept_shift = 12 + 9 * level;
}

/* access: bit 8 global */
void tlbsan_sim_walk(unsigned number, Bit64u linear, Bit32u mask, unsigned access)
{
	SimulatedCpu &cpu = cpus[number];
	const BX_CPU_C *c = BX_CPU(number);
	Mapping &mapping = cpu.mappings[linear >> 12];

	mapping = {};
	if (ept_on(c))
		mapping.ept_shift = cpu.ept_shift;
	if (c->cr0.get_PG()) {
		mapping.shift = mask == 0xfff ? 12 : mask == 0x1fffff ? 21 : mask == 0x3fffff ? 22 : 30;
		mapping.global = access & 0x100;
	} else {
		mapping.shift = mapping.ept_shift;
	}
}

void tlbsan_sim_refused(unsigned cpu, Bit64u linear)
{
	Access access = { .address = linear };

	if (translated(BX_CPU(cpu), access))
		cpus[cpu].tlb.refused(access);
}

/* translates: guest is the translation of linear */
void tlbsan_sim_ept_refused(unsigned cpu, Bit64u guest, Bit64u linear, bool translates)
{
	cpus[cpu].tlb.refused({ .kind = Kind::guest_physical,
				.tag = { .ep4ta = tag_now(BX_CPU(cpu)).ep4ta }, .address = guest });
	if (translates && BX_CPU(cpu)->cr0.get_PG())
		tlbsan_sim_refused(cpu, linear);
}

/* Comes before the MOV, with bit 63 still in place. */
void tlbsan_sim_mov_cr3(unsigned cpu, Bit64u value)
{
	cpus[cpu].keep_pcid = BX_CPU(cpu)->cr4.get_PCIDE() && value >> 63;
}

void tlbsan_sim_tlb_control(unsigned number, unsigned what, Bit64u value)
{
	SimulatedCpu &cpu = cpus[number];
	Tag tag = tag_now(BX_CPU(number));
	GuestRegisters now = registers_now(BX_CPU(number));

	switch (what) {
	case BX_INSTR_MOV_CR3:
		if (!cpu.keep_pcid)
			cpu.tlb.executed(tag.vpid, { Scope::pcid, tag.pcid });
		cpu.keep_pcid = false;
		break;
	case BX_INSTR_TASK_SWITCH:
		cpu.tlb.executed(tag.vpid, { Scope::pcid, tag.pcid });
		break;
	case BX_INSTR_INVLPG:
		cpu.tlb.executed(tag.vpid, { Scope::address, tag.pcid, value });
		break;
	case BX_INSTR_MOV_CR0:
	case BX_INSTR_MOV_CR4:
		if (auto change = change_of(cpu.before, now))
			cpu.tlb.executed(tag.vpid, *change);
		cpu.before = now;
		break;
	}
}

void tlbsan_sim_invpcid(unsigned cpu, unsigned type, unsigned pcid, Bit64u linear)
{
	static const Scope scopes[] = {
		Scope::pcid_address, Scope::pcid, Scope::all, Scope::all_but_globals,
	};

	cpus[cpu].tlb.executed(tag_now(BX_CPU(cpu)).vpid,
			       { scopes[type & 3], uint16_t(pcid), linear });
}
