/* SPDX-License-Identifier: GPL-2.0 */
#include "remembered.h"

namespace tlbsan {

Entry *Remembered::find(const Name &name, const Invalidations &invalidations)
{
	auto found = entries.find(name);

	if (found == entries.end())
		return nullptr;

	if (invalidations.newest(name) > found->second.read) {
		entries.erase(found);
		return nullptr;
	}
	return &found->second;
}

Entry &Remembered::at(const Name &name)
{
	return entries[name];
}

void Remembered::forget(const Name &name)
{
	entries.erase(name);
}

size_t Remembered::size() const
{
	return entries.size();
}

void Remembered::sweep(const Invalidations &invalidations)
{
	std::erase_if(entries, [&](const auto &item) {
		return invalidations.newest(item.first) > item.second.read;
	});
}

void Remembered::clear()
{
	entries.clear();
}

} /* namespace tlbsan */
