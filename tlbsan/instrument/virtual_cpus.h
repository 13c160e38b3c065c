/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual CPUs that the hypervisor under test presents, and what it
 * promised them: their own operations invalidate as those of a CPU do, so each
 * virtual CPU has a memory of invalidations under the tags that it knows.
 *
 * An L1 runs under virtual VPID 0, its L2 under vpid12 and the EP4TA of eptp12
 * (0 for each that is off).  An operation counts
 *	- when the guest executes it, if the hardware lets it;
 *	- at its VM exit, if an L1 leaves it to the hypervisor;
 *	- when the L2 runs on, if an L2 does: had L1 run in between, it would have
 *	  been L1's to carry out, and L1's own operations speak for it;
 *	- at the next VM entry, for a change of CR0 or CR4 by a VM exit, and for a CR3
 *	  that the hypervisor changed by itself.
 * L1's VM entry and the exit to it invalidate virtual VPID 0 if its vmcs12 has
 * VPID off.
 */
#ifndef TLBSAN_VIRTUAL_CPUS_H
#define TLBSAN_VIRTUAL_CPUS_H

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "events.h"
#include "invalidations.h"
#include "remembered.h"
#include "vmcs_levels.h"
#include "walk_events.h"

namespace tlbsan {

/* Gives operations their order, over all CPUs. */
class Clock {
public:
	Time now() const { return time; }
	Time tick() { return ++time; }

private:
	Time time = 1;
};

class VirtualCpus {
public:
	VirtualCpus(const VmcsLevels &levels, Clock &clock) : levels(levels), clock(clock) {}

	/* Call after the levels were told. */
	void entered(const VmEntry &entry, const GuestRegisters &registers);
	/* Call before the levels are told. */
	void exited(const VmExit &exit, const GuestRegisters &registers);

	/* Operations of the guest that runs on this CPU, which the hardware ... */
	void executed(unsigned cpu, const GuestOperation &operation);
	/* ... or the hypervisor carries out. */
	void asked(unsigned cpu, const GuestOperation &operation);

	/* Instructions of an L1 that left for the hypervisor. */
	void vmptrld(unsigned cpu, uint64_t vmptr12);
	void vmwrite(unsigned cpu, uint64_t field, uint64_t value);
	void launches_evmcs(unsigned cpu, const Vmcs12 &evmcs);
	void invvpid(unsigned cpu, const Invvpid &inv);
	void invept(unsigned cpu, const Invept &inv);

	/* The context of the guest that runs on this CPU. */
	VirtualTag context(unsigned cpu) const;
	/* Newest operation that it was promised for a linear address; see Name. */
	Time promised(unsigned cpu, const Name &name) const;

private:
	struct Cpu {
		unsigned number = 0;
		unsigned life = 0;	/* of the VMCS that is its key */
		Invalidations promises;
		std::unordered_map<uint64_t, Vmcs12> vmcs12s;
		uint64_t vmptr12 = 0;
		Vmcs12 evmcs;		/* of the entry that L1 asks for now, if known */
		VirtualTag l2;
		bool in_l2 = false;
		std::vector<GuestOperation> asked_by_l2;
		/* the last exit */
		uint64_t vmcs = 0;
		uint16_t reason = 0;
		GuestRegisters registers;
	};

	Cpu &of(uint64_t vmcs);
	const Cpu *running(unsigned cpu) const;
	Cpu *running(unsigned cpu);
	void enters_l2(Cpu &vcpu);
	void leaves_l2(Cpu &vcpu);
	void registers_changed(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &now);
	void promise(Cpu &vcpu, const GuestOperation &operation);

	const VmcsLevels &levels;
	Clock &clock;
	unsigned last_number = 0;
	/* L1's VMCS -> its virtual CPU */
	std::unordered_map<uint64_t, std::unique_ptr<Cpu>> cpus;
};

/* Carry an operation out on the invalidations of a CPU, virtual or not. */
void apply(Invalidations &invalidations, Time time, uint16_t vpid, const GuestOperation &operation);

} /* namespace tlbsan */

#endif
