/* SPDX-License-Identifier: GPL-2.0 */
#include <cctype>
#include <csignal>
#include <cstdlib>

#include "bochs_glue.h"
#include "output.h"
#include "pc_system.h"

namespace tlbsan {

std::unique_ptr<Counting> counting;
std::unique_ptr<Oracle> oracle;

static std::unique_ptr<ReportLog> reports;

} /* namespace tlbsan */

using namespace tlbsan;

bool tlbsan_oracle_on;

static uint64_t executed(unsigned cpu)
{
	return BX_CPU(cpu)->get_icount();
}

/* Is no VMCS current on this CPU? */
static bool no_vmcs(const BX_CPU_C *cpu)
{
	return cpu->vmcsptr == BX_INVALID_VMCSPTR;
}

static void finish()
{
	simulated_settle_all();
	if (oracle) {
		oracle->settle_all();
		counting->accounts(oracle->take_account());
	}
	counting->finish();
}

/* Let Bochs' main loop end, so that the last region is written. */
static void stop(int)
{
	bx_pc_system.kill_bochs_request = 1;
	for (unsigned cpu = 0; cpu < BX_SMP_PROCESSORS; cpu++)
		BX_CPU(cpu)->async_event = 1;
}

static void reported(const Report &report)
{
	counting->reported(report);
	reports->write(report);
}

/* TLBSAN_PATIENCE: a number of instructions. */
static Oracle::Limits oracle_limits()
{
	std::string text = setting("TLBSAN_PATIENCE");
	Oracle::Limits limits;
	char *end;

	if (text.empty())
		return limits;
	limits.patience = strtoull(text.c_str(), &end, 10);
	if (*end || !limits.patience || !isdigit(text[0])) {
		fprintf(stderr, "tlbsan: TLBSAN_PATIENCE=%s is not a number above 0\n",
			text.c_str());
		exit(EXIT_FAILURE);
	}
	return limits;
}

static void initialize()
{
	counting = std::make_unique<Counting>(BX_SMP_PROCESSORS, open_output("TLBSAN_OUT"), executed);
	simulate(BX_SMP_PROCESSORS);

	FILE *file = open_output("TLBSAN_REPORTS");

	if (!file)
		return;
	reports = std::make_unique<ReportLog>(file);
	oracle = std::make_unique<Oracle>(BX_SMP_PROCESSORS, counting->vmcs_levels(), reported,
					  oracle_limits());
	tlbsan_oracle_on = true;
}

void tlbsan_initialize(unsigned cpu)
{
	if (cpu == 0)
		initialize();
	/* Only now do all CPUs exist. */
	if (cpu + 1 == unsigned(BX_SMP_PROCESSORS)) {
		/* Bochs leaves by exit() from several places; this is on all their ways. */
		atexit(finish);
		signal(SIGTERM, stop);
	}
}

void tlbsan_reset(unsigned cpu)
{
	if (!counting)
		return;
	if (tlbsan_simulator_on)
		simulated_reset(cpu);
	counting->reset(cpu);
	if (oracle)
		oracle->reset(cpu);
}

void tlbsan_prefetch(Bit64u address)
{
	if (LabelReader::marks(address))
		simulated_settle_all();

	auto before_end = [](const std::string &label) {
		if (!oracle)
			return;
		if (is_step(label))
			oracle->settle_all();
		counting->accounts(oracle->take_account());
	};

	if (counting->prefetched(address, before_end) && reports)
		reports->region(counting->region());
}

void tlbsan_vmentry(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	Tag tag = tag_of(c);
	VmEntry entry = {
		.cpu = cpu,
		.instructions = executed(cpu),
		.vmcs = c->vmcsptr,
		.vpid = tag.vpid,
		.ep4ta = tag.ep4ta,
		.host_rsp = c->vmcs.host_state.rsp,
		.vmread_bitmap = c->VMread64(VMCS_64BIT_CONTROL_VMREAD_BITMAP_ADDR) != 0,
	};

	if (tlbsan_simulator_on)
		simulated_entry(entry);
	counting->entered(entry);
	if (oracle) {
		oracle->entered(entry, registers_at_entry(cpu));
		begin_guest(cpu);
	}
}

void tlbsan_vmexit(unsigned cpu, Bit32u reason, Bit64u qualification)
{
	VmExit exit = {
		.cpu = cpu,
		.instructions = executed(cpu),
		.reason = uint16_t(reason),
		.failed_entry = (reason >> 31) != 0,
	};

	if (oracle) {
		if (!exit.failed_entry)
			end_guest(cpu, exit.reason, qualification);
		oracle->exited(exit, registers_at_exit(cpu, exit.reason));
	}
	if (tlbsan_simulator_on && !exit.failed_entry)
		simulated_exit(cpu);
	counting->exited(exit);
}

void tlbsan_vmclear(Bit64u vmcs)
{
	counting->cleared({ .vmcs = vmcs });
}

void tlbsan_vmptrld(unsigned cpu, Bit64u vmcs)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bool none = no_vmcs(c);

	counting->loaded({
		.vmcs = vmcs,
		.previous = none ? 0 : c->vmcsptr,
		.previous_vpid = none ? uint16_t(0) : c->VMread16(VMCS_16BIT_CONTROL_VPID),
	});
}

void tlbsan_invept(unsigned cpu, unsigned type, Bit64u eptp)
{
	BX_CPU_C *c = BX_CPU(cpu);
	Invept inv = {
		.type = type,
		.eptp = eptp,
		.loaded_eptp = no_vmcs(c) ? 0 : c->VMread64(VMCS_64BIT_CONTROL_EPTPTR),
		.rip = c->prev_rip,
	};

	counting->invept(inv);
	if (tlbsan_simulator_on)
		simulated_invept(cpu, inv);
	if (oracle)
		oracle->invept(cpu, inv);
}

void tlbsan_invvpid(unsigned cpu, unsigned type, unsigned vpid, Bit64u linear)
{
	Invvpid inv = { .type = type, .vpid = uint16_t(vpid), .linear = linear,
			.rip = BX_CPU(cpu)->prev_rip };

	counting->invvpid(inv);
	if (tlbsan_simulator_on)
		simulated_invvpid(cpu, inv);
	if (oracle)
		oracle->invvpid(cpu, inv);
}

/* Guests with a shadow VMCS get VMfail without an exit: not the hypervisor's. */
void tlbsan_vmfail(unsigned cpu, Bit32u error)
{
	if (!BX_CPU(cpu)->in_vmx_guest)
		counting->failed({ .error = error });
}
