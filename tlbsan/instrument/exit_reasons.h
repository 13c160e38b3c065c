/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TLBSAN_EXIT_REASONS_H
#define TLBSAN_EXIT_REASONS_H

#include <cstdint>
#include <string>

namespace tlbsan {

/* Basic exit reasons (SDM volume 3, appendix C) that are decided upon. */
enum : uint16_t {
	EXIT_TASK_SWITCH = 9,
	EXIT_INVLPG = 14,
	EXIT_VMCLEAR = 19,
	EXIT_VMLAUNCH = 20,
	EXIT_VMPTRLD = 21,
	EXIT_VMPTRST = 22,
	EXIT_VMREAD = 23,
	EXIT_VMRESUME = 24,
	EXIT_VMWRITE = 25,
	EXIT_VMXOFF = 26,
	EXIT_VMXON = 27,
	EXIT_CR_ACCESS = 28,
	EXIT_MSR_WRITE = 32,
	EXIT_INVEPT = 50,
	EXIT_INVVPID = 53,
	EXIT_INVPCID = 58,
};

/* The name KVM's kvm_exit tracepoint prints, in lower case; "r<n>" if it has none. */
std::string exit_reason_name(uint16_t reason);

/* Does an instruction cause this exit that only a hypervisor executes? */
bool is_vmx_instruction(uint16_t reason);

} /* namespace tlbsan */

#endif
