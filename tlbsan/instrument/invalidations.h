/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When was what invalidated: the memory of one CPU's invalidations, and of no
 * more than each operation must invalidate.
 *
 * Nothing is removed from anywhere when an operation runs.  Its time is kept, and the
 * holder of an entry asks for the newest operation that covers it.  The emulated CPUs
 * have such a memory.  The virtual CPUs have one too, of the invalidations that their
 * hypervisor guarantees: what an operation covers is the same there.
 */
#ifndef TLBSAN_INVALIDATIONS_H
#define TLBSAN_INVALIDATIONS_H

#include <cstdint>
#include <unordered_map>

#include "names.h"

namespace tlbsan {

/* Orders the invalidations of all CPUs; 0 is before all of them. */
using Time = uint64_t;

class Invalidations {
public:
	/* INVLPG: SDM 4.10.4.1 */
	void invlpg(Time time, const Tag &tag, uint64_t address);
	/* INVPCID type 0; no global translation */
	void pcid_address(Time time, const Tag &tag, uint64_t address);
	/* MOV to CR3, INVPCID type 1; no global translation */
	void pcid(Time time, const Tag &tag);
	/* MOV to CR4 that changes PAE or sets SMEP */
	void pcid_and_globals(Time time, const Tag &tag);
	/*
	 * INVVPID type 1; INVPCID type 2; MOV to CR0 that clears PG, MOV to CR4
	 * that changes PGE or clears PCIDE; and for VPID 0 a VM entry or exit
	 * with "enable VPID" off: SDM 29.4.3.1
	 */
	void vpid(Time time, uint16_t vpid);
	/* INVVPID type 3, INVPCID type 3 */
	void vpid_but_globals(Time time, uint16_t vpid);
	/* INVVPID type 0: all PCIDs, globals too */
	void vpid_address(Time time, uint16_t vpid, uint64_t address);
	/* INVVPID type 2: all but VPID 0 */
	void all_vpids(Time time);
	/* INVEPT type 1 and 2 */
	void ep4ta(Time time, uint64_t ep4ta);
	void all_ep4tas(Time time);

	/* The newest of them that covers what has this name; 0 if none does. */
	Time newest(const Name &name) const;

	/*
	 * How many addresses are kept one by one; drop those that something newer covers;
	 * drop all of them.
	 */
	size_t addresses() const;
	void drop_covered_addresses();
	void forget_addresses();

private:
	/* In the place of a PCID: whatever the PCID. */
	static constexpr uint16_t ANY = 0x1001;

	using Times = std::unordered_map<uint64_t, Time>;

	void address(Time time, const Tag &tag, uint64_t address);
	/* The newest of those that cover this whole VPID and PCID. */
	Time newest_of_all_addresses(const Tag &tag) const;

	Time every_vpid = 0;
	Time every_ep4ta = 0;
	Times vpids;
	Times vpids_but_globals;
	Times pcids;
	Times pcids_and_globals;
	Times pcid_tables;
	Times ep4tas;
	std::unordered_map<Name, Time, NameHash> one_by_one;
};

} /* namespace tlbsan */

#endif
