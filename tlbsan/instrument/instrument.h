/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The header that Bochs includes: which of its places call tlbsan.
 *
 * BX_INSTR_* are the places that Bochs' instrumentation API names; all of them
 * must be defined here.  BX_TLBSAN_* are those that bochs.patch adds, where the
 * API has none or lacks the operands.  The functions are in bochs_glue.cc.
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
void tlbsan_vmexit(unsigned cpu, Bit32u reason, Bit64u qualification);
void tlbsan_vmclear(Bit64u vmcs);
void tlbsan_vmptrld(unsigned cpu, Bit64u vmcs);
void tlbsan_invept(unsigned cpu, unsigned type, Bit64u eptp);
void tlbsan_invvpid(unsigned cpu, unsigned type, unsigned vpid, Bit64u linear);
void tlbsan_vmfail(unsigned cpu, Bit32u error);

/* The oracle's; called only where it is on, and of the CPUs that run a guest. */
extern bool tlbsan_oracle_on;
void tlbsan_pte(unsigned cpu, int level, Bit64u entry);
void tlbsan_page_fault(unsigned cpu, unsigned fault, Bit64u linear, unsigned user, unsigned rw);
void tlbsan_walk(unsigned cpu, Bit64u linear, Bit64u host, Bit32u mask, unsigned access, unsigned rw);
void tlbsan_ept_pte(unsigned cpu, int level, Bit64u entry);
void tlbsan_ept_walk(unsigned cpu, Bit64u guest, Bit64u host, int level, Bit64u entry,
		     unsigned access, unsigned rw);
void tlbsan_ept_refusal(unsigned cpu, Bit64u guest, Bit64u linear, bool linear_valid,
			bool page_walk, unsigned wanted, bool misconfiguration);
void tlbsan_mov_cr3(unsigned cpu, Bit64u value);
void tlbsan_tlb_control(unsigned cpu, unsigned what, Bit64u value);
void tlbsan_invpcid(unsigned cpu, unsigned type, unsigned pcid, Bit64u linear);
void tlbsan_vmx_instruction(unsigned cpu, unsigned reason, bool memory, Bit64u linear,
			    unsigned reg1, unsigned reg2);

/* The simulated TLB's; called only where it is on. */
extern bool tlbsan_simulator_on;
void tlbsan_sim_access(unsigned cpu, bool fetch, Bit64u linear);
void tlbsan_sim_ept_walk(unsigned cpu, int level);
void tlbsan_sim_walk(unsigned cpu, Bit64u linear, Bit32u mask, unsigned access);
void tlbsan_sim_refused(unsigned cpu, Bit64u linear);
void tlbsan_sim_ept_refused(unsigned cpu, Bit64u guest, Bit64u linear, bool translates);
void tlbsan_sim_mov_cr3(unsigned cpu, Bit64u value);
void tlbsan_sim_tlb_control(unsigned cpu, unsigned what, Bit64u value);
void tlbsan_sim_invpcid(unsigned cpu, unsigned type, unsigned pcid, Bit64u linear);

#define TLBSAN_SIMULATOR(call)	do { if (tlbsan_simulator_on) call; } while (0)
#define TLBSAN_ORACLE(call)	do { if (tlbsan_oracle_on) call; } while (0)

#define BX_INSTR_INITIALIZE(cpu)			tlbsan_initialize(cpu)
#define BX_INSTR_RESET(cpu, type)			tlbsan_reset(cpu)
#define BX_INSTR_PREFETCH_HINT(cpu, what, seg, offset)	tlbsan_prefetch(offset)
#define BX_INSTR_VMEXIT(cpu, reason, qualification)	tlbsan_vmexit(cpu, reason, qualification)
#define BX_INSTR_LIN_ACCESS(cpu, linear, physical, length, memtype, rw) \
	TLBSAN_SIMULATOR(tlbsan_sim_access(cpu, false, linear))
#define BX_INSTR_TLB_CNTRL(cpu, what, value) do { \
	TLBSAN_ORACLE(tlbsan_tlb_control(cpu, what, value)); \
	TLBSAN_SIMULATOR(tlbsan_sim_tlb_control(cpu, what, value)); \
} while (0)

