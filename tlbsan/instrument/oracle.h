/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The oracle: sees where a hypervisor relied on an entry that hardware may still have.
 *
 * Each CPU caches what the walks of its guests read (remembered.h) and what was
 * invalidated since (invalidations.h).  When a walk finds something else than an
 * entry that nothing invalidated, hardware could have used the old entry.
 * That is no bug yet: a guest may change its own tables and flush later.
 * The entry is kept then, beside what the walk found, until an operation invalidates
 * it: the guest's flush may get lost.
 * Whether it is a hypervisor bug:
 *
 *  - The guest-physical side (EPT) is the hypervisor's alone.
 *  - For a linear address, an entry that was made for another virtual CPU or
 *    another context of it (virtual_cpus.h) can only be hit because the
 *    hypervisor runs both under the same hardware tags: its bug.
 *  - In the same context it is the hypervisor's if an invalidation was guaranteed to the
 *    guest since the entry was made, otherwise the guest's responsibility.
 *  - With EPT off in the hypervisor, what the hardware walks are the hypervisor's
 *    shadow tables: a change under the same root is its bug as well.
 *
 * A hypervisor changes its own tables on one CPU and then makes the others
 * flush.  A CPU that walks them in between finds the change before its flush.
 * Such a finding is a deferred report until the CPU enters a guest under the same tag
 * again.  It is dropped if the flush came, and written if the flush did not come in
 * patience instructions or before the marked step ended.
 */
#ifndef TLBSAN_ORACLE_H
#define TLBSAN_ORACLE_H

#include <functional>
#include <vector>

#include "events.h"
#include "invalidations.h"
#include "operations.h"
#include "remembered.h"
#include "reports.h"
#include "virtual_cpus.h"
#include "vmcs_levels.h"
#include "walk_events.h"

namespace tlbsan {

class Oracle {
public:
	/* Instructions in which a flush that follows must come, by default. */
	static constexpr uint64_t patience = 200000;

	using Sink = std::function<void(const Report &)>;

	/* Beyond them what was invalidated is dropped, and then everything. */
	struct Limits {
		size_t names = 1 << 20;		/* with entries, of one CPU */
		size_t addresses = 1 << 16;	/* invalidated one by one, of one CPU */
		uint64_t patience = Oracle::patience;
	};

	Oracle(unsigned cpus, const VmcsLevels &levels, Sink sink, const Limits &limits);
	Oracle(unsigned cpus, const VmcsLevels &levels, Sink sink)
		: Oracle(cpus, levels, std::move(sink), Limits())
	{
	}

	/* VM entries and exits, in the order that VirtualCpus wants. */
	void entered(const VmEntry &entry, const GuestRegisters &registers);
	void exited(const VmExit &exit, const GuestRegisters &registers);
	void reset(unsigned cpu);

	/* Operations of root mode that succeeded. */
	void invvpid(unsigned cpu, const Invvpid &inv);
	void invept(unsigned cpu, const Invept &inv);

	/* An operation that the hardware carried out for a guest under this tag. */
	void executed(unsigned cpu, uint16_t vpid, const GuestOperation &operation);

	void walked(const Walk &walk);
	void faulted(const PageFault &fault);
	void ept_walked(const EptWalk &walk);
	void ept_refused(const EptRefusal &refusal);

	/*
	 * What ran so far is over: write the deferred reports, unless no guest
	 * with the same tags ran since.
	 */
	void settle_all();

	/* Since it was last asked. */
	Account take_account();

	/* What guests leave to the hypervisor is told to these directly. */
	VirtualCpus &virtual_cpus() { return vcpus; }

private:
	/* A finding whose flush may still follow. */
	struct Suspect {
		Report report;
		Name name;		/* that invalidations are asked for */
		bool entered = false;	/* a guest with the same tags, since */
	};

	struct Cpu {
		Remembered memory;
		Invalidations invalidations;
		Operations operations;
		std::vector<Suspect> suspects;
		size_t next_sweep = 0;			/* at this size of memory */
		uint16_t vpid = 0;			/* of the guest it runs */
	};

	void operation(unsigned cpu, Time time, Action action, uint64_t rip, uint64_t a = 0,
		       uint64_t b = 0);
	void limit(Cpu &cpu);
	void settle(Cpu &cpu, const VmEntry &entry);
	void end_suspects(Cpu &cpu);
	Verdict debt(const Place &at, const Entry &entry, const Name &name) const;
	Verdict apic_debt(const Place &at, const Entry &entry, const Name &name) const;
	Verdict shadow_debt(const Place &at, const Entry &entry, const Name &name,
			    Cause otherwise) const;
	bool report(const Place &at, Finding finding, const Verdict &verdict, Entry &old,
		    const Name &name, uint64_t linear, uint64_t guest, uint64_t host);
	Origin origin(const Place &at) const;
	void note(const Place &at, const Name &name, const Entry &entry);
	Time promised(const Place &at, const Entry &entry, const Name &name) const;

	bool turns_on_apic_page(const Place &at, const Entry &old, uint64_t host) const;
	void check_tables(const Place &at, uint64_t linear, const Tables &tables);
	void check_ept_tables(const Place &at, uint64_t guest, uint64_t linear, const Tables &tables);
	void check_combined(const EptRefusal &refusal, bool reported);
	void forget_tables(const Place &at, uint64_t linear);
	void forget_ept_tables(const Place &at, uint64_t guest);
	/* Findings about one old entry.  True when it stays. */
	bool translated(const Walk &walk, const Name &name, Entry &old);
	bool refused(const PageFault &fault, const Name &name, Entry &old);
	bool refused(const EptRefusal &refusal, const Name &name, Entry &old);

	const VmcsLevels &levels;
	Sink sink;
	Clock clock;
	VirtualCpus vcpus;
	std::vector<Cpu> cpus;
	const Limits limits;
	Account account;
};

} /* namespace tlbsan */

#endif
