/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hyper-V's hypercalls that flush the TLBs of several virtual CPUs, read from
 * their input: Hyper-V TLFS, HvCallFlushVirtualAddressSpace, ...List, and both
 * with "Ex".  The TLFS guarantees: when the call has returned with success, the
 * named processors use no older translation of the named addresses.
 */
#ifndef TLBSAN_FLUSH_HYPERCALLS_H
#define TLBSAN_FLUSH_HYPERCALLS_H

#include <cstdint>
#include <optional>
#include <vector>

namespace tlbsan {

/* Linear addresses, first to last. */
struct Span {
	uint64_t first = 0;
	uint64_t last = ~uint64_t(0);
};

/* To whom a call of an L2 is, in the words of its L1. */
struct VirtualProcessor {
	uint64_t vm_id = 0;
	uint32_t vp_id = 0;

	bool operator==(const VirtualProcessor &) const = default;
};

struct FlushCall {
	bool every_processor = false;
	std::vector<uint32_t> processors;	/* VP indexes; an L2's: VP ids */
	uint64_t address_space = 0;		/* CR3; 0: all of them */
	bool but_globals = false;
	std::vector<Span> spans;
};

/* The registers of a guest that calls. */
struct CallRegisters {
	bool wide = true;	/* 64-bit mode */
	uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, r8 = 0;
};

/* TLFS 3.7: the input value, and where the input is; if the call is fast, its first words. */
uint64_t call_control(const CallRegisters &registers);
uint64_t call_input(const CallRegisters &registers);
uint64_t call_second_word(const CallRegisters &registers);

/* The longest input that a call can have: one page. */
inline constexpr size_t most_input = 4096;

/* Does this input value ("control") name one of the four calls? */
bool is_flush_call(uint64_t control);

/*
 * The call with this input value and input; for a "fast" call the input is
 * RDX, R8 and XMM0 to XMM5 in this order.  Nothing if it cannot be understood,
 * and then nothing is guaranteed.
 */
std::optional<FlushCall> read_flush_call(uint64_t control, const std::vector<uint8_t> &input);

} /* namespace tlbsan */

#endif
