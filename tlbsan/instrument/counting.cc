/* SPDX-License-Identifier: GPL-2.0 */
#include "counting.h"

#include <string>

namespace tlbsan {

Counting::Counting(unsigned cpus, FILE *out, Executed executed)
	: executed(executed), log(out), settled(cpus)
{
}

/*
 * Give the instructions since the last change of level to the level they ran
 * at.  A hardware reset starts the emulator's number from 0 again.
 */
void Counting::settle(unsigned cpu, uint64_t executed_now)
{
	if (executed_now > settled.at(cpu))
		counters.instructions(levels.level(cpu), executed_now - settled[cpu]);
	settled[cpu] = executed_now;
}

void Counting::settle_all()
{
	for (unsigned cpu = 0; cpu < settled.size(); cpu++)
		settle(cpu, executed(cpu));
}

void Counting::entered(const VmEntry &entry)
{
	settle(entry.cpu, entry.instructions);
	levels.entered(entry);
	counters.entry(levels.level(entry.cpu));
}

void Counting::exited(const VmExit &exit)
{
	if (exit.failed_entry) {
		counters.failed_entry();
	} else {
		settle(exit.cpu, exit.instructions);
		counters.exit(levels.level(exit.cpu), exit.reason);
	}
	levels.exited(exit);
}

void Counting::cleared(const VmClear &clear)
{
	levels.cleared(clear);
}

void Counting::loaded(const VmPtrld &load)
{
	levels.loaded(load);
}

void Counting::invvpid(const Invvpid &inv)
{
	counters.invvpid(inv, levels.owner(inv.vpid));
}

void Counting::invept(const Invept &inv)
{
	counters.invept(inv);
}

void Counting::failed(const VmFail &fail)
{
	counters.vmfail(fail);
}

void Counting::reset(unsigned cpu)
{
	settle(cpu, executed(cpu));
	levels.reset(cpu);
}

void Counting::simulated(unsigned cpu, uint16_t vpid, const TlbCounts &counts)
{
	counters.simulated(levels.level(cpu), vpid, counts);
}

void Counting::reported(const Report &report)
{
	counters.reported(report);
}

void Counting::accounts(const Account &more)
{
	counters.accounts(more);
}

bool Counting::prefetched(uint64_t address,
			  const std::function<void(const std::string &)> &before_end)
{
	std::string label;

	if (!labels.read(address, label))
		return false;
	settle_all();
	if (before_end)
		before_end(label);
	log.next(label, counters);
	return true;
}

void Counting::finish()
{
	settle_all();
	log.finish(counters);
}

} /* namespace tlbsan */
