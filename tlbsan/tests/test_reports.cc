/* SPDX-License-Identifier: GPL-2.0 */
/* What reports say, and how often. */
#include "oracle_machine.h"

using namespace tlbsan;

TEST(report_tells_what_came_between)
{
	Machine m;

	m.enter_l1();
	m.invvpid(2);
	m.walk(guest_a, host_a);
	m.invvpid(1, 77);
	m.invept(1, 0x7705e);
	m.walk(guest_a, host_b);
	m.wait();
	CHECK_EQUAL(m.reports.size(), 1u);
	if (m.reports.empty())
		return;
	CHECK_EQUAL(m.reports[0].since.size(), 2u);
	CHECK(m.reports[0].since[0].action == Action::invept_single);
	CHECK_EQUAL(m.reports[0].since[1].a, 77u);

	std::string line = report_json("step.1", "here", m.reports[0]);

	CHECK(line.find("{\"report\": \"stale\", \"step\": \"step.1\", \"region\": \"here\", "
			"\"finding\": \"other_host_page\", \"cause\": \"ept_page\", "
			"\"debt\": \"its EPT changed, no INVEPT\", \"by\": \"\"") == 0);
	CHECK(line.find("\"since\": [{\"operation\": \"INVEPT single\", "
			"\"action\": \"invept_single\", \"a\": \"0x7705e\", "
			"\"b\": \"0x0\", \"rip\": \"0x0\", \"in\": \"L1\"}, "
			"{\"operation\": \"INVVPID single\"") != std::string::npos);
}

static std::string by(const Machine &m)
{
	if (m.reports.size() != 1)
		return "no report";

	std::string line = report_json("", "", m.reports[0]), mark = "\"by\": \"";
	size_t at = line.find(mark) + mark.size();

	return line.substr(at, line.find('"', at) - at);
}

TEST(report_names_the_operation_that_covered_the_entry)
{
	Machine m;
	VirtualCpus &vcpus = m.oracle.virtual_cpus();

	m.enter_l1();
	m.walk(guest_a, host_a);
	vcpus.asked(0, { Scope::pcid, 0, 0, Action::mov_cr3 });
	vcpus.asked(0, { Scope::address, 0, linear + 0x1000, Action::invlpg });
	m.walk(guest_b, host_b);
	CHECK_EQUAL(by(m), "mov_cr3");
	m.reports.clear();
	/* Without such an operation it has no name. */
	m.walk(guest_b, host_a);
	m.wait();
	CHECK_EQUAL(by(m), "");
}

TEST(reports_are_written_once_a_region)
{
	Machine m;
	FILE *file = tmpfile();

	CHECK(file != nullptr);
	if (!file)
		return;

	ReportLog log(file);

	m.enter_l1();
	m.walk(guest_a, host_a);
	m.walk(guest_b, host_b);
	CHECK_EQUAL(m.reports.size(), 1u);
	if (m.reports.empty())
		return;
	for (const char *region : { "one", "two" }) {
		log.region(region);
		log.write(m.reports[0]);
		log.write(m.reports[0]);
	}

	unsigned lines = 0;

	rewind(file);
	for (int c; (c = fgetc(file)) != EOF;)
		lines += c == '\n';
	CHECK_EQUAL(lines, 2u);
	fclose(file);
}
