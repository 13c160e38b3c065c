/* SPDX-License-Identifier: GPL-2.0 */
#include "exit_reasons.h"
#include "ktap.h"
#include "vmcs_levels.h"

using namespace tlbsan;

static const uint64_t vmcs01 = 0x1000, vmcs02 = 0x2000, other_vm = 0x3000;
static const uint64_t stack = 0xffffc90000013e00, other_stack = 0xffffc90000023e00;
static const uint16_t EXIT_HLT = 12;

/* An emulated machine with a hypervisor whose VMX instructions are short to write down. */
class Machine {
public:
	VmcsLevels levels;

	bool bitmap = false;	/* of the VMCSs entered from now on */

	void enter(uint64_t vmcs, uint16_t vpid, unsigned cpu = 0, uint64_t rsp = stack)
	{
		levels.entered({ .cpu = cpu, .instructions = 0, .vmcs = vmcs, .vpid = vpid, .ep4ta = 0,
				 .host_rsp = rsp, .vmread_bitmap = bitmap });
	}

	void load(uint64_t vmcs, uint64_t previous = 0, uint16_t previous_vpid = 0)
	{
		levels.loaded({ .vmcs = vmcs, .previous = previous,
				.previous_vpid = previous_vpid });
	}

	void exit(uint16_t reason, unsigned cpu = 0)
	{
		levels.exited({ .cpu = cpu, .instructions = 0, .reason = reason,
				.failed_entry = false });
	}

	/* L1 executes VMLAUNCH and its L2 runs. */
	void nest(uint16_t vpid01, uint16_t vpid02)
	{
		enter(vmcs01, vpid01);
		exit(EXIT_VMLAUNCH);
		load(vmcs02, vmcs01, vpid01);
		enter(vmcs02, vpid02);
	}

	bool is(Level level, unsigned cpu = 0) const
	{
		return levels.level(cpu) == level;
	}

	bool owned(uint16_t vpid, VpidOwner owner) const
	{
		return levels.owner(vpid) == owner;
	}
};

TEST(levels_begin_in_root_and_with_l1)
{
	Machine m;

	CHECK(m.is(Level::root));
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
	m.exit(EXIT_HLT);
	CHECK(m.is(Level::root));
}

TEST(levels_know_l2_after_a_launch)
{
	Machine m;

	m.nest(1, 2);
	CHECK(m.is(Level::L2));
	m.exit(EXIT_HLT);
	m.enter(vmcs02, 2);
	CHECK(m.is(Level::L2));
	m.exit(EXIT_HLT);
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
}

TEST(levels_know_a_refused_launch)
{
	Machine m;

	m.enter(vmcs01, 1);
	m.exit(EXIT_VMRESUME);
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
	m.exit(EXIT_HLT);
	m.enter(other_vm, 3);
	CHECK(m.is(Level::L1));
}

TEST(levels_do_not_take_a_failed_entry_for_l2)
{
	Machine m;

	m.enter(vmcs01, 1);
	m.exit(EXIT_VMLAUNCH);
	m.levels.exited({ .cpu = 0, .instructions = 0, .reason = 33, .failed_entry = true });
	CHECK(m.is(Level::root));
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
}

TEST(levels_follow_a_thread_to_another_cpu)
{
	Machine m;

	m.enter(vmcs01, 1, 0);
	m.exit(EXIT_VMLAUNCH, 0);
	m.enter(other_vm, 3, 0, other_stack);
	CHECK(m.is(Level::L1, 0));
	m.enter(vmcs02, 2, 1);
	CHECK(m.is(Level::L2, 1));
}

TEST(levels_do_not_take_another_l1_for_l2)
{
	Machine m;

	m.enter(other_vm, 3);
	m.exit(EXIT_VMPTRLD);
	m.enter(vmcs01, 1);
	m.exit(EXIT_VMLAUNCH);
	m.enter(other_vm, 3);
	CHECK(m.is(Level::L1));
}

TEST(levels_ignore_a_launch_by_l2)
{
	Machine m;

	m.nest(1, 2);
	m.exit(EXIT_VMLAUNCH);
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
	m.exit(EXIT_HLT);
	m.enter(vmcs02, 2);
	CHECK(m.is(Level::L2));
}

