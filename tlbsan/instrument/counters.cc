/* SPDX-License-Identifier: GPL-2.0 */
#include "counters.h"

#include <cinttypes>
#include <cstdio>
#include <numeric>

#include "exit_reasons.h"

namespace tlbsan {

static const unsigned INVVPID_ADDR = 0, INVVPID_ALL = 2;
static const unsigned INVEPT_SINGLE = 1;

static const char *const level_names[] = { "root", "L1", "L2" };
static const char *const owner_names[] = { "vpid01", "vpid02", "other" };
static const char *const invvpid_names[] = { "addr", "single", "all", "nonglobal" };
static const char *const invept_names[] = { nullptr, "single", "all" };

static size_t index(Level level)
{
	return static_cast<size_t>(level);
}

void Counters::entry(Level level)
{
	entries[index(level)]++;
}

void Counters::failed_entry()
{
	failed_entries++;
}

void Counters::exit(Level level, uint16_t reason)
{
	exits[index(level)][reason]++;
}

void Counters::invvpid(const Invvpid &inv, VpidOwner owner)
{
	invvpids.at(inv.type)++;
	if (inv.type == INVVPID_ALL)
		return;		/* its operand's VPID means nothing */
	invvpids_of_owner[inv.type][static_cast<size_t>(owner)]++;
	invvpids_of_vpid[inv.type][inv.vpid]++;
	if (inv.type == INVVPID_ADDR)
		page(inv.linear >> 12, 1);
}

void Counters::page(uint64_t number, uint64_t times)
{
	if (invvpids_of_page.size() < most_pages || invvpids_of_page.count(number))
		invvpids_of_page[number] += times;
	else
		invvpids_of_more_pages += times;
}

/* An EPTP's address of the top table, SDM 25.6.11: what INVEPT goes by. */
static uint64_t ep4ta(uint64_t eptp)
{
	return eptp & 0x000ffffffffff000;
}

void Counters::invept(const Invept &inv)
{
	invepts.at(inv.type)++;
	if (inv.type == INVEPT_SINGLE && ep4ta(inv.eptp) == ep4ta(inv.loaded_eptp))
		invepts_of_current++;
	if (inv.type == INVEPT_SINGLE && inv.eptp == inv.loaded_eptp)
		invepts_of_exact++;
}

void Counters::vmfail(const VmFail &fail)
{
	vmfails[fail.error]++;
}

void Counters::instructions(Level level, uint64_t number)
{
	executed[index(level)] += number;
}

void Counters::reported(const Report &report)
{
	(report.cause == Cause::guest ? guestowned : stale)[static_cast<size_t>(report.finding)]++;
}

void Counters::accounts(const Account &more)
{
	account.add(more);
}

void Counters::simulated(Level level, uint16_t vpid, const TlbCounts &counts)
{
	tlb[index(level)][vpid].add(counts);
}

template <size_t n>
static void add_each(std::array<uint64_t, n> &sum, const std::array<uint64_t, n> &more)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += more[i];
}

template <class Key>
static void add_each(std::map<Key, uint64_t> &sum, const std::map<Key, uint64_t> &more)
{
	for (const auto &[key, value] : more)
		sum[key] += value;
}

void Counters::add(const Counters &more)
{
	add_each(entries, more.entries);
	account.add(more.account);
	failed_entries += more.failed_entries;
	for (size_t level = 0; level < levels; level++)
		add_each(exits[level], more.exits[level]);
	add_each(invvpids, more.invvpids);
	for (size_t type = 0; type < invvpid_types; type++) {
		add_each(invvpids_of_owner[type], more.invvpids_of_owner[type]);
		add_each(invvpids_of_vpid[type], more.invvpids_of_vpid[type]);
	}
	for (const auto &[number, times] : more.invvpids_of_page)
		page(number, times);
	invvpids_of_more_pages += more.invvpids_of_more_pages;
	add_each(invepts, more.invepts);
	invepts_of_current += more.invepts_of_current;
	invepts_of_exact += more.invepts_of_exact;
	add_each(vmfails, more.vmfails);
	add_each(executed, more.executed);
	add_each(stale, more.stale);
	add_each(guestowned, more.guestowned);
	for (size_t level = 0; level < levels; level++)
		for (const auto &[vpid, counts] : more.tlb[level])
			tlb[level][vpid].add(counts);
}

void Counters::clear()
{
	*this = Counters();
}

static std::string hex(uint64_t number)
{
	char digits[17];

	snprintf(digits, sizeof(digits), "%" PRIx64, number);
	return digits;
}

void Counters::each(const Visit &visit) const
{
	auto nonzero = [&](const std::string &name, uint64_t value) {
		if (value)
			visit(name, value);
	};

	for (size_t level = index(Level::L1); level < levels; level++)
		nonzero(std::string("vmentry.") + level_names[level], entries[level]);
	nonzero("vmentry.failed", failed_entries);

	for (size_t level = index(Level::L1); level < levels; level++)
		for (const auto &[reason, value] : exits[level])
			nonzero(std::string("vmexit.") + level_names[level] + "." +
				exit_reason_name(reason), value);

	for (size_t type = 0; type < invvpid_types; type++) {
		std::string name = std::string("invvpid.") + invvpid_names[type];

		nonzero(name, invvpids[type]);
		for (size_t owner = 0; owner < owners; owner++)
			nonzero(name + "." + owner_names[owner], invvpids_of_owner[type][owner]);
		for (const auto &[vpid, value] : invvpids_of_vpid[type])
			nonzero(name + ".vpid." + std::to_string(vpid), value);
	}

	for (const auto &[number, value] : invvpids_of_page)
		nonzero("invvpid.addr.page." + hex(number), value);
	nonzero("invvpid.addr.page.more", invvpids_of_more_pages);

	nonzero("invept.single.current", invepts_of_current);
	nonzero("invept.single.exact", invepts_of_exact);
	nonzero("invept.single.other", invepts[INVEPT_SINGLE] - invepts_of_current);
	for (size_t type = 1; type < invept_types; type++)
		nonzero(std::string("invept.") + invept_names[type], invepts[type]);
	for (const auto &[error, value] : vmfails)
		nonzero("vmfail." + std::to_string(error), value);
	for (size_t level = 0; level < levels; level++)
		nonzero(std::string("instr.") + level_names[level], executed[level]);

	auto reports = [&](const std::string &name, const Numbers<findings> &numbers) {
		nonzero(name, std::accumulate(numbers.begin(), numbers.end(), uint64_t(0)));
		for (unsigned i = 0; i < findings; i++)
			nonzero(name + "." + finding_name(static_cast<Finding>(i)), numbers[i]);
	};

	reports("tlbsan.stale", stale);
	reports("tlbsan.guestowned", guestowned);
	nonzero("tlbsan.walks", account.walks);
	nonzero("tlbsan.forgotten", account.forgotten);
	nonzero("tlbsan.dropped", account.dropped);

	for (size_t level = 0; level < levels; level++) {
		for (const auto &[vpid, counts] : tlb[level]) {
			std::string name = std::string("sim.") + level_names[level] + ".vpid." +
					   std::to_string(vpid);

			nonzero(name + ".accesses", counts.accesses);
			nonzero(name + ".l1_misses", counts.l1_misses);
			nonzero(name + ".l2_misses", counts.l2_misses);
		}
	}
}

} /* namespace tlbsan */
