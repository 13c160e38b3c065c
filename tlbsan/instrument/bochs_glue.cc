/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one file that knows Bochs: turns its calls and the state of its CPUs
 * into events.  Bochs emulates all CPUs in one thread, so nothing is locked.
 */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bochs.h"
#include "cpu/cpu.h"
#include "pc_system.h"

#include "counting.h"

static std::unique_ptr<tlbsan::Counting> counting;

static uint64_t executed(unsigned cpu)
{
	return BX_CPU(cpu)->get_icount();
}

/* Is no VMCS current on this CPU? */
static bool no_vmcs(const BX_CPU_C *cpu)
{
	return cpu->vmcsptr == BX_INVALID_VMCSPTR;
}

static FILE *open_output()
{
	const char *path = getenv("TLBSAN_OUT");

	if (!path || !*path)
		return nullptr;

	FILE *file = fopen(path, "w");

	if (!file) {
		fprintf(stderr, "tlbsan: cannot open TLBSAN_OUT=%s: %s; name a file that can be written\n",
			path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	return file;
}

static void finish()
{
	counting->finish();
}

/* Let Bochs' main loop end, so that the last region is written. */
static void stop(int)
{
	bx_pc_system.kill_bochs_request = 1;
	for (unsigned cpu = 0; cpu < BX_SMP_PROCESSORS; cpu++)
		BX_CPU(cpu)->async_event = 1;
}

void tlbsan_initialize(unsigned cpu)
{
	if (cpu == 0)
		counting = std::make_unique<tlbsan::Counting>(BX_SMP_PROCESSORS, open_output(),
							      executed);
	/* Only now do all CPUs exist. */
	if (cpu + 1 == unsigned(BX_SMP_PROCESSORS)) {
		/* Bochs leaves by exit() from several places; this is on all their ways. */
		atexit(finish);
		signal(SIGTERM, stop);
	}
}

void tlbsan_reset(unsigned cpu)
{
	if (counting)
		counting->reset(cpu);
}

void tlbsan_prefetch(Bit64u address)
{
	counting->prefetched(address);
}

void tlbsan_vmentry(unsigned cpu)
{
	BX_CPU_C *c = BX_CPU(cpu);
	bool vpid_on = c->vmcs.vmexec_ctrls2.VPID_ENABLE();

	counting->entered({
		.cpu = cpu,
		.instructions = executed(cpu),
		.vmcs = c->vmcsptr,
		.vpid = vpid_on ? c->vmcs.vpid : uint16_t(0),
		.host_rsp = c->vmcs.host_state.rsp,
		.vmread_bitmap = c->VMread64(VMCS_64BIT_CONTROL_VMREAD_BITMAP_ADDR) != 0,
	});
}

void tlbsan_vmexit(unsigned cpu, Bit32u reason)
{
	counting->exited({
		.cpu = cpu,
		.instructions = executed(cpu),
		.reason = uint16_t(reason),
		.failed_entry = (reason >> 31) != 0,
	});
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

	counting->invept({
		.type = type,
		.eptp = eptp,
		.loaded_eptp = no_vmcs(c) ? 0 : c->VMread64(VMCS_64BIT_CONTROL_EPTPTR),
	});
}

void tlbsan_invvpid(unsigned type, unsigned vpid, Bit64u linear)
{
	counting->invvpid({ .type = type, .vpid = uint16_t(vpid), .linear = linear });
}

/* Guests with a shadow VMCS get VMfail without an exit: not the hypervisor's. */
void tlbsan_vmfail(unsigned cpu, Bit32u error)
{
	if (!BX_CPU(cpu)->in_vmx_guest)
		counting->failed({ .error = error });
}