#define BX_TLBSAN_VMENTRY(cpu)				tlbsan_vmentry(cpu)
#define BX_TLBSAN_VMCLEAR(cpu, vmcs)			tlbsan_vmclear(vmcs)
#define BX_TLBSAN_VMPTRLD(cpu, vmcs)			tlbsan_vmptrld(cpu, vmcs)
#define BX_TLBSAN_INVEPT(cpu, type, eptp)		tlbsan_invept(cpu, type, eptp)
#define BX_TLBSAN_INVVPID(cpu, type, vpid, linear)	tlbsan_invvpid(cpu, type, vpid, linear)
#define BX_TLBSAN_VMFAIL(cpu, error)			tlbsan_vmfail(cpu, error)

#define BX_TLBSAN_PTE(cpu, level, entry)		TLBSAN_ORACLE(tlbsan_pte(cpu, level, entry))
#define BX_TLBSAN_PAGE_FAULT(cpu, fault, linear, user, rw) do { \
	TLBSAN_ORACLE(tlbsan_page_fault(cpu, fault, linear, user, rw)); \
	TLBSAN_SIMULATOR(tlbsan_sim_refused(cpu, linear)); \
} while (0)
#define BX_TLBSAN_WALK(cpu, linear, host, mask, access, rw) do { \
	TLBSAN_ORACLE(tlbsan_walk(cpu, linear, host, mask, access, rw)); \
	TLBSAN_SIMULATOR(tlbsan_sim_walk(cpu, linear, mask, access)); \
} while (0)
#define BX_TLBSAN_EPT_PTE(cpu, level, entry)		TLBSAN_ORACLE(tlbsan_ept_pte(cpu, level, entry))
#define BX_TLBSAN_EPT_WALK(cpu, guest, host, level, entry, access, rw) do { \
	TLBSAN_ORACLE(tlbsan_ept_walk(cpu, guest, host, level, entry, access, rw)); \
	TLBSAN_SIMULATOR(tlbsan_sim_ept_walk(cpu, level)); \
} while (0)
#define BX_TLBSAN_EPT_REFUSAL(cpu, guest, linear, linear_valid, page_walk, wanted, misconfig) do { \
	TLBSAN_ORACLE(tlbsan_ept_refusal(cpu, guest, linear, linear_valid, page_walk, wanted, \
					 misconfig)); \
	TLBSAN_SIMULATOR(tlbsan_sim_ept_refused(cpu, guest, linear, \
						(linear_valid) && !(page_walk))); \
} while (0)
#define BX_TLBSAN_MOV_CR3(cpu, value) do { \
	TLBSAN_ORACLE(tlbsan_mov_cr3(cpu, value)); \
	TLBSAN_SIMULATOR(tlbsan_sim_mov_cr3(cpu, value)); \
} while (0)
#define BX_TLBSAN_INVPCID(cpu, type, pcid, linear) do { \
	TLBSAN_ORACLE(tlbsan_invpcid(cpu, type, pcid, linear)); \
	TLBSAN_SIMULATOR(tlbsan_sim_invpcid(cpu, type, pcid, linear)); \
} while (0)
/* Instructions are fetched from this page from now on. */
#define BX_TLBSAN_FETCH(cpu, linear)	TLBSAN_SIMULATOR(tlbsan_sim_access(cpu, true, linear))
/* A string instruction's fast way goes through this page. */
#define BX_TLBSAN_STRING(cpu, linear)	TLBSAN_SIMULATOR(tlbsan_sim_access(cpu, false, linear))
/* Expands inside a method of the CPU, which can resolve the operand's address. */
#define BX_TLBSAN_VMX_INSTRUCTION(cpu, reason, i) \
	TLBSAN_ORACLE(tlbsan_vmx_instruction(cpu, reason, !(i)->modC0(), \
		(i)->modC0() ? 0 : get_laddr((i)->seg(), BX_CPU_RESOLVE_ADDR(i)), \
		(i)->dst(), (i)->src()))

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
#define BX_INSTR_BEFORE_EXECUTION(cpu, instruction)
#define BX_INSTR_AFTER_EXECUTION(cpu, instruction)
#define BX_INSTR_REPEAT_ITERATION(cpu, instruction)
#define BX_INSTR_PHY_ACCESS(cpu, physical, length, memtype, rw)
#define BX_INSTR_INP(port, length)
#define BX_INSTR_INP2(port, length, value)
#define BX_INSTR_OUTP(port, length, value)
#define BX_INSTR_WRMSR(cpu, msr, value)

#endif
