/* SPDX-License-Identifier: GPL-2.0 */
#include "oracle.h"

#include <algorithm>
#include <utility>

namespace tlbsan {

Oracle::Oracle(unsigned cpus, const VmcsLevels &levels, Sink sink, const Limits &limits)
	: levels(levels), sink(std::move(sink)), vcpus(levels, clock), cpus(cpus), limits(limits)
{
}

void Oracle::operation(unsigned cpu, Time time, Action action, uint64_t rip, uint64_t a,
		       uint64_t b)
{
	cpus.at(cpu).operations.add({ time, action, a, b, rip, levels.level(cpu) });
}

/*
 * Once every entry and every deferred report is swept, the single addresses have done
 * their work.
 */
void Oracle::limit(Cpu &cpu)
{
	size_t names = cpu.memory.size();

	if (cpu.invalidations.addresses() < limits.addresses &&
	    names < std::max(cpu.next_sweep, limits.names / 4))
		return;
	std::erase_if(cpu.suspects, [&](const Suspect &suspect) {
		return cpu.invalidations.newest(suspect.name) > suspect.report.old.read;
	});
	cpu.memory.sweep(cpu.invalidations);
	cpu.invalidations.forget_addresses();
	if (cpu.memory.size() >= limits.names) {
		account.forgotten += cpu.memory.size();
		cpu.memory.clear();
	}
	cpu.next_sweep = std::min(2 * cpu.memory.size(), limits.names);
}

Account Oracle::take_account()
{
	account.forgotten += vcpus.take_forgotten();
	return std::exchange(account, {});
}

void Oracle::entered(const VmEntry &entry, const GuestRegisters &registers)
{
	Cpu &cpu = cpus.at(entry.cpu);

	vcpus.entered(entry, registers);
	cpu.vpid = entry.vpid;
	if (!entry.vpid) {
		Time time = clock.tick();

		cpu.invalidations.vpid(time, 0);
		operation(entry.cpu, time, Action::entry_without_vpid, 0);
	}
	settle(cpu, entry);
	limit(cpu);
}

void Oracle::settle(Cpu &cpu, const VmEntry &entry)
{
	auto runs = [&](const Tag &tag) {
		return tag.ep4ta ? tag.ep4ta == entry.ep4ta : tag.vpid == entry.vpid;
	};

	for (Suspect &suspect : cpu.suspects)
		suspect.entered |= runs(suspect.name.tag);
	std::erase_if(cpu.suspects, [&](const Suspect &suspect) {
		const Report &report = suspect.report;

		if (!runs(suspect.name.tag))
			return false;
		if (cpu.invalidations.newest(suspect.name) > report.old.read)
			return true;
		if (entry.instructions - report.now.instructions < limits.patience)
			return false;
		sink(report);
		return true;
	});
}

/* No flush of this CPU is to come. */
void Oracle::end_suspects(Cpu &cpu)
{
	for (const Suspect &suspect : cpu.suspects) {
		if (cpu.invalidations.newest(suspect.name) > suspect.report.old.read)
			continue;
		if (suspect.entered)
			sink(suspect.report);
		else
			account.dropped++;
	}
	cpu.suspects.clear();
}

void Oracle::settle_all()
{
	for (Cpu &cpu : cpus)
		end_suspects(cpu);
}

void Oracle::exited(const VmExit &exit, const GuestRegisters &registers)
{
	Cpu &cpu = cpus.at(exit.cpu);

	vcpus.exited(exit, registers);
	if (!cpu.vpid) {
		Time time = clock.tick();

		cpu.invalidations.vpid(time, 0);
		operation(exit.cpu, time, Action::exit_without_vpid, registers.rip, exit.reason);
	}
}

void Oracle::reset(unsigned cpu)
{
	end_suspects(cpus.at(cpu));
	cpus.at(cpu) = Cpu();
}

void Oracle::invvpid(unsigned cpu, const Invvpid &inv)
{
	Invalidations &invalidations = cpus.at(cpu).invalidations;
	Time time = clock.tick();

	switch (inv.type) {
	case 0:
		invalidations.vpid_address(time, inv.vpid, inv.linear);
		return operation(cpu, time, Action::invvpid_address, inv.rip, inv.vpid, inv.linear);
	case 1:
		invalidations.vpid(time, inv.vpid);
		return operation(cpu, time, Action::invvpid_single, inv.rip, inv.vpid);
	case 2:
		invalidations.all_vpids(time);
		return operation(cpu, time, Action::invvpid_all, inv.rip);
	case 3:
		invalidations.vpid_but_globals(time, inv.vpid);
		return operation(cpu, time, Action::invvpid_but_globals, inv.rip, inv.vpid);
	}
}

void Oracle::invept(unsigned cpu, const Invept &inv)
{
	Invalidations &invalidations = cpus.at(cpu).invalidations;
	Time time = clock.tick();

	if (inv.type == 1) {
		invalidations.ep4ta(time, inv.eptp & FRAME);
		operation(cpu, time, Action::invept_single, inv.rip, inv.eptp);
	} else {
		invalidations.all_ep4tas(time);
		operation(cpu, time, Action::invept_all, inv.rip);
	}
}

void Oracle::executed(unsigned cpu, uint16_t vpid, const GuestOperation &guest)
{
	Time time = clock.tick();

	apply(cpus.at(cpu).invalidations, time, vpid, guest);
	operation(cpu, time, guest.action, guest.rip, guest.pcid, guest.address);
	vcpus.executed(cpu, guest);
}

/* The newest guarantee to the guest for this entry. */
Time Oracle::promised(const Place &at, const Entry &entry, const Name &name) const
{
	return vcpus.promised(at.cpu, whole(name, entry), entry.origin.cr3);
}

Verdict Oracle::debt(const Place &at, const Entry &entry, const Name &name) const
{
	const VirtualTag &then = entry.origin.context;
	VirtualTag now = vcpus.context(at.cpu);

	if (then.vcpu != now.vcpu)
		return { Cause::other_vcpu };
	if (vcpus.restored(at.cpu) > entry.read)
		return { Cause::state_set };
	if (then.known != now.known || then.visit != now.visit)
		return {};
	if (then.vpid != now.vpid)
		return { Cause::other_vpid12 };
	if (then.ep4ta != now.ep4ta)
		return { Cause::other_eptp12 };
	if (promised(at, entry, name) > entry.read)
		return { Cause::invalidated };
	return {};
}

/* The same where the tables that were walked may be the hypervisor's own. */
Verdict Oracle::shadow_debt(const Place &at, const Entry &entry, const Name &name,
			    Cause otherwise) const
{
	Verdict verdict = debt(at, entry, name);
	bool same_root = ((entry.origin.cr3 ^ at.cr3) & FRAME) == 0;

	if (verdict.cause == Cause::guest && !at.tag.ep4ta && same_root)
		return { otherwise, true };
	return verdict;
}

/*
 * True when the entry stays: it was the guest's right not to flush it yet.  When the
 * guest has done so, it is asked about again.
 */
bool Oracle::report(const Place &at, Finding finding, const Verdict &verdict, Entry &old,
		    const Name &name, uint64_t linear, uint64_t guest, uint64_t host)
{
	bool note = verdict.cause == Cause::guest;

	if (note && old.noted)
		return true;

	Report report = {
		.finding = finding,
		.cause = verdict.cause,
		.now = at,
		.level = levels.level(at.cpu),
		.context = vcpus.context(at.cpu),
		.linear = linear,
		.guest = guest,
		.host = host,
		.old = old,
		.shift = name.shift,
		.by = vcpus.promised_at(at.cpu, promised(at, old, name)),
		.since = cpus.at(at.cpu).operations.since(old.read),
		.promised = vcpus.promised_since(at.cpu, old.read),
	};

	if (verdict.may_follow)
		cpus[at.cpu].suspects.push_back({ report, whole(name, old) });
	else
		sink(report);
	old.noted = note;
	return note;
}

Origin Oracle::origin(const Place &at) const
{
	return { .context = vcpus.context(at.cpu), .vmcs = at.vmcs, .cr3 = at.cr3, .rip = at.rip,
		 .instructions = at.instructions, .apic_page = at.apic_page };
}

void Oracle::note(const Place &at, const Name &name, const Entry &entry)
{
	Entry noted = entry;

	noted.read = clock.now();
	noted.origin = origin(at);
	account.forgotten += cpus[at.cpu].memory.add(name, noted);
}

} /* namespace tlbsan */
