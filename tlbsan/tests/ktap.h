/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest test frame that prints KTAP: TEST(name) { CHECK(...); ... } in
 * any file, main() in ktap.cc.
 */
#ifndef TLBSAN_TESTS_KTAP_H
#define TLBSAN_TESTS_KTAP_H

#include <sstream>
#include <string>

namespace ktap {

struct Register {
	Register(const char *name, void (*run)());
};

void fail(const char *file, int line, const std::string &what);

template <class A, class B>
void check_equal(const A &a, const B &b, const char *text, const char *file, int line)
{
	if (a == b)
		return;

	std::ostringstream what;

	what << text << ": " << a << " is not " << b;
	fail(file, line, what.str());
}

} /* namespace ktap */

#define TEST(name)							\
	static void test_##name();					\
	static ktap::Register register_##name(#name, test_##name);	\
	static void test_##name()

#define CHECK(condition)						\
	do {								\
		if (!(condition))					\
			ktap::fail(__FILE__, __LINE__, #condition);	\
	} while (0)

#define CHECK_EQUAL(a, b) ktap::check_equal(a, b, #a, __FILE__, __LINE__)

#endif
