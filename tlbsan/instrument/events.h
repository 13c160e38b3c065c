/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulator tells tlbsan: one simple struct for each kind of event.
 *
 * Nothing here knows Bochs.  bochs_glue.cc fills these structs from the state
 * of an emulated CPU, the unit tests fill them by hand, and every part of
 * tlbsan that judges or counts takes them as its only input.
 */
#ifndef TLBSAN_EVENTS_H
#define TLBSAN_EVENTS_H

#include <cstdint>

namespace tlbsan {

/* A VMLAUNCH or VMRESUME in root mode after which the guest runs. */
struct VmEntry {
	unsigned cpu;
	uint64_t instructions;	/* executed by this CPU so far */
	uint64_t vmcs;		/* physical address of the current VMCS */
	uint16_t vpid;		/* 0: "enable VPID" is off */
	uint64_t ep4ta;		/* 0: "enable EPT" is off */
	uint64_t host_rsp;	/* where the hypervisor's stack will be on VM exit */
	bool vmread_bitmap;	/* the VMCS has the address of a VMREAD bitmap */
};

/* A VM exit.  failed_entry: guest state or MSR loading was refused (bit 31). */
struct VmExit {
	unsigned cpu;
	uint64_t instructions;
	uint16_t reason;	/* basic exit reason, SDM appendix C */
	bool failed_entry;
};

/* An instruction of VMX root mode that succeeded. */
struct VmClear {
	uint64_t vmcs;
};

struct VmPtrld {
	uint64_t vmcs;
	uint64_t previous;	/* the VMCS that was current on this CPU until now, or 0 */
	uint16_t previous_vpid;	/* its VPID field */
};

struct Invvpid {
	unsigned type;		/* 0 address, 1 single, 2 all, 3 single non-global */
	uint16_t vpid;
	uint64_t linear;	/* type 0 only */
	uint64_t rip = 0;	/* of the instruction */
};

struct Invept {
	unsigned type;		/* 1 single, 2 all */
	uint64_t eptp;		/* type 1 only */
	uint64_t loaded_eptp;	/* EPT pointer of the current VMCS, 0 if none */
	uint64_t rip = 0;
};

/* An instruction of VMX root mode that ended in VMfail. */
struct VmFail {
	unsigned error;		/* VM-instruction error number, SDM 31.4 */
};

} /* namespace tlbsan */

#endif
