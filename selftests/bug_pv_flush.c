// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's paravirtual TLB flush of a vCPU that was preempted while it ran an L2 is for L1's
 * translations: when L1 runs again, they must be gone.  Those of an L2 with a VPID need not.
 * With ept=0 the shadow tables of both are the same ones, and the flush must sync them.
 */
#include "options.h"
#include "pv_flush.h"
#include "witness.h"

static const char region[] = "bug.pv_flush";

int main(int argc, char *argv[])
{
	struct flushes want = { .single01 = PV_FLUSH_ROUNDS };

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_KVM_STEAL_TIME));
	__TEST_REQUIRE(kvm_has_vpid(), "without VPID every transition is a flush");

	pv_flush_in_l2(L2_EPT_OFF, region, NULL);
	if (kvm_cpu_has_ept()) {
		pv_flush_in_l2(L2_EPT_SHARED, region, NULL);
		want.single01 += PV_FLUSH_ROUNDS;
	}
	if (kvm_has_ept() && nvmx_skips_needless())
		witness_flushes(region, "vmentry.L2", &want);
	witness_expect(region, "vmentry.L2", ">=", PV_FLUSH_ROUNDS);
	return 0;
}
