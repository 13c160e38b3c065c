/* SPDX-License-Identifier: GPL-2.0 */
#include "simulated_sizes.h"

#include <bit>
#include <charconv>
#include <set>

namespace tlbsan {

static const unsigned most_entries = 1 << 16;

static TlbSize *part(TlbSizes &sizes, const std::string &name)
{
	if (name == "l1d")
		return &sizes.l1d;
	if (name == "l1d2m")
		return &sizes.l1d2m;
	if (name == "l1i")
		return &sizes.l1i;
	if (name == "l1i2m")
		return &sizes.l1i2m;
	if (name == "l2")
		return &sizes.l2;
	return nullptr;
}

/* A whole text of digits that makes a number from 1 to most_entries; 0 for all others. */
static unsigned number(const std::string &text)
{
	const char *end = text.data() + text.size();
	unsigned value = 0;
	auto [stopped, error] = std::from_chars(text.data(), end, value);

	return error == std::errc() && stopped == end && value <= most_entries ? value : 0;
}

static std::string read_size(const std::string &text, TlbSize &size)
{
	size_t x = text.find('x');

	size.entries = number(text.substr(0, x));
	size.ways = x == std::string::npos ? size.entries : number(text.substr(x + 1));
	if (!size.entries || !size.ways)
		return "is not ENTRIES or ENTRIESxWAYS, numbers from 1 to " +
		       std::to_string(most_entries);
	/* A set is found by address bits. */
	if (size.entries % size.ways || !std::has_single_bit(size.sets()))
		return "has sets that are no power of two: ENTRIES / WAYS must be one";
	return "";
}

std::string read_sizes(const std::string &text, TlbSizes &sizes)
{
	std::set<std::string> seen;

	sizes = TlbSizes();
	if (text == "default")
		return "";
	for (size_t begin = 0; begin <= text.size();) {
		size_t end = std::min(text.find(',', begin), text.size());
		std::string item = text.substr(begin, end - begin);
		size_t equals = item.find('=');
		std::string name = item.substr(0, equals);
		TlbSize *size = part(sizes, name);

		if (!size || equals == std::string::npos)
			return "\"" + item + "\" is neither \"default\" nor PART=SIZE with one of the "
			       "parts l1d, l1d2m, l1i, l1i2m, l2";
		if (!seen.insert(name).second)
			return "\"" + name + "\" is given twice";

		std::string wrong = read_size(item.substr(equals + 1), *size);

		if (!wrong.empty())
			return "\"" + item + "\" " + wrong;
		begin = end + 1;
	}
	return "";
}

} /* namespace tlbsan */
