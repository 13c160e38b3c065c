/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An emulated machine to run the oracle on: streams of events in few words, and the
 * reports that come out.
 */
#ifndef TLBSAN_TESTS_ORACLE_MACHINE_H
#define TLBSAN_TESTS_ORACLE_MACHINE_H

#include <string>
#include <vector>

#include "exit_reasons.h"
#include "ktap.h"
#include "oracle.h"

namespace tlbsan {

inline constexpr uint64_t vmcs01 = 0x1000, vmcs02 = 0x2000, other_vmcs = 0x3000;
inline constexpr uint64_t root01 = 0x10000, root02 = 0x20000, root_smm = 0x30000;
inline constexpr uint16_t vpid01 = 1, vpid02 = 2;
inline constexpr uint64_t linear = 0x7f0012345000;
inline constexpr uint64_t guest_a = 0x100000, guest_b = 0x200000;
inline constexpr uint64_t host_a = 0x5100000, host_b = 0x5200000;
inline constexpr uint16_t EXIT_EXCEPTION = 0, EXIT_INTERRUPT = 1, EXIT_VMCALL = 18;

class Machine {
public:
	VmcsLevels levels;
	std::vector<Report> reports;
	Oracle oracle { 2, levels, [this](const Report &report) { reports.push_back(report); } };

	bool ept = true;
	uint64_t cr3 = 0x9000;
	uint64_t apic_page = 0;
	uint16_t pcid = 0;
	uint64_t instructions = 0;
	GuestRegisters registers = { .cr0 = 1u << 31, .cr3 = 0x9000, .cr4 = 0 };

	void enter(uint64_t vmcs, uint16_t vpid, uint64_t root, unsigned cpu = 0)
	{
		VmEntry entry = { .cpu = cpu, .instructions = instructions, .vmcs = vmcs, .vpid = vpid,
				  .ep4ta = ept ? root : 0, .host_rsp = 0x8000,
				  .vmread_bitmap = vmcs != vmcs02 };

		at[cpu] = { vmcs, { vpid, 0, entry.ep4ta } };
		levels.entered(entry);
		oracle.entered(entry, registers);
	}

	void exit(uint16_t reason = EXIT_VMCALL, unsigned cpu = 0)
	{
		VmExit exit = { .cpu = cpu, .instructions = 0, .reason = reason,
				.failed_entry = false };

		oracle.exited(exit, registers);
		levels.exited(exit);
	}

	void enter_l1(unsigned cpu = 0)
	{
		enter(vmcs01, vpid01, root01, cpu);
	}

	void enter_l2(unsigned cpu = 0)
	{
		levels.loaded({ .vmcs = vmcs02, .previous = vmcs01, .previous_vpid = vpid01 });
		enter(vmcs02, vpid02, root02, cpu);
	}

	/* L1 describes its L2 and launches it. */
	void nest(uint32_t vpid12, uint64_t eptp12)
	{
		VirtualCpus &vcpus = oracle.virtual_cpus();

		enter_l1();
		vcpus.vmptrld(0, 0xa000);
		vcpus.vmwrite(0, 0x0000, vpid12);
		vcpus.vmwrite(0, 0x201a, eptp12);
		vcpus.vmwrite(0, 0x401e, (vpid12 ? 1 << 5 : 0) | (eptp12 ? 1 << 1 : 0));
		exit(EXIT_VMLAUNCH);
		enter_l2();
	}

	/* From L2 to its L1 and back, with L1 doing this in between. */
	template <class Do> void in_l1(Do action)
	{
		exit();
		enter_l1();
		action();
		exit(EXIT_VMRESUME);
		enter_l2();
	}

	/* An instruction of L1 that its hypervisor carries out. */
	void l1_invvpid(const Invvpid &inv)
	{
		oracle.virtual_cpus().invvpid(0, inv);
		exit(EXIT_INVVPID);
		registers.rip += 5;
		enter_l1();
	}

	void l1_invept(const Invept &inv)
	{
		oracle.virtual_cpus().invept(0, inv);
		exit(EXIT_INVEPT);
		registers.rip += 5;
		enter_l1();
	}

	/* An SMI ends whoever runs: L1 begins to run the handler. */
	void smi()
	{
		exit(EXIT_INTERRUPT);
		registers.at_smi_handler = true;
		enter(vmcs01, vpid01, root_smm);
		registers.at_smi_handler = false;
	}

	/* RSM: what was interrupted is entered next. */
	void rsm()
	{
		registers.at_rsm = true;
		exit(EXIT_EXCEPTION);
		registers.at_rsm = false;
	}

	void invvpid(unsigned type, uint16_t vpid = 0, uint64_t address = 0, unsigned cpu = 0)
	{
		oracle.invvpid(cpu, { .type = type, .vpid = vpid, .linear = address });
	}

	void invept(unsigned type, uint64_t eptp = 0, unsigned cpu = 0)
	{
		oracle.invept(cpu, { .type = type, .eptp = eptp, .loaded_eptp = 0 });
	}

	void executes(Scope scope, uint64_t address = 0, unsigned cpu = 0)
	{
		oracle.executed(cpu, at[cpu].tag.vpid, { scope, pcid, address });
	}

	Place place(unsigned cpu = 0) const
	{
		Place place = { .cpu = cpu, .instructions = instructions, .vmcs = at[cpu].vmcs, .tag = at[cpu].tag, .cr3 = cr3, .apic_page = apic_page };

		place.tag.pcid = pcid;
		return place;
	}

	Walk a_walk(uint64_t guest, uint64_t host, unsigned cpu = 0) const
	{
		return { .at = place(cpu), .linear = linear, .guest = guest, .host = host,
			 .allowed = { .write = true, .execute = true }, .user = true };
	}

	void walk(uint64_t guest, uint64_t host, unsigned cpu = 0)
	{
		oracle.walked(a_walk(guest, host, cpu));
	}

	/* L1 uses a page before and after its entry in the EPT has changed: a deferred report. */
	void defers_a_report()
	{
		enter_l1();
		walk(guest_a, host_a);
		walk(guest_a, host_b);
	}

	void fault(const Rights &wanted = {}, bool user = false)
	{
		oracle.faulted({ .at = place(), .linear = linear, .wanted = wanted, .user = user });
	}

	/* The guest runs long enough for every flush that is still to come. */
	void wait()
	{
		exit();
		instructions += Oracle::patience;
		enter(at[0].vmcs, at[0].tag.vpid, ept ? at[0].tag.ep4ta : 0);
	}

	/* "stale other_page", "guestowned other_page", ..., "" for none; forgets them. */
	std::string verdict()
	{
		std::string text;

		wait();

		for (const Report &report : reports) {
			text += text.empty() ? "" : ", ";
			text += report.cause == Cause::guest ? "guestowned " : "stale ";
			text += finding_name(report.finding);
		}
		reports.clear();
		return text;
	}

private:
	struct Running {
		uint64_t vmcs = 0;
		Tag tag;
	};

	Running at[2];
};

} /* namespace tlbsan */

#endif
