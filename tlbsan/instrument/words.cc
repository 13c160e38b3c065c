/* SPDX-License-Identifier: GPL-2.0 */
#include "words.h"

namespace tlbsan {

Words words_of(Cause cause)
{
	switch (cause) {
	case Cause::guest:
		return { "guest", "the guest's own" };
	case Cause::other_vcpu:
		return { "other_vcpu", "made for another virtual CPU" };
	case Cause::state_set:
		return { "state_set", "made before this L2's state was set" };
	case Cause::other_vpid12:
		return { "other_vpid12", "made under another vpid12" };
	case Cause::other_eptp12:
		return { "other_eptp12", "made under another eptp12" };
	case Cause::invalidated:
		return { "invalidated", "the guest invalidated it since" };
	case Cause::apic_page:
		return { "apic_page", "its APIC-access page was turned on, no flush" };
	case Cause::shadow_table:
		return { "shadow_table", "its shadow table changed" };
	case Cause::shadow_page:
		return { "shadow_page", "its shadow page table changed" };
	case Cause::shadow_dirty:
		return { "shadow_dirty", "its shadow page table's dirty flag was cleared" };
	case Cause::shadow_right:
		return { "shadow_right", "its shadow page table lost a right" };
	case Cause::ept_page:
		return { "ept_page", "its EPT changed, no INVEPT" };
	case Cause::ept_dirty:
		return { "ept_dirty", "its EPT dirty flag was cleared, no INVEPT" };
	case Cause::ept_right:
		return { "ept_right", "its EPT lost a right, no INVEPT" };
	}
	return { "unknown", "unknown" };
}

Words words_of(Action action)
{
	switch (action) {
	case Action::other:
		return { "other", "" };
	case Action::invvpid_address:
		return { "invvpid_address", "INVVPID address" };
	case Action::invvpid_single:
		return { "invvpid_single", "INVVPID single" };
	case Action::invvpid_all:
		return { "invvpid_all", "INVVPID all" };
	case Action::invvpid_but_globals:
		return { "invvpid_but_globals", "INVVPID single but globals" };
	case Action::invept_single:
		return { "invept_single", "INVEPT single" };
	case Action::invept_all:
		return { "invept_all", "INVEPT all" };
	case Action::entry_without_vpid:
		return { "entry_without_vpid", "VM entry without VPID" };
	case Action::exit_without_vpid:
		return { "exit_without_vpid", "VM exit without VPID" };
	case Action::invlpg:
		return { "invlpg", "INVLPG" };
	case Action::invpcid:
		return { "invpcid", "INVPCID" };
	case Action::mov_cr3:
		return { "mov_cr3", "MOV CR3" };
	case Action::mov_cr4:
		return { "mov_cr4", "MOV CR4" };
	case Action::mov_cr4_pcid:
		return { "mov_cr4_pcid", "MOV CR4, PCID" };
	case Action::mov_cr0_or_cr4:
		return { "mov_cr0_or_cr4", "MOV CR0 or CR4, all" };
	case Action::task_switch:
		return { "task_switch", "task switch" };
	case Action::cr0_pg:
		return { "cr0_pg", "CR0.PG cleared" };
	case Action::cr3_set:
		return { "cr3_set", "CR3 set from outside" };
	case Action::l1_invvpid:
		return { "l1_invvpid", "L1's INVVPID" };
	case Action::l1_invept:
		return { "l1_invept", "L1's INVEPT" };
	case Action::l1_entry_without_vpid:
		return { "l1_entry_without_vpid", "VM entry with VPID off in vmcs12" };
	case Action::l1_exit_without_vpid:
		return { "l1_exit_without_vpid", "VM exit with VPID off in vmcs12" };
	case Action::l1_vmfunc_without_vpid:
		return { "l1_vmfunc_without_vpid", "VMFUNC with VPID off in vmcs12" };
	case Action::smi:
		return { "smi", "SMI" };
	case Action::rsm:
		return { "rsm", "RSM" };
	case Action::hypercall:
		return { "hypercall", "flush by hypercall" };
	case Action::pv_flush:
		return { "pv_flush", "paravirtual flush" };
	}
	return { "unknown", "unknown" };
}

} /* namespace tlbsan */
