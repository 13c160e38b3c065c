/* SPDX-License-Identifier: GPL-2.0 */
/* Page walks of guests, put together from Bochs' calls for each entry read and one at the end. */
#include <vector>

#include "bochs_glue.h"

namespace tlbsan {

/* The last EPT walk that ended well. */
struct EptResult {
	uint64_t guest = 0;
	uint8_t shift = 12;
	Rights allowed;
};

/* What is known of the walk that a CPU makes now. */
struct Scratch {
	Tables tables;
	Tables ept_tables;
	EptResult ept;
};

static Scratch &scratch(unsigned cpu)
{
	static std::vector<Scratch> all(BX_SMP_PROCESSORS);

	return all[cpu];
}

Tag tag_of(const BX_CPU_C *cpu)
{
	bool vpid_on = cpu->vmcs.vmexec_ctrls2.VPID_ENABLE();
	bool ept_on = cpu->vmcs.vmexec_ctrls2.EPT_ENABLE();

	return {
		.vpid = vpid_on ? cpu->vmcs.vpid : uint16_t(0),
		.pcid = uint16_t(cpu->cr4.get_PCIDE() ? cpu->cr3 & 0xfff : 0),
		.ep4ta = ept_on ? cpu->vmcs.eptptr & FRAME : 0,
	};
}

void begin_walks(unsigned cpu)
{
	scratch(cpu) = Scratch();
}

static Place place(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bool apic_on = c->vmcs.vmexec_ctrls2.VIRTUALIZE_APIC_ACCESSES();

	return {
		.cpu = cpu,
		.instructions = c->get_icount(),
		.vmcs = c->vmcsptr,
		.tag = tag_of(c),
		.cr3 = c->cr3,
		.rip = c->prev_rip,
		.cpl = uint8_t(c->sregs[BX_SEG_REG_CS].selector.rpl),
		.table_bits = uint8_t(c->cr4.get_PAE() ? 9 : 10),
		.apic_page = apic_on ? uint64_t(c->vmcs.apic_access_page) : 0,
	};
}

} /* namespace tlbsan */

using namespace tlbsan;

/* Does this CPU run a guest?  The oracle judges no other walks. */
static bool in_guest(unsigned cpu)
{
	return BX_CPU(cpu)->in_vmx_guest;
}

/* A walk goes down: a level at or above the last one read begins another. */
static void read_entry(Tables &tables, int level, uint64_t entry)
{
	if (tables.read & ((2u << level) - 1))
		tables.read = 0;
	tables.entry[level] = entry;
	tables.read |= 1u << level;
}

/* Hands the entries over; the next walk begins without any. */
static Tables take(Tables &tables)
{
	Tables taken = tables;

	tables.read = 0;
	return taken;
}

void tlbsan_pte(unsigned cpu, int level, Bit64u entry)
{
	if (in_guest(cpu))
		read_entry(scratch(cpu).tables, level, entry);
}

void tlbsan_ept_pte(unsigned cpu, int level, Bit64u entry)
{
	read_entry(scratch(cpu).ept_tables, level, entry);
}

/* access: what all levels allow, bit 0 read, bit 1 write, bits 2 and 10 execute */
void tlbsan_ept_walk(unsigned cpu, Bit64u guest, Bit64u host, int level, Bit64u entry,
		     unsigned access, unsigned rw)
{
	bool dirty_flags = BX_CPU(cpu)->vmcs.eptptr & 0x40;
	bool writes = rw & 1, dirty = entry & 0x200;
	uint8_t shift = 12 + 9 * level;
	Rights allowed = {
		.read = access & 1,
		.write = access & 2 && (!dirty_flags || writes || dirty),
		.execute = (access & 0x404) != 0,
	};

	scratch(cpu).ept = { .guest = guest, .shift = shift, .allowed = allowed };
	oracle->ept_walked({
		.at = place(cpu),
		.guest = guest,
		.host = host & FRAME,
		.shift = shift,
		.allowed = allowed,
		.sets_dirty = dirty_flags && writes && !dirty,
		.tables = take(scratch(cpu).ept_tables),
	});
}

void tlbsan_ept_refusal(unsigned cpu, Bit64u guest, Bit64u linear, bool linear_valid,
			bool page_walk, unsigned wanted, bool misconfiguration)
{
	oracle->ept_refused({
		.at = place(cpu),
		.misconfiguration = misconfiguration,
		.guest = guest,
		.linear = linear,
		.linear_valid = linear_valid,
		.page_walk = page_walk,
		.wanted = {
			.read = wanted & 1,
			.write = (wanted & 2) != 0,
			.execute = (wanted & 0x404) != 0,
		},
		.tables = take(scratch(cpu).ept_tables),
	});
	scratch(cpu).tables.read = 0;
}

/* access: bit 0 no execute, 1 write, 2 user, 8 global */
void tlbsan_walk(unsigned cpu, Bit64u linear, Bit64u host, Bit32u mask, unsigned access, unsigned rw)
{
	BX_CPU_C *c = BX_CPU(cpu);

	if (!c->in_vmx_guest)
		return;

	Tables tables = take(scratch(cpu).tables);

	/* Without paging only guest-physical mappings are used. */
	if (!c->cr0.get_PG() || !tables.read)
		return;

	const EptResult &ept = scratch(cpu).ept;
	bool ept_on = c->vmcs.vmexec_ctrls2.EPT_ENABLE();
	uint8_t own = mask == 0xfff ? 12 : mask == 0x1fffff ? 21 : mask == 0x3fffff ? 22 : 30;
	uint64_t leaf = tables.entry[__builtin_ctz(tables.read)];
	bool writes = rw & 1, dirty = leaf & 0x40;

	oracle->walked({
		.at = place(cpu),
		.linear = linear,
		.guest = (ept_on ? ept.guest : host) & FRAME,
		.host = host & FRAME,
		.shift = ept_on && ept.shift < own ? ept.shift : own,
		.guest_shift = own,
		.allowed = {
			.read = !ept_on || ept.allowed.read,
			.write = access & 2 && (writes || dirty) && (!ept_on || ept.allowed.write),
			.execute = !(access & 1) && (!ept_on || ept.allowed.execute),
		},
		.user = (access & 4) != 0,
		.global = (access & 0x100) != 0,
		.sets_dirty = writes && !dirty,
		.tables = tables,
	});
}

void tlbsan_page_fault(unsigned cpu, unsigned fault, Bit64u linear, unsigned user, unsigned rw)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bool shadow_stack = rw & 4, protection_key = fault & 0x20;

	if (!c->in_vmx_guest)
		return;

	Tables tables = take(scratch(cpu).tables);
	bool executes = rw == BX_EXECUTE;

	/* These faults say nothing of the translation. */
	if (shadow_stack || protection_key)
		return;

	Place at = place(cpu);

	oracle->faulted({
		.at = at,
		.linear = linear,
		.wanted = {
			.read = !executes,
			.write = !executes && (rw & 1),
			.execute = executes,
		},
		.user = user != 0,
		.user_pages_barred = executes ? c->cr4.get_SMEP() :
				     c->cr4.get_SMAP() && smap_bars(at.cpl, c->eflags >> 18 & 1),
		.tables = tables,
	});
}
