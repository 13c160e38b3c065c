/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counts of one region, and the names they are printed with:
 *
 *	vmentry.L1  vmentry.L2  vmentry.failed
 *	vmexit.L1.<reason>  vmexit.L2.<reason>
 *	invvpid.{addr,single,all,nonglobal}
 *	invvpid.{addr,single,nonglobal}.{vpid01,vpid02,other}
 *	invvpid.{addr,single,nonglobal}.vpid.<number>
 *	invvpid.addr.page.<linear page number in hex>, .page.more after 256 pages
 *	invept.{single,all}
 *	invept.single.{current,other}: whether the current VMCS has that EP4TA
 *	invept.single.exact: those of .current whose whole EPTP is the VMCS's
 *	vmfail.<error number>
 *	instr.{root,L1,L2}
 *	tlbsan.{stale,guestowned}, tlbsan.{stale,guestowned}.<finding>
 *	tlbsan.forgotten, tlbsan.dropped
 *	sim.{root,L1,L2}.vpid.<number>.{accesses,l1_misses,l2_misses}
 */
#ifndef TLBSAN_COUNTERS_H
#define TLBSAN_COUNTERS_H

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "events.h"
#include "reports.h"
#include "simulated_counts.h"
#include "vmcs_levels.h"

namespace tlbsan {

class Counters {
public:
	void entry(Level level);
	void failed_entry();
	void exit(Level level, uint16_t reason);
	void invvpid(const Invvpid &inv, VpidOwner owner);
	void invept(const Invept &inv);
	void vmfail(const VmFail &fail);
	void instructions(Level level, uint64_t number);
	void reported(const Report &report);
	void accounts(const Account &more);
	void simulated(Level level, uint16_t vpid, const TlbCounts &counts);

	void add(const Counters &more);
	void clear();

	/* Calls visit for each counter that is not zero, in a fixed order. */
	using Visit = std::function<void(const std::string &name, uint64_t value)>;
	void each(const Visit &visit) const;

private:
	static constexpr unsigned levels = 3;	/* Level */
	static constexpr unsigned owners = 3;	/* VpidOwner */
	static constexpr unsigned invvpid_types = 4;
	static constexpr unsigned invept_types = 3;
	static constexpr size_t most_pages = 256;

	void page(uint64_t number, uint64_t times);

	template <size_t n> using Numbers = std::array<uint64_t, n>;

	Numbers<levels> entries {};
	uint64_t failed_entries = 0;
	std::array<std::map<uint16_t, uint64_t>, levels> exits;
	Numbers<invvpid_types> invvpids {};
	std::array<Numbers<owners>, invvpid_types> invvpids_of_owner {};
	std::array<std::map<uint16_t, uint64_t>, invvpid_types> invvpids_of_vpid;
	std::map<uint64_t, uint64_t> invvpids_of_page;
	uint64_t invvpids_of_more_pages = 0;
	Numbers<invept_types> invepts {};
	uint64_t invepts_of_current = 0;
	uint64_t invepts_of_exact = 0;
	std::map<unsigned, uint64_t> vmfails;
	Numbers<levels> executed {};
	Numbers<findings> stale {};
	Numbers<findings> guestowned {};
	Account account;
	std::array<std::map<uint16_t, TlbCounts>, levels> tlb;
};

} /* namespace tlbsan */

#endif
