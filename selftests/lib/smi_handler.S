/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An SMI handler: reads a word where linear and physical addresses are the same, and
 * writes another one.  What and where is in SMRAM: struct smi_orders.
 */
#define ORDERS	0x9000			/* SMI_ORDERS, from SMBASE */

	.section .rodata
	.globl	smi_handler, smi_handler_end
smi_handler:
	.code16
	movl	%cs:ORDERS, %ebx
	addr32 movl (%ebx), %eax
	movl	%eax, %cs:ORDERS + 4
	movl	%cs:ORDERS + 8, %ebx
	movl	%cs:ORDERS + 12, %eax
	addr32 movl %eax, (%ebx)
	incl	%cs:ORDERS + 16
	rsm
smi_handler_end:
	.code64
	.section .note.GNU-stack, "", @progbits
