/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which VMCS runs an L1 and which an L2, and the owner of each VPID.
 *
 * The CPU knows no levels: a hypervisor that nests guests runs L1 on one VMCS
 * (vmcs01 in KVM's words) and L2 on another (vmcs02), both at the same depth.
 * The level is inferred from what can be seen from outside:
 *
 *  - KVM with VMCS shadowing gives each VMCS that runs an L1 the address of a
 *    VMREAD bitmap when it makes it, and never one that runs an L2.  If any
 *    VMCS has one, this alone decides.
 *  - Without it a VMCS starts as L1's.  An exit for a VMX instruction proves
 *    it.  After a VMLAUNCH or VMRESUME exit of an L1 the hypervisor enters
 *    either the same VMCS (it refused the instruction) or that L1's vmcs02.  It
 *    may change the CPU in between, so "the next entry" is the next one by the
 *    same thread: the same stack (HOST_RSP).  Here L2 state that was restored
 *    by KVM_SET_NESTED_STATE is taken for L1 until L1's next VMRESUME.
 *  - The level stays with the VMCS until the region is made into a new VMCS:
 *    VMCLEAR of one that is clear already.  VMCLEAR alone is a change of CPU.
 *
 * The first VMPTRLD of a vmcs02 replaces its vmcs01: that is how an L2 finds
 * its L1.
 */
#ifndef TLBSAN_VMCS_LEVELS_H
#define TLBSAN_VMCS_LEVELS_H

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "events.h"

namespace tlbsan {

enum class Level { root, L1, L2 };

enum class VpidOwner {
	vpid01,		/* last entered by an L1, or by an L2 that shares its L1's VPID */
	vpid02,		/* last entered by an L2 that has this VPID to itself */
	/*
	 * Not entered since boot; or its VMCS was cleared since, or entered with
	 * another VPID: all parked pairs.
	 */
	other,
};

class VmcsLevels {
public:
	void entered(const VmEntry &entry);
	void exited(const VmExit &exit);
	void cleared(const VmClear &clear);
	void loaded(const VmPtrld &load);
	void reset(unsigned cpu);

	/* What this CPU executes now. */
	Level level(unsigned cpu) const;
	VpidOwner owner(uint16_t vpid) const;

	/* The VMCS on which this CPU runs a guest, 0 in root mode. */
	uint64_t running_on(unsigned cpu) const;
	/* For an L2's VMCS that of its L1, for an L1's itself. */
	uint64_t l1_of(uint64_t vmcs) const;
	/* How often this VMCS was made again. */
	unsigned life(uint64_t vmcs) const;

private:
	struct Vmcs {
		Level level = Level::L1;
		bool proven_l1 = false;
		bool clear = false;
		uint64_t loaded_over = 0;
		unsigned life = 0;
		uint16_t vpid = 0;
		uint64_t thread = 0;
	};
	struct Owner {
		VpidOwner kind;
		uint64_t vmcs;
	};

	bool enters_l2(const VmEntry &entry);

	std::unordered_map<uint64_t, Vmcs> vmcss;
	bool vmread_bitmaps = false;	/* any VMCS has one */
	/* thread -> VMCS of the L1 that it left for VMLAUNCH or VMRESUME */
	std::unordered_map<uint64_t, uint64_t> launching;
	std::unordered_map<uint16_t, Owner> owners;
	/* VMCS a CPU runs a guest on, 0 in root mode; by CPU number */
	std::vector<uint64_t> running;
};

} /* namespace tlbsan */

#endif
