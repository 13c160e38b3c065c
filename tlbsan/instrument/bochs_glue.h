/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files that know Bochs share: bochs_glue.cc has the events of VMX root
 * mode, bochs_walks.cc, bochs_operations.cc and bochs_vmx_guests.cc what guests
 * do.  Bochs emulates all CPUs in one thread, so nothing is locked.
 */
#ifndef TLBSAN_BOCHS_GLUE_H
#define TLBSAN_BOCHS_GLUE_H

#include <memory>

#include "bochs.h"
#include "cpu/cpu.h"

#include "counting.h"
#include "oracle.h"

namespace tlbsan {

extern std::unique_ptr<Counting> counting;
extern std::unique_ptr<Oracle> oracle;		/* nullptr: off */

/* The tags of the guest that this CPU runs. */
Tag tag_of(const BX_CPU_C *cpu);
GuestRegisters registers_at_entry(unsigned cpu);
/* At the exit, as the guest left. */
GuestRegisters registers_at_exit(unsigned cpu, uint16_t reason);

/* The simulated TLB; only simulate() and simulated_settle*() may be called while it is off. */
void simulate(unsigned cpu_count);
/* Give what was counted since the last call to the level that the CPU is at. */
void simulated_settle(unsigned cpu);
void simulated_settle_all();
void simulated_entry(const VmEntry &entry);
void simulated_exit(unsigned cpu);
void simulated_invvpid(unsigned cpu, const Invvpid &inv);
void simulated_invept(unsigned cpu, const Invept &inv);
void simulated_reset(unsigned cpu);

/* A CPU begins to run a guest, or stops. */
void begin_guest(unsigned cpu);
void end_guest(unsigned cpu, uint16_t reason, uint64_t qualification);
/* The guest leaves this to the hypervisor, at its last instruction. */
void asked(unsigned cpu, GuestOperation operation);
/* Parts of these. */
void begin_walks(unsigned cpu);
void end_guest_vmx(unsigned cpu, uint16_t reason);
void end_guest_hypercalls(unsigned cpu, uint16_t reason);

/* Memory of the guest that this CPU runs, within a page. */
bool read_linear(unsigned cpu, uint64_t linear, unsigned length, void *to);
uint64_t general_register(unsigned cpu, unsigned number);
/* What EDX:EAX has for WRMSR. */
uint64_t msr_value(unsigned cpu);
/* Memory of the guest that this CPU runs, or nothing; without EPT there is no way to know. */
bool host_address(unsigned cpu, uint64_t guest, uint64_t &host);
bool read_guest(unsigned cpu, uint64_t guest, unsigned length, void *to);
/* Does the enlightened VMCS of the L1 that this CPU enters say exit 0x10000031? */
bool trap_after_flush(unsigned cpu);

} /* namespace tlbsan */

#endif
