/* SPDX-License-Identifier: GPL-2.0 */
#include "vmcs_levels.h"

#include "exit_reasons.h"

namespace tlbsan {

/*
 * Kernel stacks are aligned to their size and VM exits happen near their top,
 * so the 16 KiB block that HOST_RSP points into names the thread.
 */
static uint64_t thread_of(uint64_t host_rsp)
{
	return host_rsp >> 14;
}

bool VmcsLevels::enters_l2(const VmEntry &entry)
{
	const Vmcs &vmcs = vmcss[entry.vmcs];
	auto pending = launching.find(thread_of(entry.host_rsp));
	bool launched = false;

	if (pending != launching.end()) {
		launched = pending->second != entry.vmcs && !vmcs.proven_l1;
		launching.erase(pending);
	}

	vmread_bitmaps |= entry.vmread_bitmap;
	if (vmread_bitmaps)
		return !entry.vmread_bitmap;
	return launched || vmcs.level == Level::L2;
}

void VmcsLevels::entered(const VmEntry &entry)
{
	Vmcs &vmcs = vmcss[entry.vmcs];
	bool nested = enters_l2(entry);

	vmcs.level = nested ? Level::L2 : Level::L1;
	vmcs.clear = false;
	vmcs.vpid = entry.vpid;
	vmcs.thread = thread_of(entry.host_rsp);

	if (entry.vpid) {
		uint64_t l1 = vmcs.loaded_over;

		if (!nested)
			owners[entry.vpid] = { VpidOwner::vpid01, entry.vmcs };
		else if (vmcss[l1].vpid == entry.vpid)
			owners[entry.vpid] = { VpidOwner::vpid01, l1 };
		else
			owners[entry.vpid] = { VpidOwner::vpid02, entry.vmcs };
	}

	if (running.size() <= entry.cpu)
		running.resize(entry.cpu + 1);
	running[entry.cpu] = entry.vmcs;
}

void VmcsLevels::exited(const VmExit &exit)
{
	if (exit.failed_entry || level(exit.cpu) == Level::root)
		return;

	uint64_t address = running[exit.cpu];
	Vmcs &vmcs = vmcss[address];

	running[exit.cpu] = 0;
	if (vmcs.level != Level::L1 || !is_vmx_instruction(exit.reason))
		return;
	vmcs.proven_l1 = true;
	if (exit.reason == EXIT_VMLAUNCH || exit.reason == EXIT_VMRESUME)
		launching[vmcs.thread] = address;
}

void VmcsLevels::cleared(const VmClear &clear)
{
	Vmcs &vmcs = vmcss[clear.vmcs];

	if (vmcs.clear)
		vmcs = { .life = vmcs.life + 1 };
	vmcs.clear = true;
}

void VmcsLevels::loaded(const VmPtrld &load)
{
	Vmcs &vmcs = vmcss[load.vmcs];

	vmcs.clear = false;
	if (!vmcs.loaded_over)
		vmcs.loaded_over = load.previous;
	/* After a restore the L2 runs first: its L1's VPID was in no entry yet. */
	if (load.previous)
		vmcss[load.previous].vpid = load.previous_vpid;
}

void VmcsLevels::reset(unsigned cpu)
{
	if (cpu < running.size())
		running[cpu] = 0;
}

Level VmcsLevels::level(unsigned cpu) const
{
	uint64_t vmcs = running_on(cpu);

	return vmcs ? vmcss.at(vmcs).level : Level::root;
}

uint64_t VmcsLevels::running_on(unsigned cpu) const
{
	return cpu < running.size() ? running[cpu] : 0;
}

uint64_t VmcsLevels::l1_of(uint64_t vmcs) const
{
	auto found = vmcss.find(vmcs);

	if (found == vmcss.end() || found->second.level != Level::L2)
		return vmcs;
	return found->second.loaded_over;
}

unsigned VmcsLevels::life(uint64_t vmcs) const
{
	auto found = vmcss.find(vmcs);

	return found == vmcss.end() ? 0 : found->second.life;
}

VpidOwner VmcsLevels::owner(uint16_t vpid) const
{
	auto found = owners.find(vpid);

	if (found == owners.end())
		return VpidOwner::other;

	auto vmcs = vmcss.find(found->second.vmcs);

	if (vmcs == vmcss.end() || vmcs->second.clear || vmcs->second.vpid != vpid)
		return VpidOwner::other;
	return found->second.kind;
}

} /* namespace tlbsan */
