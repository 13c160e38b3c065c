/* SPDX-License-Identifier: GPL-2.0 */
/* Verdicts on the walks of linear addresses. */
#include "oracle.h"

namespace tlbsan {

/* The entries above the page's own: level n resolves table_bits from its shift on. */
void Oracle::check_tables(const Place &at, uint64_t linear, const Tables &tables)
{
	Cpu &cpu = cpus[at.cpu];
	uint64_t frame = at.table_bits == 10 ? 0xfffff000 : FRAME;

	for (int level = 4; level >= 1; level--) {
		if (!tables.has(level))
			continue;

		uint64_t table = tables.entry[level] & frame;
		bool present = tables.entry[level] & 1, leaf = tables.entry[level] & 0x80;
		bool went_on = tables.has(level - 1);
		Name name = name_of(Kind::tables, 12 + at.table_bits * level, at.tag, linear);

		cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
			if (went_on && old.host == table)
				return true;

			Verdict why = shadow_debt(at, old, name, Cause::shadow_table);

			if (went_on)
				return report(at, Finding::other_table, why, old, name, linear,
					      table, 0);
			if (!present || leaf)
				return report(at, Finding::no_table, why, old, name, linear, 0, 0);
			return false;
		});
		if (went_on)
			note(at, name, { .host = table, .guest = table });
	}
}

/* The APIC-access page of an L1 is the hypervisor's to turn on; that of an L2 is L1's. */
Verdict Oracle::apic_debt(const Place &at, const Entry &entry, const Name &name) const
{
	if (levels.level(at.cpu) == Level::L1)
		return { Cause::apic_page };
	return debt(at, entry, name);
}

bool Oracle::translated(const Walk &walk, const Name &name, Entry &old)
{
	const Place &at = walk.at;
	uint64_t offset = offset_in(walk.linear, name.shift);

	auto found = [&](Finding finding, const Verdict &why) {
		return report(at, finding, why, old, name, walk.linear, walk.guest, walk.host);
	};

	if (old.host + offset != walk.host) {
		if (at.tag.ep4ta && old.guest + offset == walk.guest)
			return found(Finding::other_host_page, { Cause::ept_page, true });
		return found(Finding::other_page, shadow_debt(at, old, name, Cause::shadow_page));
	}

	bool stays = true;

	if (at.apic_page == walk.host && old.origin.apic_page != walk.host)
		stays = found(Finding::apic_access, apic_debt(at, old, name));
	if (walk.sets_dirty && old.allowed.write)
		stays &= found(Finding::dirty, shadow_debt(at, old, name, Cause::shadow_dirty));
	return stays;
}

void Oracle::walked(const Walk &walk)
{
	const Place &at = walk.at;
	Cpu &cpu = cpus.at(at.cpu);
	Tag global = at.tag;

	account.walks++;
	global.pcid = GLOBAL;
	check_tables(at, walk.linear, walk.tables);
	for (const Tag &tag : { at.tag, global }) {
		for (unsigned shift : page_shifts) {
			Name name = name_of(Kind::translation, shift, tag, walk.linear);

			cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
				return translated(walk, name, old);
			});
		}
	}

	uint64_t offset = offset_in(walk.linear, walk.shift);

	note(at, name_of(Kind::translation, walk.shift, walk.global ? global : at.tag, walk.linear),
	     { .host = walk.host - offset, .guest = walk.guest - offset,
	       .guest_shift = walk.guest_shift, .allowed = walk.allowed, .user = walk.user });
}

/*
 * SDM 4.10.4.1: a page fault invalidates the paging-structure entries that would be used
 * for its address.  By an old one there might have been no fault: a miss, no false report.
 */
void Oracle::forget_tables(const Place &at, uint64_t linear)
{
	Cpu &cpu = cpus[at.cpu];

	for (int level = 1; level <= 4; level++)
		cpu.memory.each(name_of(Kind::tables, 12 + at.table_bits * level, at.tag, linear),
				cpu.invalidations, [](const Entry &) { return false; });
}

/*
 * SDM 4.10.4.1: a page fault invalidates the translations that would be used for its
 * address.  By one that allows the access there would have been no fault.
 */
bool Oracle::refused(const PageFault &fault, const Name &name, Entry &old)
{
	if (!allows(old, fault.wanted))
		return false;
	if (fault.user ? !old.user : old.user && fault.user_pages_barred)
		return false;
	return report(fault.at, Finding::page_fault,
		      shadow_debt(fault.at, old, name, Cause::shadow_right), old, name,
		      fault.linear, 0, 0);
}

void Oracle::faulted(const PageFault &fault)
{
	const Place &at = fault.at;
	Cpu &cpu = cpus.at(at.cpu);
	Tag global = at.tag;

	global.pcid = GLOBAL;
	check_tables(at, fault.linear, fault.tables);
	for (const Tag &tag : { at.tag, global }) {
		for (unsigned shift : page_shifts) {
			Name name = name_of(Kind::translation, shift, tag, fault.linear);

			cpu.memory.each(name, cpu.invalidations, [&](Entry &old) {
				return refused(fault, name, old);
			});
		}
	}
	forget_tables(at, fault.linear);
}

} /* namespace tlbsan */
