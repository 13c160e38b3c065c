/* SPDX-License-Identifier: GPL-2.0 */
#include "reports.h"

#include <cinttypes>

#include "output.h"
#include "regions.h"

namespace tlbsan {

static const char *const names[findings] = {
	"other_page", "other_host_page", "page_fault", "other_table", "no_table", "dirty",
	"guest_physical", "ept_dirty", "ept_refusal", "ept_table", "apic_access",
};

const char *finding_name(Finding finding)
{
	return names[static_cast<unsigned>(finding)];
}

static std::string text(const char *name, const std::string &value)
{
	return std::string("\"") + name + "\": \"" + value + "\"";
}

static std::string hex(uint64_t value)
{
	char digits[19];

	snprintf(digits, sizeof(digits), "0x%" PRIx64, value);
	return digits;
}

static std::string hex(const char *name, uint64_t value)
{
	return text(name, hex(value));
}

static std::string number(const char *name, uint64_t value)
{
	return std::string("\"") + name + "\": " + std::to_string(value);
}

static std::string context(const VirtualTag &tag)
{
	return number("vcpu", tag.vcpu) + ", " +
	       (tag.known ? number("vpid12", tag.vpid) + ", " + hex("ep4ta12", tag.ep4ta) :
			    std::string("\"vpid12\": null, \"ep4ta12\": null"));
}

static std::string level(Level level)
{
	return level == Level::root ? "root" : level == Level::L1 ? "L1" : "L2";
}

static std::string list(const char *name, const std::vector<Operation> &operations)
{
	std::string all;

	for (const Operation &operation : operations) {
		Words action = words_of(operation.action);

		all += all.empty() ? "" : ", ";
		all += "{" + text("operation", action.text) + ", " + text("action", action.word) +
		       ", " + hex("a", operation.a) + ", " +
		       hex("b", operation.b) + ", " + hex("rip", operation.rip) + ", " +
		       text("in", level(operation.level)) + "}";
	}
	return std::string("\"") + name + "\": [" + all + "]";
}

std::string report_json(const std::string &step, const std::string &region, const Report &report)
{
	const Place &now = report.now;
	const Origin &origin = report.old.origin;
	Words cause = words_of(report.cause);
	bool stale = report.cause != Cause::guest;
	std::string line = "{" + text("report", stale ? "stale" : "guestowned") + ", " +
		text("step", step) + ", " + text("region", region) + ", " + text("finding", finding_name(report.finding)) + ", " +
		text("cause", cause.word) + ", " + text("debt", cause.text) + ", " +
		text("by", report.cause == Cause::invalidated ? words_of(report.by).word : "") + ", " +
		hex("linear", report.linear) + ", " + hex("guest", report.guest) + ", " +
		hex("host", report.host) + ", ";

	line += "\"now\": {" + number("cpu", now.cpu) + ", " +
		text("level", level(report.level)) + ", " +
		hex("rip", now.rip) + ", " + number("cpl", now.cpl) + ", " + hex("cr3", now.cr3) + ", " +
		number("vpid", now.tag.vpid) + ", " + number("pcid", now.tag.pcid) + ", " +
		hex("ep4ta", now.tag.ep4ta) + ", " + context(report.context) + ", " +
		hex("vmcs", now.vmcs) + ", " + number("instructions", now.instructions) + "}, ";

	line += "\"old\": {" + hex("guest", report.old.guest) + ", " + hex("host", report.old.host) +
		", " + number("size", uint64_t(1) << report.shift) + ", " + hex("rip", origin.rip) + ", " +
		hex("cr3", origin.cr3) + ", " + context(origin.context) + ", " +
		hex("vmcs", origin.vmcs) + ", " + number("instructions", origin.instructions) + "}, ";

	return line + list("since", report.since) + ", " + list("promised", report.promised) + "}";
}

void ReportLog::write(const Report &report)
{
	std::string which = finding_name(report.finding) + hex(report.linear >> 12) +
			    hex(report.now.rip) + words_of(report.cause).word;
	bool note = report.cause == Cause::guest;

	if (written.size() >= most || (note && notes >= most_notes) ||
	    !written.insert(which).second)
		return;
	notes += note;
	write_line(file, "TLBSAN_REPORTS", report_json(step, current, report));
}

void ReportLog::region(const std::string &label)
{
	current = label;
	if (is_step(label))
		step = label;
	written.clear();
	notes = 0;
}

} /* namespace tlbsan */
