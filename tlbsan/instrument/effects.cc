/* SPDX-License-Identifier: GPL-2.0 */
#include "effects.h"

namespace tlbsan {

enum : uint64_t {
	CR0_PG = 1u << 31,
	CR4_PAE = 1u << 5,
	CR4_PGE = 1u << 7,
	CR4_PCIDE = 1u << 17,
	CR4_SMEP = 1u << 20,
};

void apply(Invalidations &invalidations, Time time, const Invvpid &inv)
{
	switch (inv.type) {
	case 0:
		return invalidations.vpid_address(time, inv.vpid, inv.linear);
	case 1:
		return invalidations.vpid(time, inv.vpid);
	case 2:
		return invalidations.all_vpids(time);
	case 3:
		return invalidations.vpid_but_globals(time, inv.vpid);
	}
}

void apply(Invalidations &invalidations, Time time, const Invept &inv)
{
	if (inv.type == 1)
		invalidations.ep4ta(time, inv.eptp & FRAME);
	if (inv.type == 2)
		invalidations.all_ep4tas(time);
}

std::optional<GuestOperation> change_of(const GuestRegisters &was, const GuestRegisters &now)
{
	uint64_t cr4 = was.cr4 ^ now.cr4;
	uint16_t pcid = now.cr4 & CR4_PCIDE ? now.cr3 & 0xfff : 0;

	if ((was.cr0 & ~now.cr0 & CR0_PG) || (cr4 & CR4_PGE) || (was.cr4 & cr4 & CR4_PCIDE))
		return GuestOperation { .scope = Scope::all };
	if ((cr4 & CR4_PAE) || (now.cr4 & cr4 & CR4_SMEP))
		return GuestOperation { .scope = Scope::pcid_and_globals, .pcid = pcid };
	return {};
}

} /* namespace tlbsan */
