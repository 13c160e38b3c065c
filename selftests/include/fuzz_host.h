/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nested_fuzz's host: the VM, what is true of it, and what vCPUs are ordered to do.
 */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include "fuzz_debts.h"
#include "invalidate.h"

struct fuzz_host {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[FUZZ_VCPUS];
	struct fuzz *guest;	/* the guests' copy */
	bool has_ept, has_vpid, two_cpus;

	/* What backs each page now. */
	u64 backed_by[FUZZ_TABLES + 1][FUZZ_PAGES], ept_backed_by[FUZZ_EPTS];

	/* Of each vCPU: the L2 that is active, if one is. */
	struct fuzz_running {
		bool active;
		u64 l2, tables, apic, tag;
		struct fuzz_identity identity;
	} running[FUZZ_VCPUS];

	int ordered;	/* the vCPU that was ordered last */
	bool restored[FUZZ_VCPUS];	/* and has not run since */
};

extern struct fuzz_host fuzz_host;

/* Looks at what the CPU has. */
void fuzz_host_init(void);

/*
 * A new VM, whose vCPUs have not run yet: with enlightened VMCSs if KVM has them and
 * @evmcs.  Its L2s have no APIC-access pages then, since KVM allows none.
 */
void fuzz_vm_create(bool evmcs);

/* The level, the tag, the tables and the space that @vcpu runs with now. */
enum fuzz_stop fuzz_level(int vcpu);
u64 fuzz_tag(int vcpu);
u64 fuzz_tables(int vcpu);
u64 fuzz_space_of(int vcpu);

/* @vcpu does @what, and stops in @stop. */
void fuzz_order(int vcpu, const struct fuzz_order *what, enum fuzz_stop stop);

/* All pages for which nothing is owed must be the newest. */
void fuzz_order_read(int vcpu);

/* To L1, if an L2 is active. */
void fuzz_order_leave(int vcpu);

/* L1's INVVPID and INVEPT. */
void fuzz_order_invvpid(int vcpu, enum invvpid_type type, u64 vpid, u64 page);
void fuzz_order_invept(int vcpu, enum invept_type type, u64 ept);

/* L1 pays what is owed for @space under @tag, and for @ept: how, says @kind. */
void fuzz_order_to_pay(int vcpu, u64 tag, u64 space, u64 ept, u8 kind);

/* A VM entry or a VM exit of an L2 under @tag: without a VPID it flushes. */
void fuzz_crossed(int vcpu, u64 tag);

#endif
