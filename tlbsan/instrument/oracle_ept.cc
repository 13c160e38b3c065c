/* SPDX-License-Identifier: GPL-2.0 */
/* Verdicts on the walks of guest-physical addresses. */
#include "oracle.h"

namespace tlbsan {

static const Verdict ept_changed = { Cause::ept_page, true };
static const Verdict ept_cleaned = { Cause::ept_dirty, true };
static const Verdict ept_lost_right = { Cause::ept_right, true };

void Oracle::check_ept_tables(const Place &at, uint64_t guest, uint64_t linear, const Tables &tables)
{
	Cpu &cpu = cpus[at.cpu];

	for (int level = 3; level >= 1; level--) {
		if (!tables.has(level))
			continue;

		uint64_t table = tables.entry[level] & FRAME;
		bool went_on = tables.has(level - 1);
		Name name = name_of(Kind::ept_tables, 12 + 9 * level, at.tag, guest);

		cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
			if (went_on && old.host == table)
				return true;
			return report(at, Finding::ept_table, ept_changed, old, name, linear,
				      guest, went_on ? table : 0);
		});
		if (went_on)
			note(at, name, { .host = table, .guest = table });
	}
}

/*
 * SDM 29.4.3.1: an EPT violation invalidates the guest-physical mappings that would be
 * used for its address; EPT paging-structure entries are such (29.4.1).
 */
void Oracle::forget_ept_tables(const Place &at, uint64_t guest)
{
	Cpu &cpu = cpus[at.cpu];

	for (int level = 1; level <= 3; level++)
		cpu.memory.each(name_of(Kind::ept_tables, 12 + 9 * level, at.tag, guest),
				cpu.invalidations, [](const Entry &) { return false; });
}

/*
 * SDM 29.4.3.4: who turns the page on, or moves it, executes INVEPT.  An L1 with an EPT for
 * its L2 does; without, the EPT is the hypervisor's.
 */
bool Oracle::turns_on_apic_page(const Place &at, const Entry &old, uint64_t host) const
{
	if (at.apic_page != host || old.origin.apic_page == host)
		return false;
	if (levels.level(at.cpu) == Level::L1)
		return true;

	VirtualTag l2 = vcpus.context(at.cpu);

	return l2.known && !l2.ep4ta;
}

void Oracle::ept_walked(const EptWalk &walk)
{
	const Place &at = walk.at;
	Cpu &cpu = cpus.at(at.cpu);

	account.walks++;
	check_ept_tables(at, walk.guest, 0, walk.tables);
	for (unsigned shift : page_shifts) {
		Name name = name_of(Kind::guest_physical, shift, at.tag, walk.guest);

		cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
			if (old.host + offset_in(walk.guest, shift) != walk.host)
				return report(at, Finding::guest_physical, ept_changed, old, name,
					      0, walk.guest, walk.host);
			if (walk.sets_dirty && old.allowed.write)
				return report(at, Finding::ept_dirty, ept_cleaned, old, name, 0,
					      walk.guest, walk.host);
			if (turns_on_apic_page(at, old, walk.host))
				return report(at, Finding::apic_access, { Cause::apic_page }, old,
					      name, 0, walk.guest, walk.host);
			return true;
		});
	}

	uint64_t offset = offset_in(walk.guest, walk.shift);

	note(at, name_of(Kind::guest_physical, walk.shift, at.tag, walk.guest),
	     { .host = walk.host - offset, .guest = (walk.guest & ~uint64_t(0xfff)) - offset,
	       .allowed = walk.allowed });
}

bool Oracle::refused(const EptRefusal &refusal, const Name &name, Entry &old)
{
	const Place &at = refusal.at;
	uint64_t page = old.guest + offset_in(refusal.linear, name.shift);
	bool same = page == (refusal.guest & ~uint64_t(0xfff));

	return report(at, Finding::ept_refusal, same ? ept_lost_right : debt(at, old, name), old,
		      name, refusal.linear, refusal.guest, 0);
}

/*
 * The access itself, not a page table on its way, was refused: combined mappings, unless
 * one of the guest-physical mapping was reported.  Those that do not allow the access
 * are invalidated.
 */
void Oracle::check_combined(const EptRefusal &refusal, bool reported)
{
	const Place &at = refusal.at;
	Cpu &cpu = cpus[at.cpu];
	Tag global = at.tag;

	global.pcid = GLOBAL;
	for (const Tag &tag : { at.tag, global }) {
		for (unsigned shift : page_shifts) {
			Name name = name_of(Kind::translation, shift, tag, refusal.linear);

			cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
				if (!allows(old, refusal.wanted))
					return refusal.misconfiguration;
				return !reported && refused(refusal, name, old);
			});
		}
	}
}

void Oracle::ept_refused(const EptRefusal &refusal)
{
	const Place &at = refusal.at;
	Cpu &cpu = cpus.at(at.cpu);
	uint64_t linear = refusal.linear_valid ? refusal.linear : 0;
	bool found = false;

	check_ept_tables(at, refusal.guest, linear, refusal.tables);
	if (!refusal.misconfiguration)
		forget_ept_tables(at, refusal.guest);
	for (unsigned shift : page_shifts) {
		Name name = name_of(Kind::guest_physical, shift, at.tag, refusal.guest);

		/*
		 * SDM 29.4.3.1: an EPT violation invalidates what it would use, and a
		 * misconfiguration is none.
		 */
		cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
			if (!allows(old, refusal.wanted))
				return refusal.misconfiguration;
			found = true;
			return report(at, Finding::ept_refusal, ept_lost_right, old, name, linear,
				      refusal.guest, 0);
		});
	}
	/*
	 * The combined mappings of the linear address too, if it led here itself;
	 * not if a page table on its way was refused.
	 */
	if (refusal.linear_valid && !refusal.page_walk) {
		check_combined(refusal, found);
		if (!refusal.misconfiguration)
			forget_tables(at, refusal.linear);
	}
}

} /* namespace tlbsan */
