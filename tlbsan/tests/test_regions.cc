/* SPDX-License-Identifier: GPL-2.0 */
#include <unistd.h>

#include "counting.h"
#include "ktap.h"
#include "regions.h"

using namespace tlbsan;

/* The label that these characters make, "?" if they do not end one. */
static std::string label_of(LabelReader &reader, const std::string &characters)
{
	std::string label = "?";

	for (unsigned char c : characters)
		reader.read(LabelReader::magic | c, label);
	return label;
}

static std::string label_of(const std::string &characters)
{
	LabelReader reader;

	return label_of(reader, characters);
}

TEST(label_ends_at_line_end)
{
	LabelReader reader;

	CHECK_EQUAL(label_of(reader, "hyperv_evmcs"), "?");
	CHECK_EQUAL(label_of(reader, "\n"), "hyperv_evmcs");
	CHECK_EQUAL(label_of(reader, "next\n"), "next");
}

TEST(label_ignores_other_addresses)
{
	LabelReader reader;
	std::string label = "?";

	CHECK(!reader.read('\n', label));
	CHECK(!reader.read(0x5453414e00000100 | '\n', label));
	CHECK(!reader.read(0x5453414d00000000 | '\n', label));
	CHECK_EQUAL(label, "?");
}

TEST(label_keeps_only_harmless_characters)
{
	CHECK_EQUAL(label_of("a.b_c:d+e/f=g@h%i,j-9\n"), "a.b_c:d+e/f=g@h%i,j-9");
	CHECK_EQUAL(label_of("a\"b\\c d\te\x7f\xff{}\n"), "a_b_c_d_e____");
	CHECK_EQUAL(label_of(std::string("\0x\n", 3)), "_x");
}

TEST(label_is_never_empty_too_long_or_the_total)
{
	CHECK_EQUAL(label_of("\n"), "none");
	CHECK_EQUAL(label_of(std::string(500, 'x') + "\n"), std::string(LabelReader::max_length, 'x'));
	CHECK_EQUAL(label_of("TOTAL\n"), "TOTAL_");
}

TEST(json_of_a_region)
{
	Counters counters;

	CHECK_EQUAL(region_json("empty", 0, counters),
		    "{\"region\": \"empty\", \"seq\": 0, \"counters\": {}}");
	counters.entry(Level::L1);
	counters.invept({ .type = 2, .eptp = 0, .loaded_eptp = 0 });
	CHECK_EQUAL(region_json("x", 3, counters),
		    "{\"region\": \"x\", \"seq\": 3, \"counters\": "
		    "{\"vmentry.L1\": 1, \"invept.all\": 1}}");
}

/* What a file that was written holds. */
static std::string contents(FILE *file)
{
	std::string text;
	int c;

	rewind(file);
	while ((c = fgetc(file)) != EOF)
		text += static_cast<char>(c);
	return text;
}

static uint64_t instructions[2];

static uint64_t executed(unsigned cpu)
{
	return instructions[cpu];
}

static void mark(Counting &counting, const std::string &label)
{
	for (unsigned char c : label + "\n")
		counting.prefetched(LabelReader::magic | c);
}

static void enter(Counting &counting, uint64_t instructions, uint64_t vmcs, uint16_t vpid)
{
	counting.entered({ .cpu = 0, .instructions = instructions, .vmcs = vmcs, .vpid = vpid, .ep4ta = 0,
			   .host_rsp = 0x8000, .vmread_bitmap = false });
}

TEST(run_is_written_by_region_and_in_total)
{
	FILE *file = tmpfile();

	CHECK(file != nullptr);
	if (!file)
		return;
	instructions[0] = instructions[1] = 0;

	Counting counting(2, file, executed);

	enter(counting, 100, 0x1000, 1);
	counting.exited({ .cpu = 0, .instructions = 130, .reason = 20, .failed_entry = false });
	counting.loaded({ .vmcs = 0x2000, .previous = 0x1000, .previous_vpid = 1 });
	enter(counting, 200, 0x2000, 2);
	instructions[0] = 207;
	instructions[1] = 1000;
	mark(counting, "second");
	counting.exited({ .cpu = 0, .instructions = 210, .reason = 18, .failed_entry = false });
	counting.invvpid({ .type = 1, .vpid = 2, .linear = 0 });
	counting.exited({ .cpu = 0, .instructions = 215, .reason = 33, .failed_entry = true });
	counting.failed({ .error = 7 });
	instructions[0] = 220;
	instructions[1] = 1001;
	counting.finish();

	CHECK_EQUAL(contents(file),
		    "{\"region\": \"boot\", \"seq\": 0, \"counters\": {\"vmentry.L1\": 1, "
		    "\"vmentry.L2\": 1, \"vmexit.L1.vmlaunch\": 1, \"instr.root\": 1170, "
		    "\"instr.L1\": 30, \"instr.L2\": 7}}\n"
		    "{\"region\": \"second\", \"seq\": 1, \"counters\": {\"vmentry.failed\": 1, "
		    "\"vmexit.L2.vmcall\": 1, \"invvpid.single\": 1, "
		    "\"invvpid.single.vpid02\": 1, \"invvpid.single.vpid.2\": 1, \"vmfail.7\": 1, "
		    "\"instr.root\": 11, \"instr.L2\": 3}}\n"
		    "{\"region\": \"TOTAL\", \"seq\": 2, \"counters\": {\"vmentry.L1\": 1, "
		    "\"vmentry.L2\": 1, \"vmentry.failed\": 1, \"vmexit.L1.vmlaunch\": 1, "
		    "\"vmexit.L2.vmcall\": 1, \"invvpid.single\": 1, "
		    "\"invvpid.single.vpid02\": 1, \"invvpid.single.vpid.2\": 1, \"vmfail.7\": 1, "
		    "\"instr.root\": 1181, \"instr.L1\": 30, \"instr.L2\": 10}}\n");
	fclose(file);
}

TEST(region_is_in_the_file_as_soon_as_it_ends)
{
	FILE *file = tmpfile();

	CHECK(file != nullptr);
	if (!file)
		return;
	setvbuf(file, nullptr, _IOFBF, 1 << 16);

	Counting counting(2, file, executed);
	char line[10] = "";

	mark(counting, "second");
	CHECK_EQUAL(pread(fileno(file), line, 9, 0), 9);
	CHECK_EQUAL(std::string(line), "{\"region\"");
	fclose(file);
}

TEST(hardware_reset_loses_no_count)
{
	FILE *file = tmpfile();

	CHECK(file != nullptr);
	if (!file)
		return;
	instructions[0] = instructions[1] = 0;

	Counting counting(2, file, executed);

	enter(counting, 100, 0x1000, 1);
	counting.reset(0);
	instructions[0] = 5;
	counting.finish();

	std::string text = contents(file);

	CHECK_EQUAL(text.substr(0, text.find('\n')),
		    "{\"region\": \"boot\", \"seq\": 0, \"counters\": {\"vmentry.L1\": 1, "
		    "\"instr.root\": 105}}");
	fclose(file);
}

TEST(no_file_is_no_error)
{
	instructions[0] = instructions[1] = 0;

	Counting counting(2, nullptr, executed);

	mark(counting, "second");
	counting.finish();
}

TEST(steps_are_told_from_other_regions)
{
	for (const char *step : { "boot", "idle", "step.1", "step.20" })
		CHECK(is_step(step));
	for (const char *other : { "unjudged", "step", "steps.1", "tlb.step.1" })
		CHECK(!is_step(other));
}
