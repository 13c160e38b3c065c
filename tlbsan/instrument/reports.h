/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reports: what a person gets to see of an old entry that hardware could have
 * used, one JSON object a line.
 */
#ifndef TLBSAN_REPORTS_H
#define TLBSAN_REPORTS_H

#include <cstdint>
#include <cstdio>
#include <string>
#include <unordered_set>
#include <vector>

#include "operations.h"
#include "remembered.h"
#include "vmcs_levels.h"
#include "walk_events.h"
#include "words.h"

namespace tlbsan {

/* What was found where an entry is still cached. */
enum class Finding {
	other_page,		/* the linear address leads to another page */
	other_host_page,	/* the same guest-physical page, but elsewhere in the host */
	page_fault,		/* the access is refused, the entry allows it */
	other_table,		/* a paging-structure entry points elsewhere */
	no_table,		/* ... or nowhere */
	dirty,			/* a write must set the dirty flag, the entry would not */
	guest_physical,		/* the guest-physical address leads to another page */
	ept_dirty,		/* the same of EPT */
	ept_refusal,		/* EPT refuses the access, the entry allows it */
	ept_table,		/* an EPT paging-structure entry points elsewhere or nowhere */
	apic_access,		/* the page is the APIC now, to the entry it is memory */
};

inline constexpr unsigned findings = 11;

const char *finding_name(Finding finding);

/* What the oracle has judged, and what it has not: its own limits. */
struct Account {
	uint64_t walks = 0;	/* of linear and of guest-physical addresses */
	uint64_t forgotten = 0;	/* entries and guarantees that were too many to keep */
	uint64_t dropped = 0;	/* deferred reports whose guest never ran again */

	void add(const Account &more)
	{
		walks += more.walks;
		forgotten += more.forgotten;
		dropped += more.dropped;
	}
};

struct Verdict {
	Cause cause = Cause::guest;
	/*
	 * The hypervisor changed a table of its own, perhaps on another CPU a moment
	 * ago, and has the flush still before it.
	 */
	bool may_follow = false;
};

struct Report {
	Finding finding;
	Cause cause;
	Place now;
	Level level = Level::L1;
	VirtualTag context;
	uint64_t linear = 0;
	uint64_t guest = 0;
	uint64_t host = 0;	/* 0: refused */
	Entry old;
	uint8_t shift = 12;	/* size of the old entry */
	Action by = Action::other;	/* if the guest invalidated it: this did */
	std::vector<Operation> since;	/* of that CPU, newest first */
	std::vector<Operation> promised;	/* to that virtual CPU, newest first */
};

/* The line of a report, without a line end. */
std::string report_json(const std::string &step, const std::string &region, const Report &report);

/*
 * Writes reports.  The same finding at the same address by the same instruction
 * is written once a region, and not more than most of all and most_notes of
 * those that are the guest's own.
 */
class ReportLog {
public:
	static constexpr size_t most = 200, most_notes = 20;

	/* file: nullptr writes nothing */
	explicit ReportLog(FILE *file) : file(file) {}

	void write(const Report &report);
	/* A region begins; one named "step.N", "idle" or so says which step follows. */
	void region(const std::string &label);

private:
	FILE *file;
	std::string current = "boot", step = "boot";
	std::unordered_set<std::string> written;
	size_t notes = 0;
};

} /* namespace tlbsan */

#endif