TEST(levels_survive_a_change_of_cpu)
{
	Machine m;

	m.nest(1, 2);
	m.exit(EXIT_HLT);
	m.levels.cleared({ vmcs02 });
	m.load(vmcs02);
	m.enter(vmcs02, 2, 1);
	CHECK(m.is(Level::L2, 1));
}

TEST(levels_forget_a_vmcs_that_is_made_anew)
{
	Machine m;

	m.nest(1, 2);
	m.exit(EXIT_HLT);
	m.levels.cleared({ vmcs02 });
	m.levels.cleared({ vmcs02 });
	m.load(vmcs02);
	CHECK(m.owned(2, VpidOwner::other));
	m.enter(vmcs02, 5);
	CHECK(m.is(Level::L1));
	CHECK(m.owned(5, VpidOwner::vpid01));
}

TEST(levels_are_decided_by_vmread_bitmaps)
{
	Machine m;

	m.bitmap = true;
	m.enter(vmcs01, 1);
	CHECK(m.is(Level::L1));
	m.exit(EXIT_VMRESUME);
	m.enter(other_vm, 3);
	CHECK(m.is(Level::L1));
	m.exit(EXIT_HLT);
	m.bitmap = false;
	m.enter(vmcs02, 2);
	CHECK(m.is(Level::L2));
}

TEST(levels_know_a_restored_l2_by_its_missing_bitmap)
{
	Machine m;

	m.bitmap = true;
	m.enter(other_vm, 3);
	m.exit(EXIT_HLT);
	m.bitmap = false;
	m.load(vmcs01, other_vm, 3);
	m.load(vmcs02, vmcs01, 1);
	m.enter(vmcs02, 2);
	CHECK(m.is(Level::L2));
	CHECK(m.owned(2, VpidOwner::vpid02));
	m.exit(EXIT_HLT);
	m.enter(vmcs02, 1);
	CHECK(m.owned(1, VpidOwner::vpid01));
}

TEST(levels_return_to_root_on_reset)
{
	Machine m;

	m.enter(vmcs01, 1);
	m.levels.reset(0);
	m.levels.reset(7);
	CHECK(m.is(Level::root));
}

TEST(owner_of_a_vpid_never_entered_is_other)
{
	Machine m;

	CHECK(m.owned(1, VpidOwner::other));
	m.enter(vmcs01, 0);
	CHECK(m.owned(0, VpidOwner::other));
}

TEST(owner_tells_vpid01_from_vpid02)
{
	Machine m;

	m.nest(1, 2);
	CHECK(m.owned(1, VpidOwner::vpid01));
	CHECK(m.owned(2, VpidOwner::vpid02));
}

TEST(owner_of_a_shared_vpid_is_vpid01)
{
	Machine m;

	m.nest(1, 1);
	CHECK(m.owned(1, VpidOwner::vpid01));
	m.exit(EXIT_HLT);
	m.enter(vmcs02, 2);
	CHECK(m.owned(1, VpidOwner::vpid01));
	CHECK(m.owned(2, VpidOwner::vpid02));
}

TEST(owner_lasts_over_a_change_of_cpu)
{
	Machine m;

	m.enter(vmcs01, 1);
	m.exit(EXIT_HLT);
	m.levels.cleared({ vmcs01 });
	CHECK(m.owned(1, VpidOwner::other));
	m.load(vmcs01);
	CHECK(m.owned(1, VpidOwner::vpid01));
}

TEST(owner_ends_with_its_vmcs)
{
	Machine m;

	m.nest(1, 2);
	m.exit(EXIT_HLT);
	m.levels.cleared({ vmcs02 });
	CHECK(m.owned(2, VpidOwner::other));
	CHECK(m.owned(1, VpidOwner::vpid01));
}

TEST(owner_follows_a_vpid_to_its_next_user)
{
	Machine m;

	m.nest(1, 2);
	m.exit(EXIT_HLT);
	m.levels.cleared({ vmcs01 });
	m.levels.cleared({ vmcs02 });
	m.enter(other_vm, 2);
	CHECK(m.owned(2, VpidOwner::vpid01));
}
