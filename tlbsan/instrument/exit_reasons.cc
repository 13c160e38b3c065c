/* SPDX-License-Identifier: GPL-2.0 */
#include "exit_reasons.h"

#include <map>

namespace tlbsan {

static const std::map<uint16_t, const char *> names = {
	{ 0, "exception_nmi" },
	{ 1, "external_interrupt" },
	{ 2, "triple_fault" },
	{ 3, "init_signal" },
	{ 4, "sipi_signal" },
	{ 5, "io_smi" },
	{ 6, "other_smi" },
	{ 7, "interrupt_window" },
	{ 8, "nmi_window" },
	{ EXIT_TASK_SWITCH, "task_switch" },
	{ 10, "cpuid" },
	{ 11, "getsec" },
	{ 12, "hlt" },
	{ 13, "invd" },
	{ EXIT_INVLPG, "invlpg" },
	{ 15, "rdpmc" },
	{ 16, "rdtsc" },
	{ 17, "rsm" },
	{ 18, "vmcall" },
	{ EXIT_VMCLEAR, "vmclear" },
	{ EXIT_VMLAUNCH, "vmlaunch" },
	{ EXIT_VMPTRLD, "vmptrld" },
	{ EXIT_VMPTRST, "vmptrst" },
	{ EXIT_VMREAD, "vmread" },
	{ EXIT_VMRESUME, "vmresume" },
	{ EXIT_VMWRITE, "vmwrite" },
	{ EXIT_VMXOFF, "vmoff" },
	{ EXIT_VMXON, "vmon" },
	{ EXIT_CR_ACCESS, "cr_access" },
	{ 29, "dr_access" },
	{ 30, "io_instruction" },
	{ 31, "msr_read" },
	{ EXIT_MSR_WRITE, "msr_write" },
	{ 33, "invalid_state" },
	{ 34, "msr_load_fail" },
	{ 36, "mwait_instruction" },
	{ 37, "monitor_trap_flag" },
	{ 39, "monitor_instruction" },
	{ 40, "pause_instruction" },
	{ 41, "mce_during_vmentry" },
	{ 43, "tpr_below_threshold" },
	{ 44, "apic_access" },
	{ 45, "eoi_induced" },
	{ 46, "gdtr_idtr" },
	{ 47, "ldtr_tr" },
	{ 48, "ept_violation" },
	{ 49, "ept_misconfig" },
	{ EXIT_INVEPT, "invept" },
	{ 51, "rdtscp" },
	{ 52, "preemption_timer" },
	{ EXIT_INVVPID, "invvpid" },
	{ 54, "wbinvd" },
	{ 55, "xsetbv" },
	{ 56, "apic_write" },
	{ 57, "rdrand" },
	{ EXIT_INVPCID, "invpcid" },
	{ 59, "vmfunc" },
	{ 60, "encls" },
	{ 61, "rdseed" },
	{ 62, "pml_full" },
	{ 63, "xsaves" },
	{ 64, "xrstors" },
	{ 65, "pconfig" },
	{ 66, "spp" },
	{ 67, "umwait" },
	{ 68, "tpause" },
	{ 74, "bus_lock" },
	{ 75, "notify" },
};

std::string exit_reason_name(uint16_t reason)
{
	auto found = names.find(reason);

	return found == names.end() ? "r" + std::to_string(reason) : found->second;
}

bool is_vmx_instruction(uint16_t reason)
{
	return (reason >= EXIT_VMCLEAR && reason <= EXIT_VMXON) || reason == EXIT_INVEPT ||
	       reason == EXIT_INVVPID;
}

} /* namespace tlbsan */
