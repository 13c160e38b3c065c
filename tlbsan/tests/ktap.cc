/* SPDX-License-Identifier: GPL-2.0 */
#include "ktap.h"

#include <cstdio>
#include <vector>

namespace ktap {

struct Test {
	const char *name;
	void (*run)();
};

/* In a function, because tests register before any global of this file exists. */
static std::vector<Test> &tests()
{
	static std::vector<Test> all;

	return all;
}

static bool failed;

Register::Register(const char *name, void (*run)())
{
	tests().push_back({ name, run });
}

void fail(const char *file, int line, const std::string &what)
{
	printf("# %s:%d: %s\n", file, line, what.c_str());
	failed = true;
}

} /* namespace ktap */

int main()
{
	unsigned number = 0, failures = 0;

	setvbuf(stdout, nullptr, _IONBF, 0);
	printf("KTAP version 1\n1..%zu\n", ktap::tests().size());
	for (const auto &test : ktap::tests()) {
		ktap::failed = false;
		test.run();
		failures += ktap::failed;
		printf("%sok %u %s\n", ktap::failed ? "not " : "", ++number, test.name);
	}
	return failures || !number;
}
