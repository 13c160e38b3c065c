/* SPDX-License-Identifier: GPL-2.0 */
#include "regions.h"

#include <cstring>

#include "output.h"

namespace tlbsan {

static const char total_name[] = "TOTAL";

/*
 * Labels come from guests.  What is left here needs no quoting in JSON, in a
 * shell or between blanks.
 */
static char label_char(unsigned char c)
{
	bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

	return alnum || (c && strchr("._:+/=@%,-", c)) ? c : '_';
}

bool LabelReader::read(uint64_t address, std::string &label)
{
	if (!marks(address))
		return false;

	unsigned char c = address & 0xff;

	if (c != '\n') {
		if (pending.size() < max_length)
			pending += label_char(c);
		return false;
	}
	label = pending.empty() ? "none" : pending;
	if (label == total_name)
		label += "_";
	pending.clear();
	return true;
}

bool is_step(const std::string &label)
{
	return label == "boot" || label == "idle" || label.rfind("step.", 0) == 0;
}

std::string region_json(const std::string &region, unsigned seq, const Counters &counters)
{
	std::string line = "{\"region\": \"" + region + "\", \"seq\": " + std::to_string(seq) +
			   ", \"counters\": {";
	const char *separator = "";

	counters.each([&](const std::string &name, uint64_t value) {
		line += separator;
		line += "\"" + name + "\": " + std::to_string(value);
		separator = ", ";
	});
	return line + "}}";
}

void RegionLog::next(const std::string &label, Counters &counters)
{
	write_line(file, "TLBSAN_OUT", region_json(current, seq++, counters));
	total.add(counters);
	counters.clear();
	current = label;
}

void RegionLog::finish(Counters &counters)
{
	next(total_name, counters);
	write_line(file, "TLBSAN_OUT", region_json(current, seq, total));
}

} /* namespace tlbsan */
