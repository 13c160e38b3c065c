/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulator tells the oracle beyond events.h: each page walk of a guest
 * and how it ended, and each operation of a guest that invalidates.
 */
#ifndef TLBSAN_WALK_EVENTS_H
#define TLBSAN_WALK_EVENTS_H

#include <cstdint>
#include <vector>

#include "names.h"
#include "words.h"

namespace tlbsan {

/* Where a guest's access was translated. */
struct Place {
	unsigned cpu = 0;
	uint64_t instructions = 0;
	uint64_t vmcs = 0;
	Tag tag {};		/* as the hardware has it now */
	uint64_t cr3 = 0;
	uint64_t rip = 0;
	uint8_t cpl = 0;
	uint8_t table_bits = 9;	/* address bits a table level resolves; 10 without PAE */
	uint64_t apic_page = 0;	/* host page whose accesses are virtualized; 0: none */
};

/* The paging-structure entries a walk read, by level: 0 is a page table's. */
struct Tables {
	uint64_t entry[5] = {};
	uint8_t read = 0;	/* bit n: level n was read */

	bool has(int level) const { return level >= 0 && read >> level & 1; }
};

struct Rights {
	bool read = true;	/* an execute needs no right to read */
	bool write = false;
	bool execute = false;
};

/* A linear address was translated. */
struct Walk {
	Place at {};
	uint64_t linear = 0;
	uint64_t guest = 0;	/* 4 KiB frames; without EPT guest is host */
	uint64_t host = 0;
	uint8_t shift = 12;	/* size of the page: the smaller of guest's and EPT's */
	uint8_t guest_shift = 0;	/* by the guest's own tables, if that is larger */
	Rights allowed {};		/* without another walk; a write needs the dirty flag too */
	bool user = false;
	bool global = false;
	bool sets_dirty = false;	/* a write that found the dirty flag clear */
	Tables tables {};
};

/*
 * SDM 4.6.1: with EFLAGS.AC set a supervisor may access user pages in spite of SMAP, but
 * for the implicit accesses, which alone are a supervisor's at CPL 3.
 */
inline bool smap_bars(unsigned cpl, bool ac)
{
	return cpl == 3 || !ac;
}

/* A linear address was refused with a page fault. */
struct PageFault {
	Place at {};
	uint64_t linear = 0;
	Rights wanted {};
	bool user = false;	/* the access was a user's */
	bool user_pages_barred = false;	/* SMEP or SMAP bars this access from user pages */
	Tables tables {};
};

/* A guest-physical address was translated. */
struct EptWalk {
	Place at {};
	uint64_t guest = 0;
	uint64_t host = 0;	/* 4 KiB frame */
	uint8_t shift = 12;
	Rights allowed {};
	bool sets_dirty = false;	/* a write that found the dirty flag clear */
	Tables tables {};
};

/* A guest-physical address was refused: EPT violation or misconfiguration. */
struct EptRefusal {
	Place at {};
	bool misconfiguration = false;	/* it invalidates nothing */
	uint64_t guest = 0;
	uint64_t linear = 0;
	bool linear_valid = false;	/* linear is the access's address ... */
	bool page_walk = false;		/* ... and guest is that of a page table on its way */
	Rights wanted {};
	Tables tables {};
};

/* What an operation of a guest on its own address spaces invalidates. */
enum class Scope {
	address,		/* INVLPG */
	pcid_address,		/* INVPCID type 0 */
	pcid,			/* MOV to CR3, INVPCID type 1 */
	pcid_and_globals,	/* CR4.PAE changed, CR4.SMEP set */
	all,			/* INVPCID type 2; CR0.PG or CR4.PCIDE cleared, CR4.PGE changed */
	all_but_globals,	/* INVPCID type 3 */
};

struct GuestOperation {
	Scope scope;
	uint16_t pcid = 0;
	uint64_t address = 0;
	Action action = Action::other;
	uint64_t rip = 0;	/* of the instruction */
};

/* A guest's registers, control registers as the guest reads them. */
struct GuestRegisters {
	uint64_t cr0 = 0;
	uint64_t cr3 = 0;
	uint64_t cr4 = 0;
	uint64_t rax = 0;
	uint64_t rip = 0;
	/* At the first instruction of an SMI's handler, in the state that an SMI sets. */
	bool at_smi_handler = false;
	/* At a VM exit: RSM raised #UD, so the hypervisor may carry it out. */
	bool at_rsm = false;
	/* At a VM entry. */
	uint64_t rflags = 0;
	bool injects_ud = false;
	/* CR3 of the process, and of all its threads, that runs the guest. */
	uint64_t host_cr3 = 0;
	/* An L1 finds exit 0x10000031 in its enlightened VMCS: a handled hypercall of its L2. */
	bool trap_after_flush = false;
};

/* The fields of a vmcs12 that say which address spaces its L2 has. */
struct Vmcs12 {
	bool known = false;	/* the controls were seen */
	uint32_t controls = 0;	/* secondary processor-based */
	bool activated = true;	/* the primary ones activate them, as far as was seen */
	uint16_t vpid = 0;
	uint64_t eptp = 0;
	bool switches_eptp = false;	/* its L2 may, by VMFUNC, to those on the list */
	uint64_t eptp_list = 0;
	std::vector<uint64_t> eptps;
	/* Of an enlightened VMCS, if the hypervisor may handle its L2's flush hypercalls. */
	bool direct_flush = false;
	uint64_t vm_id = 0;
	uint32_t vp_id = 0;
};

} /* namespace tlbsan */

#endif
