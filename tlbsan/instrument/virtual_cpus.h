/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual CPUs that the hypervisor under test presents, and the invalidations that
 * are guaranteed to them (promises.h).
 *
 * An L1 runs under virtual VPID 0, its L2 under vpid12 and the EP4TA of eptp12
 * (0 for each that is off).  An operation counts
 *	- when the guest executes it, if the hardware lets it;
 *	- at its VM exit, if an L1 leaves it to the hypervisor; INVVPID and INVEPT, which
 *	  can fail, at the next VM entry, if RFLAGS and RIP show success;
 *	- when the L2 runs on, if an L2 does: had L1 run in between, it would have
 *	  been L1's to carry out, and L1's own operations speak for it;
 *	- at the next VM entry, for a change of CR0 or CR4 by a VM exit, for a CR3 that
 *	  the hypervisor changed by itself, for an SMI, and for RSM if no #UD comes of it;
 *	- when the call returns, if it is a hypercall that flushes other virtual CPUs
 *	  too: as of the moment of the call;
 *	- when it is seen, if it is a paravirtual flush: one virtual CPU sets a bit for
 *	  another that does not run.
 * L1's VM entry and the exit to it invalidate virtual VPID 0 if its vmcs12 has
 * VPID off; so does its L2's VMFUNC.  An SMI always does, and RSM invalidates all
 * virtual VPIDs.
 */
#ifndef TLBSAN_VIRTUAL_CPUS_H
#define TLBSAN_VIRTUAL_CPUS_H

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "events.h"
#include "flush_hypercalls.h"
#include "promises.h"
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

/* Where an L1 has what it shares with the hypervisor, guest-physical; 0: nowhere. */
struct L1Memory {
	uint64_t steal_time = 0;
	uint64_t assist_page = 0;	/* Hyper-V's */
	uint64_t evmcs = 0;		/* that it launched last, if it was enlightened */
};

class VirtualCpus {
public:
	/* Reads a byte of the host's memory; false if there is none. */
	using ReadByte = std::function<bool(uint64_t host, uint8_t &byte)>;

	VirtualCpus(const VmcsLevels &levels, Clock &clock) : levels(levels), clock(clock) {}

	/* Call after the levels were told. */
	void entered(const VmEntry &entry, const GuestRegisters &registers);
	/* Call before the levels are told. */
	void exited(const VmExit &exit, const GuestRegisters &registers);

	/* Operations of the guest that runs on this CPU, which the hardware ... */
	void executed(unsigned cpu, const GuestOperation &operation);
	/* ... or the hypervisor carries out; told before the exit, so they have their RIP. */
	void asked(unsigned cpu, const GuestOperation &operation);

	/* Instructions of an L1 that left for the hypervisor. */
	void vmptrld(unsigned cpu, uint64_t vmptr12);
	void vmwrite(unsigned cpu, uint64_t field, uint64_t value);
	void launches_evmcs(unsigned cpu, const Vmcs12 &evmcs);
	void invvpid(unsigned cpu, const Invvpid &inv);
	void invept(unsigned cpu, const Invept &inv);
	/* Where L1's EPTP list is, 0 if its vmcs12 has none; and what is on it. */
	uint64_t eptp_list(unsigned cpu) const;
	void has_eptp_list(unsigned cpu, const std::vector<uint64_t> &eptps);

	/* VMFUNC 0 of an L2 that left for the hypervisor. */
	void switches_eptp(unsigned cpu, uint64_t index);

	/* Hyper-V's interface: a guest turns it on, asks for its VP index, calls. */
	void has_hyperv(unsigned cpu);
	bool may_flush_others(unsigned cpu) const;
	void asks_vp_index(unsigned cpu);
	void calls(unsigned cpu, const FlushCall &call, uint64_t rip);

	/*
	 * The L1 that this CPU runs; nullptr if it does not run one.  Only with its VMCS can
	 * its memory be read.
	 */
	L1Memory *l1_memory(unsigned cpu);

	/* KVM's paravirtual flush: the byte that other virtual CPUs write; 0: none. */
	void steal_time(unsigned cpu, uint64_t host);
	void look_for_pv_flushes(const ReadByte &read);

