/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The header that Bochs includes: which of its places call tlbsan.
 *
 * BX_INSTR_* are the places that Bochs' instrumentation API names; all of them
 * must be defined here.  BX_TLBSAN_* are those that bochs.patch adds, where the
 * API has none or leaves out the operands.  The functions are in bochs_glue.cc.
 */
#ifndef TLBSAN_INSTRUMENT_H
#define TLBSAN_INSTRUMENT_H

#if !BX_INSTRUMENTATION
#error "configure Bochs with --enable-instrumentation=instrument/tlbsan"
#endif

class bxInstruction_c;

void tlbsan_initialize(unsigned cpu);
void tlbsan_reset(unsigned cpu);
void tlbsan_prefetch(Bit64u address);
void tlbsan_vmentry(unsigned cpu);
void tlbsan_vmexit(unsigned cpu, Bit32u reason);
void tlbsan_vmclear(Bit64u vmcs);
void tlbsan_vmptrld(unsigned cpu, Bit64u vmcs);
void tlbsan_invept(unsigned cpu, unsigned type, Bit64u eptp);
void tlbsan_invvpid(unsigned type, unsigned vpid, Bit64u linear);
void tlbsan_vmfail(unsigned cpu, Bit32u error);

#define BX_INSTR_INITIALIZE(cpu)			tlbsan_initialize(cpu)
#define BX_INSTR_RESET(cpu, type)			tlbsan_reset(cpu)
#define BX_INSTR_PREFETCH_HINT(cpu, what, seg, offset)	tlbsan_prefetch(offset)
#define BX_INSTR_VMEXIT(cpu, reason, qualification)	tlbsan_vmexit(cpu, reason)

#define BX_TLBSAN_VMENTRY(cpu)				tlbsan_vmentry(cpu)
#define BX_TLBSAN_VMCLEAR(cpu, vmcs)			tlbsan_vmclear(vmcs)
#define BX_TLBSAN_VMPTRLD(cpu, vmcs)			tlbsan_vmptrld(cpu, vmcs)
#define BX_TLBSAN_INVEPT(cpu, type, eptp)		tlbsan_invept(cpu, type, eptp)
#define BX_TLBSAN_INVVPID(cpu, type, vpid, linear)	tlbsan_invvpid(type, vpid, linear)
#define BX_TLBSAN_VMFAIL(cpu, error)			tlbsan_vmfail(cpu, error)

/* Not used. */
#define BX_INSTR_INIT_ENV()
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_EXIT(cpu)
#define BX_INSTR_HLT(cpu)
#define BX_INSTR_MWAIT(cpu, address, length, flags)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(command)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu, from, to)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu, from)
#define BX_INSTR_UCNEAR_BRANCH(cpu, what, from, to)
#define BX_INSTR_FAR_BRANCH(cpu, what, from_cs, from, to_cs, to)
#define BX_INSTR_OPCODE(cpu, instruction, bytes, length, is32, is64)
#define BX_INSTR_EXCEPTION(cpu, vector, error)
#define BX_INSTR_INTERRUPT(cpu, vector)
#define BX_INSTR_HWINTERRUPT(cpu, vector, cs, ip)
#define BX_INSTR_CLFLUSH(cpu, linear, physical)
#define BX_INSTR_CACHE_CNTRL(cpu, what)
#define BX_INSTR_TLB_CNTRL(cpu, what, value)
#define BX_INSTR_BEFORE_EXECUTION(cpu, instruction)
#define BX_INSTR_AFTER_EXECUTION(cpu, instruction)
#define BX_INSTR_REPEAT_ITERATION(cpu, instruction)
#define BX_INSTR_LIN_ACCESS(cpu, linear, physical, length, memtype, rw)
#define BX_INSTR_PHY_ACCESS(cpu, physical, length, memtype, rw)
#define BX_INSTR_INP(port, length)
#define BX_INSTR_INP2(port, length, value)
#define BX_INSTR_OUTP(port, length, value)
#define BX_INSTR_WRMSR(cpu, msr, value)

#endif