	/* The context of the guest that runs on this CPU. */
	VirtualTag context(unsigned cpu) const;
	/* When its state was set from outside, over that of an L2; 0: it was not. */
	Time restored(unsigned cpu) const;
	/* The newest guarantee for an entry made under cr3; see Name. */
	Time promised(unsigned cpu, const Name &name, uint64_t cr3) const;
	/* What was guaranteed since a time, newest first. */
	std::vector<Operation> promised_since(unsigned cpu, Time time) const;
	/* What was guaranteed at a time, if that is still known. */
	Action promised_at(unsigned cpu, Time time) const;
	/* How many guarantees were too many to keep, since this was last asked. */
	uint64_t take_forgotten();

private:
	/* A hypercall that has not returned. */
	struct Call {
		FlushCall flush;
		Operation what;
		bool by_l2 = false;
	};

	/* An L2 that the calls of other L2s can name, and its address space. */
	struct Target {
		VirtualProcessor processor;
		uint16_t vpid = 0;
		uint64_t ep4ta = 0;

		bool operator==(const Target &) const = default;
	};

	struct Cpu {
		unsigned number = 0;
		unsigned life = 0;	/* of the VMCS that is its key */
		uint64_t host_cr3 = 0;
		Promises promises;
		uint64_t vmptr12 = 0;
		Vmcs12 evmcs;		/* of the entry that L1 asks for now, if known */
		VirtualTag l2;
		Vmcs12 l2_vmcs12;	/* of its last L2 */
		bool l2_enlightened = false;
		std::deque<Target> targets;	/* the L2s that it entered, the newest first */
		bool in_l2 = false;
		Time restored = 0;	/* when this L2 took another's place without L1 */
		std::vector<GuestOperation> asked_by_l2;
		/* of L1, and not known to have succeeded */
		std::optional<Invvpid> invvpid;
		std::optional<Invept> invept;
		std::optional<uint64_t> eptp_switch;
		std::optional<Call> call;
		std::optional<uint32_t> vp_index;
		bool asks_vp_index = false;
		L1Memory memory;
		uint64_t steal_time = 0;
		/* the last exit */
		uint64_t vmcs = 0;
		unsigned vmcs_life = 0;
		uint16_t reason = 0;
		GuestRegisters registers;
	};

	Cpu &of(uint64_t vmcs);
	const Cpu *running(unsigned cpu) const;
	Cpu *running(unsigned cpu);
	Operation now(Action action, const Cpu &vcpu, uint64_t a = 0, uint64_t b = 0);
	Vmcs12 &current_vmcs12(const Cpu &vcpu);
	void l1_invalidated(Cpu &vcpu, const GuestRegisters &now);
	bool resumed_from_smm(Cpu &vcpu, const GuestRegisters &now);
	void enters_l2(Cpu &vcpu, bool resumed);
	void is_target(Cpu &vcpu);
	void leaves_l2(Cpu &vcpu);
	void restored_l2(Cpu &vcpu);
	void goes_on(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &now);
	void registers_changed(Cpu &vcpu, const VmEntry &entry, const GuestRegisters &now);
	void flush_l2s(Cpu &target, const Cpu &caller, const Call &call);
	void call_returned(Cpu &vcpu, const GuestRegisters &now, bool to_l2);
	void promise(Cpu &vcpu, const GuestOperation &operation);

	const VmcsLevels &levels;
	Clock &clock;
	unsigned last_number = 0, last_visit = 0;
	uint64_t forgotten = 0;
	/* L1's VMCS -> its virtual CPU */
	std::unordered_map<uint64_t, std::unique_ptr<Cpu>> cpus;
	/*
	 * Process -> address of a vmcs12 in its guest -> what the guest wrote there.  It
	 * may take it to another virtual CPU.
	 */
	std::unordered_map<uint64_t, std::unordered_map<uint64_t, Vmcs12>> vmcs12s;
	/* processes whose guests use Hyper-V's interface */
	std::unordered_set<uint64_t> hyperv;
};

} /* namespace tlbsan */

#endif
